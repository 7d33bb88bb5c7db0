"""The mutants of SWEEP, STALE, RERUN, BELL and ERRORS."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutants import actors, doors, reruns, stores
from tests.simulation.mutants.doors import door
from tests.simulation.mutants.mutant import ADDED_UNSEEN, SENT_AGAIN, mutant, store
from tests.simulation.scenarios import named
from tests.simulation.setting import Engine

SWEEPING: Final = (
    # ---- SWEEP, STALE
    mutant(
        "looks at no register", "SWEEP", "I", named("two sweepers and a dead owner"), Engine(sweeper=actors.Unguarded)
    ),
    mutant("looks at no token", "SWEEP", "I", SENT_AGAIN, Engine(sweeper=actors.Mistaking)),
    mutant("removes the unknown", "SWEEP", "I7", ADDED_UNSEEN, Engine(sweeper=actors.Tidy)),
    mutant(
        "a request is bound to nothing",
        "SWEEP",
        "I6",
        named("retry mark on a dataset that always fails"),
        Engine(sweeper=actors.Unbinding),
        right_alone=False,
    ),
    mutant(
        "a request grants nothing",
        "SWEEP",
        "I6",
        named("retry mark in quarantine"),
        Engine(sweeper=actors.Stingy),
        right_alone=False,
    ),
    mutant(
        "clears up after an earlier start first",
        "STALE",
        "I",
        named("requeued, and the former start lives on"),
        Engine(sweeper=actors.ClearsUpFirst),
    ),
    mutant(
        "looks once",
        "STALE",
        "I5",
        named("the server is down for longer than a lease"),
        Engine(owners=actors.LooksOnce),
    ),
    mutant(
        "compares clocks", "STALE", "I5", named("clocks that differ by an hour"), Engine(owners=actors.ComparesClocks)
    ),
    mutant("dates a look too early", "STALE", "I5", named("long hashing"), Engine(owners=actors.DatesTooEarly)),
    mutant(
        "reads heartbeats without an open",
        "STALE",
        "I5",
        named("long work, and an old heartbeat from the cache"),
        Engine(door=door(lambda inner: doors.AsksWithoutOpening(inner, doors.is_private))),
    ),
    mutant(
        "skips a listing without an open",
        "DISCOVERY",
        "I5",
        named("added, and the location's mtime is an old one from the cache"),
        Engine(door=door(lambda inner: doors.AsksWithoutOpening(inner, doors.is_destination))),
    ),
    # ---- RERUN, BELL, ERRORS
    mutant(
        "a generation is not allotted",
        "RERUN",
        "I5",
        named("rerun, and the next generation's name is given out"),
        Engine(rerun=reruns.allots_nothing),
        right_alone=False,
    ),
    mutant(
        "a lost reply is taken for lost",
        "RERUN",
        "I1",
        named("rerun, its reply lost"),
        Engine(rerun=reruns.takes_a_lost_reply_for_lost),
    ),
    mutant(
        "a lost reply and a lie are taken for lost",
        "RERUN",
        "I1",
        named("rerun, its reply lost, and a lie of the cache"),
        Engine(rerun=reruns.looks_by_name_only),
    ),
    mutant("does not ring for an end", "BELL", "I5", named("two changes within a tick"), store(stores.RingsNot)),
    mutant(
        "leaves hidden what refused its claim",
        "BELL",
        "I5",
        named("two pollers, a sweeper and an old listing"),
        store(stores.LeavesHiddenWhatRefusedIt),
    ),
    mutant(
        "rings no location",
        "BELL",
        "I",
        named("added within the tick of a listing"),
        Engine(door=door(doors.RingsNoLocation)),
        right_alone=False,
    ),
    mutant(
        "rings no location that stages publish into",
        "BELL",
        "I5",
        named("published within the tick of a listing"),
        Engine(door=door(doors.RingsWherePeopleAddOnly)),
    ),
    mutant(
        "an own mkdir's EEXIST is an error",
        "ERRORS",
        "P0",
        named("lost reply, and nobody dies"),
        store(stores.FailsOnItsOwnDirectory),
    ),
)
