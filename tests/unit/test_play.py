"""Two sides on one file system: do they come to an end, and do they see what is wrong with it?"""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import ClassVar

import pytest

from stages.engine import storage
from stages.engine.clock import SystemClock
from stages.engine.fs import FileSystem
from stages.engine.measurements import Look, Report, decode
from stages.engine.meeting import Meeting, Side, SilentError
from stages.engine.places import LEFT_SECONDS, new_place, remove_leftovers
from stages.engine.play import Actor, Scale, report_in
from stages.engine.posix import Posix
from stages.engine.probes import Verdict
from tests.fakes import FakeClock
from tests.faults import Fault, FaultyFileSystem, LateName, LostReply
from tests.unit.test_doctor import ByPath

SMALL = Scale(rounds=90, race_seconds=20.0, looks=2, look_seconds=0.5)  # where something is never seen
PATIENT = replace(SMALL, look_seconds=30.0)  # where everything is, however busy this host


def play(top: Path, make: Callable[[], FileSystem], scale: Scale = PATIENT) -> tuple[Report, Report]:
    """Let two sides play, each with a door of its own."""
    place = new_place(str(top))
    actors = [Actor(fs=make(), clock=SystemClock(), side=side, who=side, boot="", scale=scale) for side in Side]

    def perform(actor: Actor) -> Report:
        return actor.perform(place, 10.0)

    with ThreadPoolExecutor(2) as threads:
        a, b = threads.map(perform, actors)
    for side, report in zip(Side, (a, b), strict=True):
        assert decode(Path(report_in(place, side)).read_bytes()) == report
    return a, b


def refused(a: Report, b: Report) -> dict[str, str]:
    return {one.probe: one.detail for one in storage.judge(a, b) if one.verdict is Verdict.REFUSED}


class Replacing(Posix):
    """A second symlink of one name replaces the first: a create that is not exclusive."""

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        if at is None and os.path.islink(name):
            os.unlink(name)
        super().symlink(value, name, at)


class InTwoSteps(Posix):
    """A symlink is made first, and gets its target a moment later: when the other side has looked, or might have."""

    looked: ClassVar[defaultdict[str, Event]] = defaultdict(Event)

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        if at is not None or "/symlink." not in name:
            super().symlink(value, name, at)
            return
        super().symlink("-", name)
        self.looked[name].wait(0.2)
        os.symlink(value, f"{name}.{value}")
        os.replace(f"{name}.{value}", name)

    def readlink(self, name: str, at: int | None = None) -> str:
        found = super().readlink(name, at)
        self.looked[name].set()
        return found


class Vanishing(Posix):
    """Who puts a register while another one asks for it is refused, and it is gone: glusterfs on one brick."""

    asked: ClassVar[defaultdict[str, Event]] = defaultdict(Event)

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        try:
            super().symlink(value, name, at)
        except FileExistsError:
            self.asked[name].set()
            raise
        if "/symlink." in name and name.endswith("7") and self.asked[name].wait(0.2):
            os.unlink(name)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


class Lenient(Posix):
    """A directory that is there already is no error."""

    def mkdir(self, path: str) -> None:
        if not os.path.isdir(path):
            super().mkdir(path)


class Copying(Posix):
    """Renaming leaves the source where it is."""

    def rename(self, source: str, target: str) -> None:
        if "/rename." not in source:
            super().rename(source, target)
        else:
            os.mkdir(target)


class Believing(Posix):
    """What was once not there is not there, and may be made: a client that trusts its word of absence."""

    def __init__(self) -> None:
        self._absent: set[str] = set()

    def readlink(self, name: str, at: int | None = None) -> str:
        try:
            return super().readlink(name, at)
        except FileNotFoundError:
            self._absent.add(name)
            raise

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        if name in self._absent and os.path.islink(name):
            return
        super().symlink(value, name, at)


