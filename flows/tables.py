"""Tables that an operator reads in the UI: so many rows, and a line that says how many more there are. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ROWS_MAX = 200

Row = Mapping[str, str]


def capped(rows: Sequence[Row], more: str) -> list[dict[str, str]]:
    """Return the first rows, all with the same columns; `more` says where the rest is to be seen."""
    shown = [dict(row) for row in rows[:ROWS_MAX]]
    if len(rows) > ROWS_MAX:
        last = dict.fromkeys(shown[0], "")
        first, *_ = last
        shown.append({**last, first: f"and {len(rows) - ROWS_MAX:,} more: {more}"})
    return shown
