"""Is a table cut where nobody would read on, and does it say so?"""

from __future__ import annotations

from flows.tables import ROWS_MAX, capped


def test_what_fits_is_shown_as_it_is() -> None:
    rows = [{"stage": "first", "what": str(number)} for number in range(ROWS_MAX)]
    assert capped(rows, "phaseline status") == rows
    assert capped([], "phaseline status") == []


def test_the_last_row_says_how_many_more_there_are() -> None:
    rows = [{"stage": "first", "what": str(number)} for number in range(ROWS_MAX + 1234)]
    shown = capped(rows, "phaseline status")
    assert len(shown) == ROWS_MAX + 1
    assert shown[-1] == {"stage": "and 1,234 more: phaseline status", "what": ""}