class Still(Posix):
    """Directories' times are those of the first look: heartbeats stand still, as with `nocto`."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def mtime_ns(self, path: str) -> int:
        return self._seen.setdefault(path, super().mtime_ns(path))

    def touch(self, place: str | int) -> None:
        super().touch(place)
        self._seen.pop(str(place), None)  # of one's own changes a client knows


class Deaf(Posix):
    """A listing is kept for ever."""

    def __init__(self) -> None:
        self._seen: dict[str, list[str]] = {}

    def listdir(self, place: str | int) -> list[str]:
        if isinstance(place, int) or "meeting" in place:
            return super().listdir(place)
        return self._seen.setdefault(place, super().listdir(place))


class Blind(Posix):
    """Nothing that others make is ever listed."""

    def listdir(self, place: str | int) -> list[str]:
        return []


def test_a_file_system_that_keeps_its_promises_is_good(tmp_path: Path) -> None:
    a, b = play(tmp_path, Posix)
    assert refused(a, b) == {}
    assert len(a.races[0].won) == SMALL.rounds
    assert a.clock.tick_seconds is not None
    assert [len(a.looks[look]) for look in Look] == [2, 2, 2, 1]


@pytest.mark.parametrize(
    ("make", "probe"),
    [
        (Replacing, "raced symlink, looked for before"),
        (Believing, "raced symlink, looked for before"),
        (InTwoSteps, "raced symlink"),
        (Vanishing, "raced symlink"),
        (Lenient, "raced mkdir"),
        (Copying, "raced rename of one source"),
        (ByPath, "handles follow the other side's rename"),
        (Still, "a heartbeat"),
        (Deaf, "a new name in a listing"),
    ],
)
def test_a_file_system_that_breaks_one_is_refused(tmp_path: Path, make: Callable[[], Posix], probe: str) -> None:
    assert probe in refused(*play(tmp_path, make, SMALL))


def test_a_loser_that_is_told_something_else_is_noted(tmp_path: Path) -> None:
    """As on glusterfs and sshfs: whatever the call says, the registers say who won."""

    def make() -> FileSystem:
        lost = LostReply(calls={"symlink", "rename"}, where="/symlink.", times=20)
        return FaultyFileSystem(Posix(), lost, Fault(calls={"rename"}, where="/rename.", error=errno.EIO, done=True))

    a, b = play(tmp_path, make)
    assert refused(a, b) == {}
    (noted,) = [one for one in storage.judge(a, b) if one.probe == "raced rename of one source"]
    assert noted.verdict is Verdict.NOTE


def test_names_that_are_seen_late_are_a_note_and_a_lease(tmp_path: Path) -> None:
    def make() -> FileSystem:
        return FaultyFileSystem(Posix(), late=LateName(where="STALE/", looks=10**6))

    a, b = play(tmp_path, make, replace(SMALL, look_seconds=2.0))
    assert (a.looks[Look.STALE], b.looks[Look.STALE]) == ((None,), (None,))
    assert refused(a, b) == {}


def test_a_side_whose_other_never_comes_says_so(tmp_path: Path) -> None:
    alone = Actor(fs=Posix(), clock=FakeClock(), side=Side.A, who="a", boot="")
    with pytest.raises(SilentError, match="not heard of for 7 s"):
        alone.perform(new_place(str(tmp_path)), 7.0)


def test_names_that_are_never_seen_end_a_meeting(tmp_path: Path) -> None:
    meeting = Meeting(fs=Blind(), clock=FakeClock(), place=str(tmp_path), side=Side.A, patience_seconds=1.0)
    (tmp_path / "0.b.").symlink_to("here")
    with pytest.raises(SilentError):
        meeting.come()


class StoppedError(Exception):
    pass


def stop() -> None:
    raise StoppedError


def test_who_waits_learns_that_the_other_has_ended(tmp_path: Path) -> None:
    meeting = Meeting(fs=Posix(), clock=FakeClock(), place=str(tmp_path), side=Side.A, patience_seconds=1.0, check=stop)
    with pytest.raises(StoppedError):
        meeting.come()


def test_what_a_killed_probe_left_is_removed_by_the_next_and_nothing_else(tmp_path: Path) -> None:
    for name in (".probe.old", ".probe.at-work", ".probe.met", "PHASE_4", ".other"):
        (tmp_path / name / "meeting").mkdir(parents=True)
    long_ago = SystemClock().now() - LEFT_SECONDS - 60
    for name in (".probe.old", ".probe.old/meeting", ".probe.met", "PHASE_4", ".other"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    assert remove_leftovers(Posix(), str(tmp_path)) == [".probe.old"]
    assert sorted(os.listdir(tmp_path)) == [".other", ".probe.at-work", ".probe.met", "PHASE_4"]
