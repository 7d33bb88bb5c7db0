"""Which names are allowed, and do markers' and attempts' names come back as they went?"""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stages.engine import names
from stages.engine.errors import NameNotAllowedError

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
TOKENS = st.text("0123456789abcdef", min_size=8, max_size=8)
STAGES = st.from_regex(r"[a-z][a-z0-9_-]{0,30}", fullmatch=True)


def is_allowed(name: str) -> bool:
    try:
        return names.check_dataset(name) == name
    except NameNotAllowedError:
        return False


DATASETS = TEXT.filter(is_allowed)


@pytest.mark.parametrize("name", ["ds7", "a.b-c_d+e", "with space", "Größe", "7", "x" * 200, "ds7+g", "ds7+gx"])
def test_a_dataset_may_be_called(name: str) -> None:
    assert names.check_dataset(name) == name


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "empty"),
        ("_work", "begin with"),
        (".hidden", "begin with"),
        ("a~b", "'~'"),
        ("a/b", "'~' and '/'"),
        ("a\nb", "cannot be printed"),
        ("a\x7fb", "cannot be printed"),
        ("\udcff", "cannot be printed"),
        ("ds7+g2", "phaseline rerun"),
        ("x" * 201, "longer than 200 bytes"),
        ("ü" * 101, "longer than 200 bytes"),
    ],
)
def test_a_dataset_may_not_be_called(name: str, rule: str) -> None:
    with pytest.raises(NameNotAllowedError, match=rule) as caught:
        names.check_dataset(name)
    assert str(caught.value).isprintable()
    assert str(caught.value).endswith("--as")


@given(DATASETS, st.integers(1, 10**6), TOKENS)
def test_an_attempts_directory_tells_whose_it_is(dataset: str, number: int, token: str) -> None:
    attempt = names.Attempt(dataset, number, token)
    assert names.parse_attempt(attempt.directory) == attempt


@given(DATASETS, st.integers(1, 10**4), TOKENS)
def test_every_name_made_of_a_datasets_name_fits_into_a_directory_entry(dataset: str, number: int, token: str) -> None:
    name = names.in_generation(dataset, number)
    attempt = names.Attempt(name, 1000, token)
    for made in (attempt.directory, attempt.archived, f"{attempt.archived}~pruning"):
        assert len(made.encode()) <= 255


@pytest.mark.parametrize("name", ["ds7", "ds7.1", ".1.abc", "ds7.x.abc", ".probe.0123abcd", "ds7..abc"])
def test_what_is_no_attempts_directory(name: str) -> None:
    assert names.parse_attempt(name) is None


@given(DATASETS, st.integers(2, 10**6))
def test_generations_come_apart_again(base: str, number: int) -> None:
    name = names.in_generation(base, number)
    assert names.generation(name) == (base, number)
    assert names.in_generation(base, 1) == base
    assert names.generation(base) == (base, 1)
    assert not is_allowed(name)  # nobody but `rerun` gives such a name


@given(STAGES, DATASETS, st.integers(2, 99))
def test_a_tag_is_the_stage_and_the_generation(stage: str, base: str, number: int) -> None:
    assert names.tag(stage, base) == stage
    assert names.tag(stage, names.in_generation(base, number)) == f"{stage}+g{number}"


@given(STAGES, DATASETS, st.integers(1, 1000), TOKENS)
def test_all_markers_are_reserved(stage: str, dataset: str, number: int, token: str) -> None:
    tag = names.tag(stage, dataset)
    made = [names.taken(tag, number), names.ended(tag, number), names.ready(stage), names.log(tag, number, token)]
    assert all(map(names.is_reserved, [*made, f"retry.{stage}", f"retry.{tag}.{number}"]))


@pytest.mark.parametrize(
    "name", ["taken", "log.txt", "log.phase4", "log.phase4.1", "retry", "a.taken.1", "results.csv"]
)
def test_an_author_may_write(name: str) -> None:
    assert not names.is_reserved(name)


@given(TEXT)
def test_candidates_are_the_names_that_a_dataset_can_have(name: str) -> None:
    assume("/" not in name)
    if is_allowed(name):
        assert names.is_candidate(name)


@pytest.mark.parametrize("name", ["phase2a", "a", "x-y_z0"])
def test_a_stage_may_be_called(name: str) -> None:
    assert names.check_stage(name) == name


@pytest.mark.parametrize("name", ["", "Phase", "2a", "engine", "a.b", "a" * 32, "a b", "a\n"])
def test_a_stage_may_not_be_called(name: str) -> None:
    with pytest.raises(NameNotAllowedError, match="rename its folder"):
        names.check_stage(name)


@pytest.mark.parametrize(("name", "allowed"), [("PHASE_2A", True), ("_names", False), ("a/b", False), ("a.b", False)])
def test_a_location_may_be_called(name: str, allowed: bool) -> None:
    assert names.is_location(name) is allowed
