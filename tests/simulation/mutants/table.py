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
from tests.simulation.client import Lies
from tests.simulation.mutants import actors, designs, doors, stores
from tests.simulation.mutants.doors import SyncsNot, door
from tests.simulation.pipeline import Engine, Setting
from tests.simulation.scenarios import CRASH, Scenario, adds_late, cast, named, sends_again
from tests.simulation.script import works_until_revoked
from tests.simulation.world import Budget, Rules

UNSYNCED: Final = Setting(durability=Durability.NONE)  # of a design that syncs nothing, that is not what is asked

ONE: Final = Scenario(name="a poller and a sweeper", cast=cast(), setting=UNSYNCED)
TWO: Final = Scenario(name="two pollers and a sweeper", cast=cast(2, 1), setting=UNSYNCED)
SPLIT: Final = dataclasses.replace(named("parents looked up before"), setting=UNSYNCED, budget=Budget())
LYING: Final = Scenario(
    name="several lies of the cache", cast=cast(sweeps=2), rules=Rules(lies=Lies.ANY), budget=Budget(lies=4, crashes=1)
)
REVOKED: Final = Scenario(
    name="revoked at work",
    cast=cast(parts=(works_until_revoked,)),
    rules=Rules(ticking=True, reduced=False, reading_seconds=25.0),
)
ADDED_UNSEEN: Final = Scenario(
    name="a lie about a dataset that was added",
    cast=cast(1, 1, turns=2, A=adds_late),
    setting=Setting(datasets=()),
    rules=Rules(lies=Lies.ANY),
    budget=Budget(lies=2),
    reliable=("A",),
)
SENT_AGAIN: Final = Scenario(name="sent again", cast=cast(2, 1, turns=2, N=sends_again), reliable=("N",))


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
    Mutant(name="N1", rule="claims are stolen by age", breaks="I3", scenario=TWO, engine=designs.N1),
    Mutant(
        name="N2",
        rule="a claim that was found dead is unlinked",
        breaks="I2",
        scenario=named("two sweepers and a dead owner"),
        engine=designs.N2,
    ),
    Mutant(name="N3", rule="fencing by moving the parent", breaks="I", scenario=SPLIT, engine=designs.N3),
    Mutant(name="N4", rule="a decision is created, then written", breaks="I", scenario=ONE, engine=designs.N4),
    Mutant(name="N5", rule="inference from absence", breaks="I7", scenario=ONE, engine=designs.N5),
    Mutant(name="N6", rule="is there a newer claim? then rename", breaks="I", scenario=ONE, engine=designs.N6),
    Mutant(name="N7", rule="registers by path", breaks="I7", scenario=SENT_AGAIN, engine=designs.N7, seed=5),
    # ---- ARRIVE
    Mutant(
        name="input is listed once",
        rule="ARRIVE",
        breaks="I3",
        scenario=named("the input grows at work"),
        engine=Engine(door=door(doors.ListsOnce)),
        right_alone=False,
    ),
    Mutant(
        name="an empty dataset is processed",
        rule="ARRIVE",
        breaks="I3",
        scenario=named("made first, filled later"),
        engine=Engine(poller=actors.Unasking),
    ),
    # ---- CLAIM
    Mutant(
        name="the claim is not read back",
        rule="CLAIM 2",
        breaks="I",
        scenario=SENT_AGAIN,
        engine=Engine(door=door(doors.BelievesItsClaim)),
    ),
    Mutant(
        name="EEXIST is a loss",
        rule="CLAIM 2",
        breaks="I",
        scenario=named("lost reply, and nobody dies"),
        engine=Engine(registers=stores.TakesItsOwnForAnothers),
    ),
    Mutant(
        name="the handle is opened anew",
        rule="CLAIM 4",
        breaks="I",
        scenario=SENT_AGAIN,
        engine=_store(stores.OpensAnew),
    ),
    # ---- BEAT
    Mutant(
        name="no beat while hashing",
        rule="BEAT",
        breaks="I5",
        scenario=named("long hashing"),
        engine=Engine(poller=actors.Silent),
    ),
    Mutant(
        name="no beat at work",
        rule="BEAT",
        breaks="I5",
        scenario=named("long work"),
        engine=Engine(poller=actors.SilentAtWork),
    ),
    Mutant(
        name="goes on when revoked",
        rule="BEAT",
        breaks="P0",
        scenario=REVOKED,
        engine=Engine(poller=actors.Stubborn),
    ),
    # ---- COMPLETE
    Mutant(
        name="the output is not synced",
        rule="COMPLETE 2",
        breaks="I3",
        scenario=named("the output stays"),
        engine=Engine(door=door(lambda inner: SyncsNot(inner, _is_private))),
        right_alone=False,
    ),
    Mutant(
        name="the decision is not synced",
        rule="COMPLETE 4a",
        breaks="I3",
        scenario=named("the output stays"),
        engine=Engine(door=door(lambda inner: SyncsNot(inner, _is_handle))),
        right_alone=False,
    ),
    Mutant(
        name="the destination is not synced",
        rule="COMPLETE 4d",
        breaks="I3",
        scenario=named("the output stays"),
        engine=Engine(door=door(lambda inner: SyncsNot(inner, _is_destination))),
        right_alone=False,
    ),
    Mutant(
        name="nobody looks whether the output is there",
        rule="COMPLETE 2",
        breaks="I7",
        scenario=named("the author removes the output"),
        engine=Engine(poller=actors.Negligent),
        right_alone=False,
    ),
    Mutant(
        name="an error is taken for a fence",
        rule="COMPLETE 3",
        breaks="I",
        scenario=named("error at the commit"),
        engine=_store(stores.TakesAnErrorForAFence),
    ),
    Mutant(
        name="no answer is taken for a fence",
        rule="COMPLETE 3",
        breaks="I",
        scenario=named("error at the commit"),
        engine=_store(stores.TakesNothingForAFence),
    ),
    Mutant(name="is not fenced", rule="COMPLETE 3", breaks="I", scenario=ONE, engine=_store(stores.IsNotFenced)),
    Mutant(
        name="one look is a proof",
        rule="COMPLETE 4b",
        breaks="I7",
        scenario=LYING,
        engine=Engine(settlement=stores.TakesOneLookForAProof),
    ),
    Mutant(
        name="the server is not asked",
        rule="COMPLETE 4b",
        breaks="I7",
        scenario=LYING,
        engine=Engine(settlement=stores.AsksNotTheServer),
        seed=2,
    ),
    Mutant(
        name="two looks are a proof",
        rule="COMPLETE 4c",
        breaks="I7",
        scenario=LYING,
        engine=Engine(settlement=stores.TakesTwoLooksForAProof),
    ),
    Mutant(
        name="removes with all below",
        rule="COMPLETE 4c",
        breaks="I7",
        scenario=LYING,
        engine=Engine(settlement=stores.RemovesWithAllBelow),
    ),
    Mutant(
        name="archives first",
        rule="COMPLETE 4d",
        breaks="I7",
        scenario=dataclasses.replace(ONE, budget=CRASH),
        engine=Engine(settlement=stores.ArchivesFirst),
        right_alone=False,
    ),
    Mutant(
        name="archives what is blocked",
        rule="COMPLETE 4",
        breaks="I7",
        scenario=named("something in the way"),
        engine=Engine(settlement=stores.ArchivesWhatIsBlocked),
        right_alone=False,
    ),
    # ---- FAIL, RELEASE, LOST, SETTLE
    Mutant(
        name="settles what it wanted",
        rule="SETTLE",
        breaks="I",
        scenario=ONE,
        engine=_store(stores.SettlesWhatItWanted),
    ),
    Mutant(name="cleans up first", rule="FAIL", breaks="I", scenario=ONE, engine=_store(stores.CleansUpFirst)),
    Mutant(
        name="failures do not add up",
        rule="FAIL",
        breaks="I6",
        scenario=named("failures up to quarantine"),
        engine=_store(stores.ForgetsFailures),
        right_alone=False,
    ),
    Mutant(
        name="a release is counted",
        rule="RELEASE",
        breaks="I6",
        scenario=named("release"),
        engine=_charging(Cause.RELEASED, Cause.FAILED),
        right_alone=False,
    ),
    Mutant(
        name="TryLater is counted",
        rule="RELEASE",
        breaks="I6",
        scenario=named("later"),
        engine=_charging(Cause.LATER, Cause.FAILED),
        right_alone=False,
    ),
    Mutant(
        name="a lost owner is a failure",
        rule="LOST",
        breaks="I6",
        scenario=named("lost owners are no failures"),
        engine=_charging(Cause.LOST, Cause.FAILED),
    ),
    Mutant(
        name="the cluster's faults are counted",
        rule="LOST",
        breaks="I6",
        scenario=named("the cluster's faults count nowhere"),
        engine=_charging(Cause.CLUSTER, Cause.FAILED),
    ),
    Mutant(
        name="lost owners are not bounded",
        rule="LOST",
        breaks="I6",
        scenario=named("owners that always die"),
        engine=_charging(Cause.LOST, Cause.CLUSTER),
        right_alone=False,
    ),
    # ---- SWEEP, STALE
    Mutant(
        name="looks at no register",
        rule="SWEEP",
        breaks="I",
        scenario=named("two sweepers and a dead owner"),
        engine=Engine(sweeper=actors.Unguarded),
    ),
    Mutant(
        name="looks at no token",
        rule="SWEEP",
        breaks="I",
        scenario=SENT_AGAIN,
        engine=Engine(sweeper=actors.Mistaking),
    ),
    Mutant(
        name="removes the unknown",
        rule="SWEEP",
        breaks="I7",
        scenario=ADDED_UNSEEN,
        engine=Engine(sweeper=actors.Tidy),
    ),
    Mutant(
        name="a request is bound to nothing",
        rule="SWEEP",
        breaks="I6",
        scenario=named("retry mark on a dataset that always fails"),
        engine=Engine(sweeper=actors.Unbinding),
        right_alone=False,
    ),
    Mutant(
        name="a request grants nothing",
        rule="SWEEP",
        breaks="I6",
        scenario=named("retry mark in quarantine"),
        engine=Engine(sweeper=actors.Stingy),
        right_alone=False,
    ),
    Mutant(
        name="looks once",
        rule="STALE",
        breaks="I5",
        scenario=named("the server is down for longer than a lease"),
        engine=Engine(owners=actors.LooksOnce),
    ),
    Mutant(
        name="compares clocks",
        rule="STALE",
        breaks="I5",
        scenario=named("clocks that differ by an hour"),
        engine=Engine(owners=actors.ComparesClocks),
    ),
    Mutant(
        name="dates a look too early",
        rule="STALE",
        breaks="I5",
        scenario=named("long hashing"),
        engine=Engine(owners=actors.DatesTooEarly),
    ),
    # ---- RERUN, BELL, ERRORS
    Mutant(
        name="a generation is not allotted",
        rule="RERUN",
        breaks="I5",
        scenario=named("rerun, and the next generation's name is given out"),
        engine=Engine(rerun=actors.allots_nothing),
        right_alone=False,
    ),
    Mutant(
        name="a lost reply is taken for lost",
        rule="RERUN",
        breaks="I1",
        scenario=named("rerun, its reply lost"),
        engine=Engine(rerun=actors.takes_a_lost_reply_for_lost),
    ),
    Mutant(
        name="does not ring for an end",
        rule="BELL",
        breaks="I5",
        scenario=named("two changes within a tick"),
        engine=_store(stores.RingsNot),
    ),
    Mutant(
        name="rings no location",
        rule="BELL",
        breaks="I",
        scenario=named("added within the tick of a listing"),
        engine=Engine(door=door(doors.RingsNoLocation)),
        right_alone=False,
    ),
    Mutant(
        name="an own mkdir's EEXIST is an error",
        rule="ERRORS",
        breaks="P0",
        scenario=named("lost reply, and nobody dies"),
        engine=_store(stores.FailsOnItsOwnDirectory),
    ),
)
