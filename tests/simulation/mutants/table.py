"""The mutants: which rule each breaks, which promise that breaks, and in which scenario it shows.

It is hunted with schedules drawn by `seed`. One that is `right_alone` breaks nothing as long as nobody
interferes: no ordinary test would find it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from stages.engine.durability import Durability
from stages.engine.policy import Cause
from tests.simulation.beliefs import Lies
from tests.simulation.mutants import actors, designs, doors, stores
from tests.simulation.mutants.doors import SyncsNot, door
from tests.simulation.people import adds_late, company, sends_again
from tests.simulation.pipeline import Engine, Setting
from tests.simulation.rules import Rules
from tests.simulation.scenarios import CRASH, Scenario, named
from tests.simulation.schedule import Budget
from tests.simulation.script import works_until_revoked

UNSYNCED: Final = Setting(durability=Durability.NONE)  # of a design that syncs nothing, that is not what is asked

ONE: Final = Scenario(name="a poller and a sweeper", actors=company(), setting=UNSYNCED)
TWO: Final = Scenario(name="two pollers and a sweeper", actors=company(2, 1), setting=UNSYNCED)
SPLIT: Final = dataclasses.replace(named("parents looked up before"), setting=UNSYNCED, budget=Budget())
LYING: Final = Scenario(
    name="several lies of the cache",
    actors=company(sweeps=2),
    rules=Rules(lies=Lies.ANY),
    budget=Budget(lies=4, crashes=1),
)
REVOKED: Final = Scenario(
    name="revoked at work",
    actors=company(parts=(works_until_revoked,)),
    rules=Rules(ticking=True, reduced=False, reading_seconds=25.0),
)
ADDED_UNSEEN: Final = Scenario(
    name="a lie about a dataset that was added",
    actors=company(1, 1, turns=2, A=adds_late),
    setting=Setting(datasets=()),
    rules=Rules(lies=Lies.ANY),
    budget=Budget(lies=2),
    reliable=("A",),
)
SENT_AGAIN: Final = Scenario(name="sent again", actors=company(2, 1, turns=2, N=sends_again), reliable=("N",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One of them. `breaks`: what the violation that it is caught by begins with."""

    name: str
    rule: str
    breaks: str
    scenario: Scenario
    engine: Engine
    seed: int = 1
    right_alone: bool = True


def _mutant(
    name: str, rule: str, breaks: str, scenario: Scenario, engine: Engine, *, seed: int = 1, right_alone: bool = True
) -> Mutant:
    return Mutant(
        name=name, rule=rule, breaks=breaks, scenario=scenario, engine=engine, seed=seed, right_alone=right_alone
    )


def _is_handle(place: str | int) -> bool:
    return isinstance(place, int)


def _is_private(place: str | int) -> bool:
    return isinstance(place, str) and "/_work/" in place


def _is_destination(place: str | int) -> bool:
    return isinstance(place, str) and "/_work/" not in place


def _store(cls: type[stores.Store]) -> Engine:
    return Engine(store=cls)


def _charging(cause: Cause, as_what: Cause) -> Engine:
    return Engine(store=stores.charging({cause: as_what}))


