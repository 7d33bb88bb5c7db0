"""When does the heart beat, and when is an attempt to be stopped?"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stages.engine.drain import Drain
from stages.engine.errors import RevokedError
from stages.engine.store import Claim
from stages.engine.vigil import Limits, StoppedError, Vigil
from stages.engine.work.outcome import Stop
from tests.fakes import Yard


@pytest.fixture
def claim(yard: Yard) -> Iterator[Claim]:
    yard.add("ds1")
    claim = yard.claim("ds1")
    os.utime(claim.private, (1, 1))
    yield claim
    yard.fs.close(claim.handle)


def vigil(yard: Yard, limits: Limits | None = None, drain: Drain | None = None) -> Vigil:
    return Vigil(store=yard.store(), drain=drain or Drain(), limits=limits or Limits(), heartbeat_seconds=30.0)


def has_beaten(claim: Claim) -> bool:
    beaten = os.stat(claim.private).st_mtime > 1
    os.utime(claim.private, (1, 1))
    return beaten


def test_it_beats_every_heartbeat_and_not_more_often(yard: Yard, claim: Claim) -> None:
    watch = vigil(yard)
    watch.begin(claim)
    beats: list[bool] = []
    for _ in range(5):
        assert watch.watch() is None
        beats.append(has_beaten(claim))
        yard.clock.advance(15.0)
    assert beats == [False, False, True, False, True]


def test_bytes_that_move_are_heartbeats_too(yard: Yard, claim: Claim) -> None:
    watch = vigil(yard)
    watch.begin(claim)
    yard.clock.advance(30.0)
    watch.progress()
    assert has_beaten(claim)


def test_without_an_attempt_nothing_beats(yard: Yard, claim: Claim) -> None:
    watch = vigil(yard)
    watch.begin(claim)
    watch.end()
    yard.clock.advance(60.0)
    assert watch.watch() is None
    assert not has_beaten(claim)


def test_a_place_that_is_gone_means_revoked(yard: Yard, claim: Claim) -> None:
    watch = vigil(yard)
    watch.begin(claim)
    yard.fs.remove_tree(claim.private)
    assert watch.watch() is None  # not yet time to beat
    yard.clock.advance(30.0)
    assert watch.watch() is Stop.REVOKED
    yard.clock.advance(30.0)
    with pytest.raises(RevokedError):
        watch.progress()


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT, errno.EACCES])
def test_a_beat_that_fails_is_tried_again_at_the_next(yard: Yard, claim: Claim, number: int) -> None:
    watch = vigil(yard)
    watch.begin(claim)
    yard.fs.fail("touch", claim.private, number, times=1)
    yard.clock.advance(30.0)
    assert watch.watch() is None
    assert not has_beaten(claim)
    yard.clock.advance(30.0)
    assert watch.watch() is None
    assert has_beaten(claim)


def test_asked_to_stop_the_attempt_has_half_the_grace_to_finish(yard: Yard, claim: Claim) -> None:
    drain = Drain()
    watch = vigil(yard, Limits(grace_seconds=20.0), drain)
    watch.begin(claim)
    drain.request()
    assert watch.watch() is None
    yard.clock.advance(9.0)
    assert watch.watch() is None
    yard.clock.advance(1.0)
    assert watch.watch() is Stop.DRAIN
    with pytest.raises(StoppedError) as caught:
        watch.progress()
    assert caught.value.stop is Stop.DRAIN


def test_asked_twice_it_stops_at_once(yard: Yard, claim: Claim) -> None:
    drain = Drain()
    watch = vigil(yard, drain=drain)
    watch.begin(claim)
    drain.request()
    drain.request()
    assert watch.watch() is Stop.DRAIN


def test_warned_of_the_limit_the_attempt_has_until_then(yard: Yard, claim: Claim) -> None:
    drain = Drain()
    watch = vigil(yard, Limits(deadline=yard.clock.monotonic() + 320.0, grace_seconds=20.0), drain)
    watch.begin(claim)
    drain.warn()
    yard.clock.advance(299.0)
    assert watch.watch() is None
    yard.clock.advance(1.0)
    assert watch.watch() is Stop.DEADLINE


def test_warned_of_a_limit_that_nobody_knows_the_attempt_has_half_the_grace(yard: Yard, claim: Claim) -> None:
    drain = Drain()
    watch = vigil(yard, Limits(grace_seconds=20.0), drain)
    watch.begin(claim)
    drain.warn()
    assert watch.watch() is None
    yard.clock.advance(10.0)
    assert watch.watch() is Stop.DRAIN


def test_told_to_end_after_a_warning_it_has_half_the_grace_from_then(yard: Yard, claim: Claim) -> None:
    drain = Drain()
    watch = vigil(yard, Limits(deadline=yard.clock.monotonic() + 320.0, grace_seconds=20.0), drain)
    watch.begin(claim)
    drain.warn()
    yard.clock.advance(100.0)
    drain.request()
    assert watch.watch() is None
    yard.clock.advance(10.0)
    assert watch.watch() is Stop.DRAIN


@pytest.mark.parametrize("ask", [Drain.request, Drain.warn])
def test_without_an_attempt_there_is_nothing_to_be_patient_for(yard: Yard, ask: Callable[[Drain], None]) -> None:
    drain = Drain()
    watch = vigil(yard, Limits(deadline=yard.clock.monotonic() + 320.0), drain)
    assert watch.watch() is None
    ask(drain)
    assert watch.watch() is Stop.DRAIN


def test_the_grace_is_kept_free_before_a_deadline(yard: Yard, claim: Claim) -> None:
    deadline = yard.clock.monotonic() + 120.0
    watch = vigil(yard, Limits(deadline=deadline, grace_seconds=20.0))
    watch.begin(claim)
    assert watch.seconds_left() == 100.0
    yard.clock.advance(99.0)
    assert watch.watch() is None
    yard.clock.advance(1.0)
    assert watch.watch() is Stop.DEADLINE
    assert watch.had_full_time()


def test_what_is_not_likely_to_be_finished_is_not_begun(yard: Yard, claim: Claim) -> None:
    watch = vigil(yard, Limits(deadline=yard.clock.monotonic() + 120.0, grace_seconds=20.0))
    assert watch.has_time()
    watch.begin(claim)
    yard.clock.advance(40.0)
    watch.end()
    assert watch.has_time()  # 60 s are left, half as much again as the longest took
    yard.clock.advance(1.0)
    assert not watch.has_time()
    watch.begin(claim)
    assert not watch.had_full_time()


def test_who_has_seen_no_dataset_begins_one_in_the_first_half_of_its_time(yard: Yard) -> None:
    watch = vigil(yard, Limits(deadline=yard.clock.monotonic() + 120.0, grace_seconds=20.0))
    watch.ready()
    yard.clock.advance(50.0)
    assert watch.has_time()
    yard.clock.advance(1.0)
    assert not watch.has_time()


def test_what_no_attempt_can_exceed_is_enough(yard: Yard) -> None:
    deadline = yard.clock.monotonic() + 120.0
    watch = vigil(yard, Limits(deadline=deadline, grace_seconds=20.0, work_seconds_max=10.0))
    watch.ready()
    yard.clock.advance(90.0)
    assert watch.has_time()
    yard.clock.advance(1.0)
    assert not watch.has_time()


@pytest.mark.parametrize(("looked_seconds", "full"), [(0.0, True), (10.0, True), (11.0, False)])
def test_time_that_went_by_in_looking_is_not_the_datasets_fault(
    yard: Yard, claim: Claim, looked_seconds: float, full: bool
) -> None:
    watch = vigil(yard, Limits(deadline=yard.clock.monotonic() + 170.0, grace_seconds=20.0))
    yard.clock.advance(50.0)  # being set up takes its time in every poller
    watch.ready()
    yard.clock.advance(looked_seconds)
    watch.begin(claim)
    yard.clock.advance(100.0)
    assert watch.watch() is Stop.DEADLINE
    assert watch.had_full_time() is full


def test_without_a_deadline_there_is_always_time(yard: Yard) -> None:
    watch = vigil(yard)
    assert watch.has_time()
    assert watch.seconds_left() == float("inf")


@pytest.mark.parametrize(("heartbeat_seconds", "watch_seconds"), [(0.2, 0.2), (30.0, 1.0)])
def test_it_wants_to_be_asked_often_enough(yard: Yard, heartbeat_seconds: float, watch_seconds: float) -> None:
    watch = Vigil(store=yard.store(), drain=Drain(), limits=Limits(), heartbeat_seconds=heartbeat_seconds)
    assert watch.watch_seconds == watch_seconds


def test_the_private_place_is_what_beats(yard: Yard, claim: Claim) -> None:
    watch = vigil(yard)
    watch.begin(claim)
    dataset = os.stat(claim.input).st_mtime_ns
    yard.clock.advance(30.0)
    watch.watch()
    assert has_beaten(claim)
    assert Path(claim.input).stat().st_mtime_ns == dataset
