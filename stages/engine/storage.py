"""What the measurements of two sides mean: is this a storage for phaseline, and with which settings? Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from stages.engine import mounts
from stages.engine.looks import LATE_SECONDS
from stages.engine.measurements import MOVED, NAMESAKE, THERE, Contest, Early, Look, Race, Report
from stages.engine.probes import SKEW_SECONDS, Finding, Verdict
from stages.engine.spec import HEARTBEATS_IN_A_LEASE, StageSpec

APART_SECONDS = 1.0  # what is seen sooner than this may be what the sides of the play were apart
ANOTHER = "use another file system for the root"
ASKS = "opening a directory has to ask the server: mount without nocto and without long attribute caches, or "
FRESH = (Look.LISTING, Look.HEARTBEAT, Look.REGISTER)


class Fitness(StrEnum):
    """What is said of a storage in the end."""

    GOOD = "good"
    WITH_SETTINGS = "good with these settings"
    DO_NOT = "do not"
    UNKNOWN = "not known"  # the two sides did not come to their end


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A key of a stage.toml that says too little for this storage: `seconds` is the least that would do."""

    stage: str
    where: str
    key: str
    now_seconds: float
    seconds: float
    why: str

    @property
    def finding(self) -> Finding:
        return Finding(
            probe=f"stage {self.stage}",
            verdict=Verdict.NOTE,
            detail=f"{self.key} = {self.now_seconds:g} is too short here: {self.why}",
            todo=f"set {self.key} = {self.seconds:g} in {self.where}",
        )


class Bound(NamedTuple):
    """The least that a setting may say, and why."""

    seconds: float
    why: str


