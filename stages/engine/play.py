"""A play of two processes on one file system: what one side does from its entrance to its report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stages.engine.clock import Clock
from stages.engine.fs import FileSystem
from stages.engine.looks import LATE_SECONDS, Looks
from stages.engine.measurements import Contest, Look, Report, encode
from stages.engine.meeting import Meeting, Side
from stages.engine.mounts import mount_of
from stages.engine.places import MEETING
from stages.engine.races import Races

PATIENCE_SECONDS = 100.0  # more than the other side may spend with looking
_QUICK = (Look.LISTING, Look.HEARTBEAT, Look.REGISTER)
_LATE, _SOON = "late", "soon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is tried out: in all, some seconds on a local disk and a minute on a network."""

    rounds: int = 2000  # of each contest, or as many as there is time for
    race_seconds: float = 4.0
    looks: int = 5
    look_seconds: float = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One side: who it is, for people, and the boot of its host."""

    fs: FileSystem
    clock: Clock
    side: Side
    who: str
    boot: str
    scale: Scale = Scale()
    check: Callable[[], None] = lambda: None

    def perform(self, place: str, entrance_seconds: float = PATIENCE_SECONDS) -> Report:
        """Play one side in the directory `place`, which the first to come makes; its report is left there, too.

        Raises SilentError if the other does not come in `entrance_seconds`, or falls silent later.
        """
        for path in (place, f"{place}/{MEETING}"):
            _make(self.fs, path)
        meeting = Meeting(
            fs=self.fs,
            clock=self.clock,
            place=f"{place}/{MEETING}",
            side=self.side,
            patience_seconds=PATIENCE_SECONDS,
            check=self.check,
        )
        meeting.come(patience_seconds=entrance_seconds)
        report = self._measure(place, meeting)
        self.fs.replace(report_in(place, self.side), encode(report))
        meeting.come()
        return report

    def _measure(self, place: str, meeting: Meeting) -> Report:
        fs, clock, scale = self.fs, self.clock, self.scale
        looks = Looks(fs=fs, clock=clock, meeting=meeting, place=place, seconds=scale.look_seconds)
        races = Races(
            fs=fs,
            clock=clock,
            meeting=meeting,
            place=place,
            rounds_max=scale.rounds,
            seconds=scale.race_seconds,
        )
        server_clock = looks.read_clock()
        held = tuple(races.hold(contest) for contest in Contest)
        races.clear_up()
        return Report(
            who=self.who,
            boot=self.boot,
            mount=mount_of(fs, place),
            clock=server_clock,
            races=held,
            early=looks.race_too_early(),
            landed=looks.move_an_open_directory(),
            looks=_all_looks(looks, meeting, scale.looks),
            look_seconds=scale.look_seconds,
        )


def _all_looks(looks: Looks, meeting: Meeting, rounds: int) -> dict[Look, tuple[float | None, ...]]:
    """Look several times, but at what may take longest once; where others take long as well, once is enough."""
    seen = {look: [seconds] for look, seconds in looks.watch("look.0", list(Look)).items()}
    for number in range(1, rounds):
        latest = [seen[look][-1] for look in _QUICK]
        word = _LATE if any(seconds is None or seconds > LATE_SECONDS for seconds in latest) else _SOON
        if _LATE in (word, meeting.come(word)):
            break
        for look, seconds in looks.watch(f"look.{number}", _QUICK).items():
            seen[look].append(seconds)
    return {look: tuple(samples) for look, samples in seen.items()}


def report_in(place: str, side: Side) -> str:
    """Return where a side leaves its report."""
    return f"{place}/{side}.json"


def _make(fs: FileSystem, path: str) -> None:
    try:
        fs.mkdir(path)
    except FileExistsError:
        pass
