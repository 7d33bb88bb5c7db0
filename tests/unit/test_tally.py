"""Does an operator read what was published, and no more lines than can be read?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loguru import logger

from stages.engine.names import Attempt
from stages.engine.tally import LINES_MAX, Tally
from tests.fakes import Yard


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What was logged."""
    lines: list[str] = []
    handler = logger.add(lambda line: lines.append(line.rstrip()), format="{message} {extra[dataset]}")
    yield lines
    logger.remove(handler)


def note(tally: Tally, count: int) -> None:
    for number in range(count):
        tally.note(Attempt(f"ds{number}", 1, "0123abcd"))


def test_each_dataset_has_its_line(yard: Yard, said: list[str]) -> None:
    tally = Tally(yard.clock)
    for _ in range(3):
        note(tally, LINES_MAX)
        yard.clock.advance(1.0)
    tally.tell()
    assert said == [f"published ds{number}" for number in range(LINES_MAX)] * 3


def test_too_many_for_a_second_share_a_line_at_the_next_occasion(yard: Yard, said: list[str]) -> None:
    tally = Tally(yard.clock)
    note(tally, LINES_MAX + 7)
    assert len(said) == LINES_MAX
    yard.clock.advance(1.0)
    note(tally, 1)
    assert said[LINES_MAX:] == ["published, the last of 7 more ds26", "published ds0"]


def test_what_is_not_said_is_told_once(yard: Yard, said: list[str]) -> None:
    tally = Tally(yard.clock)
    tally.tell()
    note(tally, LINES_MAX + 2)
    tally.tell()
    tally.tell()
    note(tally, 1)
    tally.tell()
    assert said[LINES_MAX:] == ["published, the last of 2 more ds21", "published, the last of 1 more ds0"]