NO_BOUND = Bound(0.0, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What any stage's settings have to keep to on a storage."""

    heartbeat: Bound
    expires: Bound
    idle: Bound


def fitness(findings: Iterable[Finding], settings: Sequence[Setting]) -> Fitness:
    """Say it in one word: a refusal goes before everything."""
    if any(finding.verdict is Verdict.REFUSED for finding in findings):
        return Fitness.DO_NOT
    return Fitness.WITH_SETTINGS if settings else Fitness.GOOD


def judge(a: Report, b: Report) -> list[Finding]:
    """Say what was found, a line for each thing."""
    told = [_sides(a, b)]
    told += [judge_race(one, other) for one, other in zip(a.races, b.races, strict=True)]
    told += [judge_early(a.early, b.early), judge_handles(a.landed, b.landed)]
    told += [judge_look(look, (*a.looks[look], *b.looks[look]), a.look_seconds) for look in Look]
    return [*told, *_clocks(a, b)]


def judge_race(a: Race, b: Race) -> Finding:
    """Each round has exactly one winner, and both read the same one.

    Of a directory that is there nobody needs to have been told that he made it: a reply may have been lost.
    """
    probe = f"raced {a.contest}"
    wins, reads = list(zip(a.won, b.won, strict=True)), list(zip(a.read, b.read, strict=True))
    both = wins.count(("1", "1"))
    orphans = sum(win == ("0", "0") and said == (THERE, THERE) for win, said in zip(wins, reads, strict=False))
    nobody = wins.count(("0", "0")) - orphans
    if both or nobody:
        detail = f"of {len(wins)} rounds {both} had two winners, {nobody} none{_told(a, b)}"
        return Finding(probe=probe, verdict=Verdict.REFUSED, detail=detail, todo=ANOTHER)
    winners = ["ab"[win.index("1")] if "1" in win else "" for win in wins]
    expected = [(one, one) if a.contest is Contest.SYMLINK else (THERE, THERE) for one in winners]
    misread = sum(said != right for right, said in zip(expected, reads, strict=False))
    if misread:
        detail = f"in {misread} of {len(wins)} rounds something else was read than was written"
        return Finding(probe=probe, verdict=Verdict.REFUSED, detail=detail, todo=ANOTHER)
    turns = sum(one != following for one, following in pairwise(filter(None, winners)))
    detail = f"one winner in each of {len(wins)} rounds, {winners.count('a')} and {winners.count('b')}"
    if orphans:
        detail = f"one in each of {len(wins)} rounds, of which {orphans} were told to neither: a reply was lost"
    if turns == 0:
        detail += "; they were never close, which proves little: try again with --rounds"
        return Finding(probe=probe, verdict=Verdict.NOTE, detail=detail)
    detail += f"; the lead changed {turns} times{_told(a, b)}"
    return Finding(probe=probe, verdict=Verdict.NOTE if orphans or a.told or b.told else Verdict.OK, detail=detail)


def judge_early(a: Early, b: Early) -> Finding:
    """An exclusive create is answered by the server, whatever the client believes; then the value is read."""
    probe = f"raced {Contest.SYMLINK}, looked for before"
    tried, refused, read = a.tried + b.tried, a.refused + b.refused, a.read + b.read
    if refused < tried:
        detail = f"{tried - refused} of {tried} were made a second time"
        return Finding(probe=probe, verdict=Verdict.REFUSED, detail=detail, todo=ANOTHER)
    if read < tried:
        detail = f"{tried - read} of {tried} values were not read after the refusal"
        return Finding(probe=probe, verdict=Verdict.REFUSED, detail=detail, todo=ANOTHER)
    return Finding(probe=probe, detail=f"all {tried} refused by the server, and read at once")


def judge_handles(*landed: str) -> Finding:
    """What is written through an open directory lands in that directory, whoever has moved it (PROTOCOL 8, N7)."""
    probe = "handles follow the other side's rename"
    if all(name == MOVED for name in landed):
        return Finding(probe=probe)
    detail = "what was written went nowhere"
    if NAMESAKE in landed:
        detail = "an open directory is but a path: a register lands in another dataset of that name"
    return Finding(probe=probe, verdict=Verdict.REFUSED, detail=detail, todo=ANOTHER)


def judge_look(look: Look, samples: Sequence[float | None], look_seconds: float) -> Finding:
    """Say when it was seen, and what it means if that is late."""
    seen = [seconds for seconds in samples if seconds is not None]
    missing = len(samples) - len(seen)
    if missing and look in FRESH:
        detail = f"{missing} of {len(samples)} not seen within {look_seconds:g} s"
        return Finding(probe=look, verdict=Verdict.REFUSED, detail=detail, todo=ASKS + ANOTHER)
    slowest = look_seconds if missing else max(seen)
    if missing:
        detail = f"{missing} of {len(samples)} not seen within {look_seconds:g} s"
    else:
        detail = f"seen after {_short(median(seen))}, at worst {_short(slowest)} ({len(samples)} looks)"
    if slowest <= LATE_SECONDS:
        return Finding(probe=look, detail=detail)
    if look is Look.STALE:
        detail += ": this client keeps a word of absence, which delays what others do and loses nothing"
        return Finding(probe=look, verdict=Verdict.NOTE, detail=detail, todo="on NFS lookupcache=positive helps")
    return Finding(probe=look, verdict=Verdict.NOTE, detail=f"{detail}: others are followed late")


def bounds(reports: Sequence[Report]) -> Bounds:
    """Derive from what was measured what no stage may go below; each rule with its reason."""
    beats, listed, stale = (_worst(reports, look) for look in (Look.HEARTBEAT, Look.LISTING, Look.STALE))
    found = [report.mount for report in reports if report.mount is not None]
    ticks = max((report.clock.tick_seconds or 0.0 for report in reports), default=0.0)
    touch = max(report.clock.touch_seconds for report in reports)
    kept = max(map(mounts.cache_seconds, found), default=0.0)
    floor = mounts.LEASE_SECONDS_MIN if any(mount.is_network for mount in found) else 0.0
    return Bounds(
        heartbeat=_largest(
            Bound(2 * ticks, f"two ticks of the server's clock, {_short(ticks)} each"),
            Bound(10 * touch, f"ten times the {_short(touch)} that one took"),
        ),
        expires=_largest(
            Bound(floor, "the least on a network file system, whose clients keep what they saw for a minute"),
            Bound(4 * beats, f"three heartbeats and one more, each seen up to {_short(beats)} late"),
            Bound(2 * kept, f"twice the {kept:g} s for which this client may keep what it saw (acdirmax)"),
            Bound(2 * stale, f"twice the {_short(stale)} for which a name stayed out of sight"),
        ),
        idle=Bound(4 * listed, f"a poller that ends sooner misses datasets that are seen up to {_short(listed)} late"),
    )


def shortfalls(spec: StageSpec, least: Bounds) -> list[Setting]:
    """Return what of a stage's settings has to be raised. A lease follows its heartbeat."""
    lease, where = spec.lease, f"{spec.directory}/stage.toml"
    beat = max(lease.heartbeat_seconds, _whole(least.heartbeat.seconds))
    beats = Bound(HEARTBEATS_IN_A_LEASE * beat, f"{HEARTBEATS_IN_A_LEASE} heartbeats of {beat:g} s")
    wanted = (
        ("lease.heartbeat_seconds", lease.heartbeat_seconds, least.heartbeat),
        ("lease.expires_seconds", lease.expires_seconds, _largest(least.expires, beats)),
        ("pollers.idle_seconds", spec.pollers.idle_seconds, least.idle),
    )
    return [
        Setting(stage=spec.name, where=where, key=key, now_seconds=now, seconds=_whole(bound.seconds), why=bound.why)
        for key, now, bound in wanted
        if now < bound.seconds
    ]


def told_of_lease(least: Bounds) -> Finding:
    """Say what a lease has to be here: of every storage, whatever the stages say."""
    if least.expires.seconds < 1:
        return Finding(probe="lease", detail=f"any of {HEARTBEATS_IN_A_LEASE} heartbeats will do")
    seconds = _whole(least.expires.seconds)
    return Finding(probe="lease", detail=f"lease.expires_seconds of at least {seconds:g}: {least.expires.why}")


def _sides(a: Report, b: Report) -> Finding:
    detail = f"{a.who} and {b.who}"
    if a.boot == b.boot:
        detail += ", on one host: they share its caches, --from-nodes tries it from two"
    return Finding(probe="two sides", detail=detail)


def _clocks(a: Report, b: Report) -> list[Finding]:
    """No clocks are compared by the protocol: what they say is for people."""
    told: list[Finding] = []
    for report in (a, b) if a.boot != b.boot else (a,):
        clock = report.clock
        tick = f"; it ticks every {_short(clock.tick_seconds)}" if clock.tick_seconds is not None else ""
        detail = (
            f"the file server's is {clock.ahead_seconds:+.3f} s from that of {report.who}, "
            f"within {clock.within_seconds:.3f} s{tick}"
        )
        if abs(clock.ahead_seconds) - clock.within_seconds > SKEW_SECONDS:
            todo = "chronyd or ntpd on both: ages are shown off by that"
            told.append(Finding(probe="clock", verdict=Verdict.NOTE, detail=detail, todo=todo))
        else:
            told.append(Finding(probe="clock", detail=detail))
    return told


def _told(a: Race, b: Race) -> str:
    told = sorted({*a.told, *b.told})
    return f"; who lost was told {', '.join(told)} as well" if told else ""


def _worst(reports: Sequence[Report], look: Look) -> float:
    """What was not seen was not seen for as long as it was looked for; what was seen at once is 0."""
    worst = max(
        report.look_seconds if seconds is None else seconds for report in reports for seconds in report.looks[look]
    )
    return worst if worst >= APART_SECONDS else 0.0


def _largest(*found: Bound) -> Bound:
    return max(found, key=lambda bound: bound.seconds)


def _whole(seconds: float) -> float:
    return float(math.ceil(seconds))


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
