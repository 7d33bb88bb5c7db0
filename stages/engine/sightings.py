"""What a sweeper has seen so far: heartbeats, and since when they have not moved (PROTOCOL 3, STALE)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from enum import StrEnum

from loguru import logger

from stages.engine.fs import FileSystem
from stages.engine.manifest import Json

VERSION = 1
SECOND_LOOK = 1.5  # heartbeats: while a server is down nobody can beat


class Freshness(StrEnum):
    """What a sighting tells of an attempt's owner."""

    FRESH = "fresh"
    SUSPECT = "suspect"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """How long an owner may be silent, in seconds of the observer's own monotonic clock."""

    heartbeat_seconds: float
    expires_seconds: float


@dataclass(slots=True)
class Sighting:
    """A heartbeat as it was seen (None: there was no private place yet), and when it was first seen so."""

    heartbeat_ns: int | None
    since: float
    suspected: float | None = None


@dataclass(slots=True)
class BackingOff:
    """A dataset that waits for its not-before (seconds since the epoch); `rung`: its bell was rung."""

    number: int
    not_before: int
    rung: bool = False


@dataclass(slots=True)
class Sightings:
    """The memory of the sweepers of one stage on one boot of one host; times are CLOCK_MONOTONIC's.

    `troubles` maps a dataset to what a person should know of it, as of the last full pass; `reported` holds the
    datasets that people have been told of, by what they were told.
    """

    attempts: dict[str, Sighting] = field(default_factory=dict[str, Sighting])
    backing_off: dict[str, BackingOff] = field(default_factory=dict[str, BackingOff])
    troubles: dict[str, str] = field(default_factory=dict[str, str])
    reported: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    last_full: float | None = None
    last_bell: float | None = None

    def judge(
        self, attempt: str, heartbeat_ns: int | None, now: float, lease: Lease, *, answered: float | None = None
    ) -> Freshness:
        """Note a heartbeat and say what follows from how long it has not moved.

        The look was begun at `now` and answered at `answered`. A server may let one wait for minutes: only
        the time between the answer to one look and the beginning of the next is known to be silence.
        """
        answered = now if answered is None else answered
        seen = self.attempts.get(attempt)
        if seen is None or seen.heartbeat_ns != heartbeat_ns:
            self.attempts[attempt] = Sighting(heartbeat_ns, answered)
            return Freshness.FRESH
        if now - seen.since <= lease.expires_seconds:
            return Freshness.FRESH
        if seen.suspected is None:
            seen.suspected = answered
        if now - seen.suspected < SECOND_LOOK * lease.heartbeat_seconds:
            return Freshness.SUSPECT
        return Freshness.STALE

    def keep(self, attempts: set[str]) -> None:
        """Forget all attempts but these."""
        self.attempts = {name: seen for name, seen in self.attempts.items() if name in attempts}


def save(sightings: Sightings, fs: FileSystem, path: str, *, boot_id: str, now: float) -> None:
    """Write the sightings for the next one-shot sweeper of this boot."""
    facts: dict[str, Json] = {
        "version": VERSION,
        "boot_id": boot_id,
        "written": now,
        "last_full": sightings.last_full,
        "last_bell": sightings.last_bell,
        "attempts": {n: [s.heartbeat_ns, s.since, s.suspected] for n, s in sightings.attempts.items()},
        "backing_off": {n: [b.number, b.not_before, b.rung] for n, b in sightings.backing_off.items()},
        "troubles": dict[str, Json](sightings.troubles),
        "reported": {what: list[Json](told) for what, told in sightings.reported.items()},
    }
    fs.replace(path, json.dumps(facts).encode())


def load(fs: FileSystem, path: str, *, boot_id: str, now: float) -> Sightings:
    """Read what was seen before; unreadable, of another boot or from the future means never seen."""
    try:
        facts = json.loads(fs.read(path))
        if facts["version"] != VERSION or facts["boot_id"] != boot_id:
            return Sightings()
        found = Sightings(
            attempts={name: Sighting(*seen) for name, seen in facts["attempts"].items()},
            backing_off={name: BackingOff(*seen) for name, seen in facts["backing_off"].items()},
            troubles=dict(facts["troubles"]),
            reported={what: list(told) for what, told in facts.get("reported", {}).items()},
            last_full=facts["last_full"],
            last_bell=facts["last_bell"],
        )
        times = [facts["written"], found.last_full or 0.0, found.last_bell or 0.0]
        times += [time for seen in found.attempts.values() for time in (seen.since, seen.suspected or 0.0)]
        return Sightings() if max(times) > now else found
    except FileNotFoundError:
        return Sightings()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("sightings in {} cannot be read ({}): every lease begins anew", path, error)
        return Sightings()


def latest(fs: FileSystem, directory: str, stage: str) -> tuple[Sightings, float | None]:
    """Return what the latest sweep of a stage on any host wrote down, and when (since the epoch); None: no trace.

    Its facts hold on every boot, the times of its clock do not.
    """
    tail = f".{stage}.json"
    found = [entry for entry in fs.scan(directory) if entry.name.endswith(tail)]
    if not found:
        return Sightings(), None
    newest = max(found, key=lambda entry: entry.mtime_ns)
    boot_id = newest.name.removesuffix(tail)
    return load(fs, f"{directory}/{newest.name}", boot_id=boot_id, now=math.inf), newest.mtime_ns / 1e9
