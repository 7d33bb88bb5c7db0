"""Report: what was measured, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.figures import Figure, Table


def lines(found: Sequence[Figure | Table]) -> Iterator[str]:
    """Yield Markdown: a table of all figures, then the other tables."""
    figures = [one for one in found if isinstance(one, Figure)]
    heading = ("figure", "median", "least", "most", "rounds", "at most", "met")
    if figures:
        yield from _table(heading, [_row(one) for one in figures])
    for table in found:
        if isinstance(table, Table):
            yield from ("", f"**{table.name}**", "")
            cells = [(name, *(f"{number:g}" if number else "" for number in row)) for name, row in table.rows.items()]
            yield from _table(("", *table.columns), cells)


def _row(one: Figure) -> tuple[str, ...]:
    met = {True: "yes", False: "**no**", None: ""}[one.is_met]
    target = "" if one.target is None else f"{one.target:g}"
    least, most = (_number(limit(one.rounds)) for limit in (min, max))
    return one.name, f"{_number(one.value)} {one.unit}", least, most, str(len(one.rounds)), target, met


def _number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in (heading, *rows)) for column in range(len(heading))]
    for row in (heading, ["-" * width for width in widths], *rows):
        first, *others = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "| " + " | ".join([first, *(cell.strip().rjust(len(cell)) for cell in others)]) + " |"
