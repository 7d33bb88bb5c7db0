"""Results: what was measured when, of which commit, on what; a benchmark measured again replaces only itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from benchmarks import report
from benchmarks.figures import Figure, Table

FORMAT = 2
MARKED = re.compile(r"(<!-- begin benchmarks[^\n]*-->\n).*?(<!-- end benchmarks -->)", re.DOTALL)
Entry = Mapping[str, object]


def keep(path: Path, machine: Entry, commit: str, found: Mapping[str, Sequence[Figure | Table]]) -> None:
    """Write what was found into results.json, each under its benchmark's name; the others stay as they were."""
    kept = read(path) if path.exists() else {}
    measured = time.strftime("%Y-%m-%d", time.gmtime())
    for name, all_of in found.items():
        kept[name] = {
            "measured": measured,
            "commit": commit,
            "machine": machine,
            "figures": [_figure(one) for one in all_of if isinstance(one, Figure)],
            "tables": [_table(one) for one in all_of if isinstance(one, Table)],
        }
    document = {"format": FORMAT, "benchmarks": dict(sorted(kept.items()))}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Entry]:
    """Return the benchmarks of a results.json by name."""
    return cast("dict[str, Entry]", json.loads(path.read_text(encoding="utf-8"))["benchmarks"])


def on_page(text: str, kept: Mapping[str, Entry]) -> str:
    """Return docs/figures.md with these results between its marks."""
    return MARKED.sub(lambda marks: "\n".join((marks[1], *_page(kept), marks[2])), text)


def _page(kept: Mapping[str, Entry]) -> Iterator[str]:
    for name, entry in kept.items():
        yield from (f"### {name}", "", f"Measured on {entry['measured']} at {entry['commit']}.")
        found = [*map(_read_figure, _list(entry["figures"])), *map(_read_table, _list(entry["tables"]))]
        if any(isinstance(one, Figure) for one in found):
            yield ""
        yield from report.lines(found)
        yield ""


def _figure(one: Figure) -> Entry:
    return {
        "name": one.name,
        "value": _rounded(one.value),
        "unit": one.unit,
        "target": one.target,
        "met": one.is_met,
        "rounds": [_rounded(each) for each in one.rounds],
    }


def _read_figure(entry: Mapping[str, object]) -> Figure:
    return Figure(
        name=cast("str", entry["name"]),
        value=cast("float", entry["value"]),
        unit=cast("str", entry["unit"]),
        target=cast("float | None", entry["target"]),
        rounds=tuple(cast("list[float]", entry["rounds"])),
    )


def _table(one: Table) -> Entry:
    return {"name": one.name, "columns": one.columns, "rows": one.rows}


def _read_table(entry: Mapping[str, object]) -> Table:
    rows = cast("dict[str, list[float]]", entry["rows"])
    return Table(
        name=cast("str", entry["name"]),
        columns=tuple(cast("list[str]", entry["columns"])),
        rows={name: tuple(row) for name, row in rows.items()},
    )


def _list(value: object) -> list[Entry]:
    return cast("list[Entry]", value)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
