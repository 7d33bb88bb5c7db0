"""Does `rerun` say what it did, and does its form in the UI offer what there is?"""

from __future__ import annotations

from typing import cast

from flows.bringing import message, rows
from flows.rerun import rerun
from stages.engine.backfill import Outcome, Verdict
from stages.engine.condition import Condition

FOUND = [
    Outcome(dataset="a", verdict=Verdict.BROUGHT_BACK, what="soon"),
    Outcome(dataset="b", verdict=Verdict.LEFT, what="later"),
    Outcome(dataset="c", verdict=Verdict.REFUSED, what="chmod"),
]


def test_what_needs_a_person_stands_first() -> None:
    assert [row["dataset"] for row in rows("phase4", FOUND, dry=False)] == ["c", "a", "b"]


def test_the_message() -> None:
    assert message("phase4", FOUND, dry=False) == "1 refused, 1 brought back, 1 left in phase4"
    assert message("phase4", FOUND[:1], dry=True) == "dry run, nothing was changed: 1 would be brought back in phase4"


def test_the_form_offers_states_and_says_what_each_field_is() -> None:
    schema = rerun.parameters
    state = cast("dict[str, list[str]]", schema.definitions["Condition"])
    assert state["enum"] == [str(one) for one in Condition]
    fields = cast("dict[str, dict[str, object]]", schema.properties)
    assert list(fields) == ["stage", "datasets", "state", "limit", "dry_run"]
    assert all(field["description"] for field in fields.values())
    assert schema.required == ["stage", "datasets"]
