"""How is the next dataset found: one listing kept, claims tried directly, refused ones not asked for ever."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.engine.discovery import AGAIN_SECONDS, LIST_SECONDS_MIN, TROUBLED_SECONDS, Discovery, Ring
from stages.engine.errors import StorageError
from stages.engine.policy import Cause
from tests.fakes import Yard


@given(st.lists(st.text(), unique=True), st.integers(0, 50), st.lists(st.booleans()))
def test_a_ring_gives_everything_once_however_one_jumps(found: list[str], start: int, jumps: list[bool]) -> None:
    ring, rng, taken = Ring(found, start), Random(1), list[str]()
    while len(ring):
        taken.append(ring.take())
        if jumps and jumps.pop():
            ring.jump(rng)
    assert sorted(taken) == sorted(found)
    with pytest.raises(IndexError):
        ring.take()


def test_a_ring_walks_on_from_where_it_starts() -> None:
    ring = Ring(["a", "b", "c", "d"], 2)
    assert [ring.take() for _ in range(4)] == ["c", "d", "a", "b"]


class Counted:
    """Counts how often a location is listed, and how often a claim is tried."""

    def __init__(self, yard: Yard) -> None:
        self.listings = self.claims = 0
        yard.fs.before("listdir", str(yard.a), self._listing, times=1_000_000)
        yard.fs.before("symlink", "taken.first.1", self._claim, times=1_000_000)
        self._a = str(yard.a)

    def _listing(self) -> None:
        self.listings += 1

    def _claim(self) -> None:
        self.claims += 1


def discovery(yard: Yard, seed: int = 1) -> Discovery:
    return Discovery(yard.store(), Random(seed), lease_seconds=180.0)


def take(yard: Yard, found: Discovery, *, finish: bool = True) -> str | None:
    """Claim the next one and, unless it is left in flight, publish it."""
    claim = found.next()
    if claim is None:
        return None
    if finish:
        assert yard.store().commit(claim)
    yard.fs.close(claim.handle)
    return claim.attempt.dataset


def settle(yard: Yard) -> None:
    """Let the location stand still for so long that the next listing shows all of it."""
    yard.clock.advance(LIST_SECONDS_MIN + 1)


def test_all_are_found_with_one_listing(yard: Yard) -> None:
    for number in range(20):
        yard.add(f"ds{number}")
    counted, found = Counted(yard), discovery(yard)
    assert {take(yard, found) for _ in range(20)} == {f"ds{number}" for number in range(20)}
    assert (counted.listings, counted.claims) == (1, 20)


def test_what_is_the_engines_is_no_candidate(yard: Yard) -> None:
    yard.add("ds1")
    for name in ("_work2", "_names", ".hidden", ".probe.1", "^", "`", "-x", "zz"):
        (yard.a / name).mkdir()
    found = discovery(yard)
    assert {take(yard, found) for _ in range(6)} == {"ds1", "^", "`", "-x", "zz", None}


def test_pollers_start_at_different_places(yard: Yard) -> None:
    for number in range(20):
        yard.add(f"ds{number:02}")
    firsts = {take(yard, discovery(yard, seed), finish=False) for seed in range(6)}
    assert len(firsts) == 6


def test_a_directory_that_stands_still_is_not_listed_again(yard: Yard) -> None:
    counted, found = Counted(yard), discovery(yard)
    assert take(yard, found) is None
    settle(yard)
    assert take(yard, found) is None  # the last listing that could have missed something
    listings = counted.listings
    for _ in range(5):
        yard.clock.advance(LIST_SECONDS_MIN + 1)
        assert take(yard, found) is None
    assert counted.listings == listings
    yard.clock.advance(60.0)
    assert take(yard, found) is None
    assert counted.listings == listings + 1  # a full pass, now and then


def test_a_change_within_the_last_two_seconds_is_not_trusted(yard: Yard) -> None:
    """A second change within one tick of the server's clock leaves the same mtime."""
    os.utime(yard.a, (1, 1))
    found = discovery(yard)
    assert take(yard, found) is None
    yard.add("ds1")
    os.utime(yard.a, (1, 1))  # the same tick
    yard.clock.advance(1.0)
    assert take(yard, found) == "ds1"


def test_what_arrives_is_found_at_once_when_nothing_is_left(yard: Yard) -> None:
    found = discovery(yard)
    assert take(yard, found) is None
    yard.add("ds1")
    assert take(yard, found) == "ds1"


