"""What do the names in a dataset's directory say?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.engine.state import Markers, accepted, read_markers


def markers(*found: str, dataset: str = "ds7") -> Markers:
    return read_markers(found, "phase4", dataset)


def test_a_fresh_dataset_says_nothing() -> None:
    assert markers("a.txt", "taken.phase3.1") == Markers(latest=0, ended=False, request=None, granted=False)


def test_the_highest_attempt_is_the_latest_by_number_not_by_name() -> None:
    found = [f"taken.phase4.{number}" for number in range(1, 12)] + ["ended.phase4.9"]
    assert (markers(*found).latest, markers(*found).ended) == (11, False)
    assert markers(*found, "ended.phase4.11").ended


def test_other_stages_and_generations_are_not_ours() -> None:
    found = ["taken.phase4b.3", "taken.phase4+g2.5", "taken.phase4.x", "taken.phase4.1.2", "taken.phase4."]
    assert markers(*found).latest == 0
    assert markers(*found, dataset="ds7+g2").latest == 5


@pytest.mark.parametrize("request_mark", ["retry.phase4", "retry.phase4+g2"])
def test_a_mark_counts_in_any_generation(request_mark: str) -> None:
    assert markers(request_mark, dataset="ds7+g2").request == request_mark


def test_an_accepted_mark_is_bound_to_its_attempt() -> None:
    assert markers("taken.phase4.2", "retry.phase4.2").granted
    assert not markers("taken.phase4.3", "retry.phase4.2").granted
    assert accepted("phase4+g2", 3) == "retry.phase4+g2.3"


@given(st.sets(st.integers(1, 2000), min_size=1))
def test_the_latest_is_the_highest(numbers: set[int]) -> None:
    found = [f"taken.phase4.{number}" for number in numbers]
    assert read_markers(found, "phase4", "ds7").latest == max(numbers)
