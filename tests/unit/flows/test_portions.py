"""Is the work of a sweep as many portions for ten datasets as for 100,000, and each dataset in one of them?"""

from __future__ import annotations

from itertools import chain as chained

import pytest

from flows.portions import PORTIONS_MAX, Pass, portions, split
from stages.engine.memory import Memory
from stages.engine.sweeper import Place, Survey, Target
from tests.fakes import Yard


def waiting(count: int) -> list[Target]:
    return [Target(Place.WAITING, f"ds{number:06}") for number in range(count)]


def survey(count: int) -> Survey:
    return Survey(targets=tuple(waiting(count)), full=True, begun=0.0)


@pytest.fixture
def swept(yard: Yard) -> Pass:
    memory = Memory(fs=yard.fs, clock=yard.clock, root=yard.root, stage="first", boot_id="boot")
    return Pass(yard.sweeper(), memory)


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (3, [1, 1, 1]), (10, [3, 3, 2, 2])])
def test_parts_are_about_the_same_size_and_none_is_empty(count: int, sizes: list[int]) -> None:
    parts = split(waiting(count), 4)
    assert [len(part) for part in parts] == sizes
    assert sorted(chained.from_iterable(parts)) == waiting(count)
    assert all(part == sorted(part) for part in parts)


def test_targets_of_one_dataset_stay_together_in_their_order() -> None:
    """The sweeper shares what it remembers of a dataset with no other thread."""
    one = [Target(Place.WAITING, "ds1"), Target(Place.FAILED, "ds1"), Target(Place.WORK, "ds1.1.ab9c6d45")]
    other = [Target(Place.WAITING, "ds2"), Target(Place.WORK, "ds2.1.ab9c6d45")]
    nobodys = Target(Place.WORK, "no attempt")
    assert split([one[0], other[0], one[1], one[2], nobodys, other[1]], 3) == [one, other, [nobodys]]


@pytest.mark.parametrize("stages", [1, 5, 10, 13, 20, 40, 60])
def test_their_number_depends_on_stages_not_on_datasets(swept: Pass, stages: int) -> None:
    few, many = ([(swept, survey(count))] * stages for count in (10, 5_000))
    assert len(portions(few)) == len(portions(many)) <= max(PORTIONS_MAX, stages)


def test_they_are_called_so_that_a_list_can_be_read(swept: Pass) -> None:
    made = portions([(swept, survey(3)), (swept, survey(0))])
    assert [str(portion) for portion in made] == ["first 1/3", "first 2/3", "first 3/3"]
    assert portions([]) == []