def test_a_young_listing_is_trusted_while_it_lasts(yard: Yard) -> None:
    for number in range(3):
        yard.add(f"ds{number}")
    counted, found = Counted(yard), discovery(yard)
    assert take(yard, found) is not None
    yard.add("late")
    assert take(yard, found) != "late"
    assert counted.listings == 1
    yard.clock.advance(LIST_SECONDS_MIN + 1)
    assert {take(yard, found), take(yard, found)} >= {"late"}
    assert counted.listings == 2


def test_many_losses_mean_a_new_listing(yard: Yard) -> None:
    for number in range(40):
        yard.add(f"ds{number}")
    counted, found = Counted(yard), discovery(yard)
    assert take(yard, found) is not None
    for path in list(yard.a.glob("ds*")):
        shutil.rmtree(path)  # others were quicker
    yard.add("late")
    assert take(yard, found) == "late"
    assert (counted.listings, counted.claims) == (2, 1 + 11 + 1)  # 8 + 40/16 losses are borne, and one more


def test_a_dataset_in_flight_is_asked_for_now_and_then(yard: Yard) -> None:
    yard.add("ds1")
    claim = yard.claim("ds1")
    counted, found = Counted(yard), discovery(yard)
    assert take(yard, found) is None
    soonest = found.soonest()
    assert soonest == yard.clock.monotonic() + AGAIN_SECONDS
    assert take(yard, found) is None
    assert counted.claims == 1
    yard.store().end(claim, Cause.RELEASED, "x")
    yard.fs.close(claim.handle)
    yard.clock.advance(AGAIN_SECONDS)
    assert take(yard, found) == "ds1"
    assert found.soonest() is None


def test_a_dataset_backing_off_is_asked_for_when_its_time_has_come(yard: Yard) -> None:
    yard.add("ds1")
    claim = yard.claim("ds1")
    yard.store().end(claim, Cause.FAILED, "boom")
    yard.fs.close(claim.handle)
    counted, found = Counted(yard), discovery(yard)
    assert take(yard, found) is None
    soonest = found.soonest()
    assert soonest is not None
    assert 29.9 < soonest - yard.clock.monotonic() <= 30.0
    for _ in range(5):
        yard.clock.advance(5.0)
        assert take(yard, found) is None
    assert counted.claims == 1
    yard.clock.advance(5.0)
    assert take(yard, found) == "ds1"


@pytest.mark.parametrize("trouble", ["file", "damaged", "no permission", "blocked"])
def test_what_cannot_be_claimed_is_no_ones_loop(yard: Yard, trouble: str) -> None:
    path = yard.a / "bad"
    if trouble == "file":
        path.write_text("x")
    else:
        yard.add("bad")
    if trouble == "damaged":
        (path / "taken.first.1").touch()
    if trouble == "no permission":
        yard.fs.fail("symlink", "/bad/", errno.EACCES)
    if trouble == "blocked":
        claim = yard.claim("bad")
        os.symlink(f"publish:{claim.attempt.token}:0:0:0:ok", path / "ended.first.1")
        yard.fs.close(claim.handle)
        (yard.b / "bad").write_text("in the way")
    yard.add("good")
    found = discovery(yard)
    assert take(yard, found) == "good"
    assert take(yard, found) is None
    assert found.soonest() == yard.clock.monotonic() + TROUBLED_SECONDS


def test_a_dataset_that_was_taken_away_is_forgotten(yard: Yard) -> None:
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    found = discovery(yard)
    assert take(yard, found) is None
    yard.fs.close(claim.handle)
    shutil.rmtree(path)
    settle(yard)
    assert take(yard, found) is None
    assert found.soonest() is None


def test_a_location_that_cannot_be_listed_is_no_empty_one(yard: Yard) -> None:
    yard.fs.fail("listdir", str(yard.a), errno.EIO)
    with pytest.raises(OSError):
        discovery(yard).next()
    yard.fs.calm()
    yard.add("ds1")
    yard.fs.fail("symlink", "taken", errno.EIO)
    with pytest.raises(StorageError):
        discovery(yard).next()


def test_a_million_finished_ones_cost_nothing(yard: Yard) -> None:
    for number in range(50):
        (yard.a / "_done" / f"old{number}~ab9c6d45").mkdir()
    yard.fs.fail("listdir", "_done", errno.EIO)
    yard.fs.fail("scan", "_done", errno.EIO)
    yard.add("ds1")
    assert take(yard, discovery(yard)) == "ds1"
    assert Path(yard.b / "ds1").is_dir()
