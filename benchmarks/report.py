"""Report: what was measured as a table for people, and as results.json for everything else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figure, Table

FORMAT = 1


def lines(found: Sequence[Figure | Table]) -> Iterator[str]:
    """Yield Markdown: a table of all figures, then the other tables."""
    figures = [one for one in found if isinstance(one, Figure)]
    heading = ("figure", "median", "least", "most", "rounds", "at most", "met")
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


def write(
    path: Path, machine: Mapping[str, object], commit: str, found: Mapping[str, Sequence[Figure | Table]]
) -> None:
    """Write results.json: figures by benchmark; ratios within a round, so that they can be compared elsewhere."""
    document = {
        "format": FORMAT,
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit,
        "machine": machine,
        "figures": [_figure(name, one) for name, all_of in found.items() for one in all_of if isinstance(one, Figure)],
        "tables": [_as_json(one) for all_of in found.values() for one in all_of if isinstance(one, Table)],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _figure(benchmark: str, one: Figure) -> dict[str, object]:
    return {
        "benchmark": benchmark,
        "name": one.name,
        "value": _rounded(one.value),
        "unit": one.unit,
        "target": one.target,
        "met": one.is_met,
        "rounds": [_rounded(each) for each in one.rounds],
    }


def _as_json(table: Table) -> dict[str, object]:
    return {"name": table.name, "columns": table.columns, "rows": table.rows}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
