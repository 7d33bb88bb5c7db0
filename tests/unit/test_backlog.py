"""Is a stage's backlog counted right, and cheaply where 100,000 datasets wait?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stages.engine import backlog, sightings
from stages.engine.backlog import TRUSTED_SECONDS, Backlog
from stages.engine.finding import Action
from stages.engine.fs import Entry
from stages.engine.posix import Posix
from stages.engine.sightings import BackingOff, Sightings
from tests.fakes import START, Yard


class Counted(Posix):
    """The real file system, counting what it is asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def listdir(self, place: str | int) -> list[str]:
        self.calls.append("listdir")
        return super().listdir(place)

    def scan(self, path: str) -> list[Entry]:
        self.calls.append("scan")
        return super().scan(path)

    def opendir(self, path: str) -> int:
        self.calls.append("opendir")
        return super().opendir(path)

    def read(self, path: str) -> bytes:
        self.calls.append("read")
        return super().read(path)


def look(yard: Yard, fs: Posix | None = None) -> Backlog:
    return backlog.look(fs or Posix(), yard.root, yard.spec.name, yard.passage.reads, now=START)


def sweep_saw(yard: Yard, seen: Sightings, *, seconds_ago: float = 0) -> None:
    path = yard.root.sightings("boot", yard.spec.name)
    sightings.save(seen, Posix(), path, boot_id="boot", now=1.0)
    os.utime(path, (START - seconds_ago, START - seconds_ago))


@pytest.fixture
def five(yard: Yard) -> Yard:
    """Five datasets wait."""
    for number in range(5):
        Path(yard.passage.reads.path, f"ds{number}").mkdir()
    return yard


def test_what_waits_can_be_claimed(five: Yard) -> None:
    assert look(five).claimable == 5
    assert look(five) == Backlog(waiting=5, in_flight=0, held_back=0)


def test_what_is_at_work_cannot(five: Yard) -> None:
    for name in ("ds1.1.aaaaaaaa", "ds1.2.bbbbbbbb", "ds2.1.cccccccc", "gone.1.dddddddd", "junk"):
        Path(five.passage.reads.work, name).mkdir()
    assert look(five) == Backlog(waiting=5, in_flight=2, held_back=0)


def test_what_backs_off_cannot_until_it_may(five: Yard) -> None:
    waits = {"ds1": START + 60, "ds2": START - 1, "gone": START + 60}
    seen = Sightings(backing_off={name: BackingOff(1, int(when)) for name, when in waits.items()})
    sweep_saw(five, seen, seconds_ago=86400)
    assert look(five).claimable == 4


def test_what_waits_for_a_person_cannot_as_long_as_a_sweep_was_lately(five: Yard) -> None:
    """What SUSPECTED or STORAGE say passes by itself."""
    actions = [Action.BLOCKED, Action.NO_PERMISSION, Action.STORAGE, Action.DAMAGED, Action.NOT_A_DATASET]
    seen = Sightings(troubles={f"ds{number}": str(action) for number, action in enumerate(actions)})
    sweep_saw(five, seen)
    assert look(five) == Backlog(waiting=5, in_flight=0, held_back=4)
    sweep_saw(five, seen, seconds_ago=TRUSTED_SECONDS + 1)
    assert look(five).claimable == 5


def test_each_dataset_counts_once(five: Yard) -> None:
    Path(five.passage.reads.work, "ds1.1.aaaaaaaa").mkdir()
    sweep_saw(five, Sightings(backing_off={"ds1": BackingOff(1, int(START + 60))}))
    assert look(five) == Backlog(waiting=5, in_flight=1, held_back=0)


@pytest.mark.parametrize("waiting", [1, 300])
def test_the_number_of_calls_is_the_same_however_many_wait(yard: Yard, waiting: int) -> None:
    for number in range(waiting):
        Path(yard.passage.reads.path, f"ds{number}").mkdir()
    sweep_saw(yard, Sightings())
    fs = Counted()
    assert look(yard, fs).waiting == waiting
    assert sorted(fs.calls) == ["listdir", "listdir", "read", "scan"]


def test_a_hundred_thousand_cost_little_more_than_their_listing(yard: Yard) -> None:
    """No directory is opened; names are all there is to go through."""

    class Many(Counted):
        def listdir(self, place: str | int) -> list[str]:
            super().listdir(place)
            return [f"ds{number}" for number in range(100_000)] if place == yard.passage.reads.path else []

    fs = Many()
    assert look(yard, fs).claimable == 100_000
    assert len(fs.calls) == 3