MUTANTS: Final = (
    # ---- PROTOCOL 8
    _mutant("N1", "claims are stolen by age", "I3", TWO, designs.N1),
    _mutant("N2", "a claim that was found dead is unlinked", "I2", named("two sweepers and a dead owner"), designs.N2),
    _mutant("N3", "fencing by moving the parent", "I", SPLIT, designs.N3),
    _mutant("N4", "a decision is created, then written", "I", ONE, designs.N4),
    _mutant("N5", "inference from absence", "I7", ONE, designs.N5),
    _mutant("N6", "is there a newer claim? then rename", "I", ONE, designs.N6),
    _mutant("N7", "registers by path", "I7", SENT_AGAIN, designs.N7, seed=5),
    # ---- ARRIVE
    _mutant(
        "input is listed once",
        "ARRIVE",
        "I3",
        named("the input grows at work"),
        Engine(door=door(doors.ListsOnce)),
        right_alone=False,
    ),
    _mutant(
        "the ready marker is not waited for",
        "ARRIVE",
        "I3",
        named("copied in place, with a ready marker"),
        _store(stores.WaitsForNoMarker),
    ),
    _mutant(
        "an empty dataset is processed",
        "ARRIVE",
        "I3",
        named("made first, filled later"),
        Engine(poller=actors.Unasking),
    ),
    # ---- CLAIM
    _mutant("the claim is not read back", "CLAIM 2", "I", SENT_AGAIN, Engine(door=door(doors.BelievesItsClaim))),
    _mutant(
        "EEXIST is a loss",
        "CLAIM 2",
        "I",
        named("lost reply, and nobody dies"),
        Engine(registers=stores.TakesItsOwnForAnothers),
    ),
    _mutant("the handle is opened anew", "CLAIM 4", "I", SENT_AGAIN, _store(stores.OpensAnew)),
    # ---- BEAT
    _mutant("no beat while hashing", "BEAT", "I5", named("long hashing"), Engine(poller=actors.Silent)),
    _mutant("no beat at work", "BEAT", "I5", named("long work"), Engine(poller=actors.SilentAtWork)),
    _mutant("goes on when revoked", "BEAT", "P0", REVOKED, Engine(poller=actors.Stubborn)),
    # ---- COMPLETE
    _mutant(
        "publishes what is still written",
        "COMPLETE 1",
        "I4",
        named("a process is left behind"),
        Engine(poller=actors.Hasty),
        right_alone=False,
    ),
    _mutant(
        "the output is not synced",
        "COMPLETE 2",
        "I3",
        named("the output stays"),
        Engine(door=door(lambda inner: SyncsNot(inner, _is_private))),
        right_alone=False,
    ),
    _mutant(
        "the decision is not synced",
        "COMPLETE 4a",
        "I3",
        named("the output stays"),
        Engine(door=door(lambda inner: SyncsNot(inner, _is_handle))),
        right_alone=False,
    ),
    _mutant(
        "the destination is not synced",
        "COMPLETE 4d",
        "I3",
        named("the output stays"),
        Engine(door=door(lambda inner: SyncsNot(inner, _is_destination))),
        right_alone=False,
    ),
    _mutant(
        "nobody looks whether the output is there",
        "COMPLETE 2",
        "I7",
        named("the author removes the output"),
        Engine(poller=actors.Negligent),
        right_alone=False,
    ),
    _mutant(
        "an error is taken for a fence",
        "COMPLETE 3",
        "I",
        named("error at the commit"),
        _store(stores.TakesAnErrorForAFence),
    ),
    _mutant(
        "no answer is taken for a fence",
        "COMPLETE 3",
        "I",
        named("error at the commit"),
        _store(stores.TakesNothingForAFence),
    ),
    _mutant("is not fenced", "COMPLETE 3", "I", ONE, _store(stores.IsNotFenced)),
    _mutant("one look is a proof", "COMPLETE 4b", "I7", LYING, Engine(settlement=stores.TakesOneLookForAProof)),
    _mutant("the server is not asked", "COMPLETE 4b", "I7", LYING, Engine(settlement=stores.AsksNotTheServer), seed=2),
    _mutant("two looks are a proof", "COMPLETE 4c", "I7", LYING, Engine(settlement=stores.TakesTwoLooksForAProof)),
    _mutant("removes with all below", "COMPLETE 4c", "I7", LYING, Engine(settlement=stores.RemovesWithAllBelow)),
    _mutant(
        "archives first",
        "COMPLETE 4d",
        "I7",
        dataclasses.replace(ONE, budget=CRASH),
        Engine(settlement=stores.ArchivesFirst),
        right_alone=False,
    ),
    _mutant(
        "archives what is blocked",
        "COMPLETE 4",
        "I7",
        named("something in the way"),
        Engine(settlement=stores.ArchivesWhatIsBlocked),
        right_alone=False,
    ),
    # ---- FAIL, RELEASE, LOST, SETTLE
    _mutant("settles what it wanted", "SETTLE", "I", ONE, _store(stores.SettlesWhatItWanted)),
    _mutant("cleans up first", "FAIL", "I", ONE, _store(stores.CleansUpFirst)),
    _mutant(
        "failures do not add up",
        "FAIL",
        "I6",
        named("failures up to quarantine"),
        _store(stores.ForgetsFailures),
        right_alone=False,
    ),
    _mutant(
        "a release is counted",
        "RELEASE",
        "I6",
        named("release"),
        _charging(Cause.RELEASED, Cause.FAILED),
        right_alone=False,
    ),
    _mutant(
        "TryLater is counted", "RELEASE", "I6", named("later"), _charging(Cause.LATER, Cause.FAILED), right_alone=False
    ),
    _mutant(
        "a lost owner is a failure",
        "LOST",
        "I6",
        named("lost owners are no failures"),
        _charging(Cause.LOST, Cause.FAILED),
    ),
    _mutant(
        "the cluster's faults are counted",
        "LOST",
        "I6",
        named("the cluster's faults count nowhere"),
        _charging(Cause.CLUSTER, Cause.FAILED),
    ),
    _mutant(
        "lost owners are not bounded",
        "LOST",
        "I6",
        named("owners that always die"),
        _charging(Cause.LOST, Cause.CLUSTER),
        right_alone=False,
    ),
    _mutant(
        "what was moved is blamed",
        "FAIL",
        "I6",
        named("a quarantine that is carried out late"),
        Engine(poller=actors.Blaming),
    ),
    # ---- SWEEP, STALE
    _mutant(
        "looks at no register", "SWEEP", "I", named("two sweepers and a dead owner"), Engine(sweeper=actors.Unguarded)
    ),
    _mutant("looks at no token", "SWEEP", "I", SENT_AGAIN, Engine(sweeper=actors.Mistaking)),
    _mutant("removes the unknown", "SWEEP", "I7", ADDED_UNSEEN, Engine(sweeper=actors.Tidy)),
    _mutant(
        "a request is bound to nothing",
        "SWEEP",
        "I6",
        named("retry mark on a dataset that always fails"),
        Engine(sweeper=actors.Unbinding),
        right_alone=False,
    ),
    _mutant(
        "a request grants nothing",
        "SWEEP",
        "I6",
        named("retry mark in quarantine"),
        Engine(sweeper=actors.Stingy),
        right_alone=False,
    ),
    _mutant(
        "clears up after an earlier start first",
        "STALE",
        "I",
        named("requeued, and the former start lives on"),
        Engine(sweeper=actors.ClearsUpFirst),
    ),
    _mutant(
        "looks once",
        "STALE",
        "I5",
        named("the server is down for longer than a lease"),
        Engine(owners=actors.LooksOnce),
    ),
    _mutant(
        "compares clocks", "STALE", "I5", named("clocks that differ by an hour"), Engine(owners=actors.ComparesClocks)
    ),
    _mutant("dates a look too early", "STALE", "I5", named("long hashing"), Engine(owners=actors.DatesTooEarly)),
    # ---- RERUN, BELL, ERRORS
    _mutant(
        "a generation is not allotted",
        "RERUN",
        "I5",
        named("rerun, and the next generation's name is given out"),
        Engine(rerun=actors.allots_nothing),
        right_alone=False,
    ),
    _mutant(
        "a lost reply is taken for lost",
        "RERUN",
        "I1",
        named("rerun, its reply lost"),
        Engine(rerun=actors.takes_a_lost_reply_for_lost),
    ),
    _mutant("does not ring for an end", "BELL", "I5", named("two changes within a tick"), _store(stores.RingsNot)),
    _mutant(
        "rings no location",
        "BELL",
        "I",
        named("added within the tick of a listing"),
        Engine(door=door(doors.RingsNoLocation)),
        right_alone=False,
    ),
    _mutant(
        "an own mkdir's EEXIST is an error",
        "ERRORS",
        "P0",
        named("lost reply, and nobody dies"),
        _store(stores.FailsOnItsOwnDirectory),
    ),
)
