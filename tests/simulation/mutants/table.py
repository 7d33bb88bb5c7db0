"""The mutants, by the rule that each breaks; those of who sweeps, reruns and rings stand in `sweeping`."""

from __future__ import annotations

import dataclasses
from typing import Final

from stages.engine.policy import Cause
from tests.simulation.mutants import actors, designs, doors, stores
from tests.simulation.mutants.doors import SyncsNot, door
from tests.simulation.mutants.mutant import LYING, ONE, REVOKED, SENT_AGAIN, SPLIT, TWO, mutant, store
from tests.simulation.mutants.sweeping import SWEEPING
from tests.simulation.scenario import CRASH
from tests.simulation.scenarios import named
from tests.simulation.setting import Engine


def _charging(cause: Cause, as_what: Cause) -> Engine:
    return Engine(store=stores.charging({cause: as_what}))


MUTANTS: Final = (
    # ---- PROTOCOL 8
    mutant("N1", "claims are stolen by age", "I3", TWO, designs.N1),
    mutant("N2", "a claim that was found dead is unlinked", "I2", named("two sweepers and a dead owner"), designs.N2),
    mutant("N3", "fencing by moving the parent", "I", SPLIT, designs.N3),
    mutant("N4", "a decision is created, then written", "I", ONE, designs.N4),
    mutant("N5", "inference from absence", "I7", ONE, designs.N5),
    mutant("N6", "is there a newer claim? then rename", "I", ONE, designs.N6),
    mutant("N7", "registers by path", "I7", SENT_AGAIN, designs.N7, seed=6),
    # ---- ARRIVE
    mutant(
        "input is listed once",
        "ARRIVE",
        "I3",
        named("the input grows at work"),
        Engine(door=door(doors.ListsOnce)),
        right_alone=False,
    ),
    mutant(
        "the ready marker is not waited for",
        "ARRIVE",
        "I3",
        named("copied in place, with a ready marker"),
        store(stores.WaitsForNoMarker),
    ),
    mutant(
        "an empty dataset is processed",
        "ARRIVE",
        "I3",
        named("made first, filled later"),
        Engine(poller=actors.Unasking),
    ),
    # ---- CLAIM
    mutant("the claim is not read back", "CLAIM 2", "I", SENT_AGAIN, Engine(door=door(doors.BelievesItsClaim))),
    mutant(
        "EEXIST is a loss",
        "CLAIM 2",
        "I",
        named("lost reply, and nobody dies"),
        Engine(registers=stores.TakesItsOwnForAnothers),
    ),
    mutant("the handle is opened anew", "CLAIM 4", "I", SENT_AGAIN, store(stores.OpensAnew), seed=5),
    # ---- BEAT
    mutant("no beat while hashing", "BEAT", "I5", named("long hashing"), Engine(poller=actors.Silent)),
    mutant("no beat at work", "BEAT", "I5", named("long work"), Engine(poller=actors.SilentAtWork)),
    mutant("goes on when revoked", "BEAT", "P0", REVOKED, Engine(poller=actors.Stubborn)),
    # ---- COMPLETE
    mutant(
        "publishes what is still written",
        "COMPLETE 1",
        "I4",
        named("a process is left behind"),
        Engine(poller=actors.Hasty),
        right_alone=False,
    ),
    mutant(
        "the output is not synced",
        "COMPLETE 2",
        "I3",
        named("the output stays"),
        Engine(door=door(lambda inner: SyncsNot(inner, doors.is_private))),
        right_alone=False,
    ),
    mutant(
        "the decision is not synced",
        "COMPLETE 4a",
        "I3",
        named("the output stays"),
        Engine(door=door(lambda inner: SyncsNot(inner, doors.is_handle))),
        right_alone=False,
    ),
    mutant(
        "the destination is not synced",
        "COMPLETE 4d",
        "I3",
        named("the output stays"),
        Engine(door=door(lambda inner: SyncsNot(inner, doors.is_destination))),
        right_alone=False,
    ),
    mutant(
        "nobody looks whether the output is there",
        "COMPLETE 2",
        "I7",
        named("the author removes the output"),
        Engine(poller=actors.Negligent),
        right_alone=False,
    ),
    mutant(
        "an error is taken for a fence",
        "COMPLETE 3",
        "I",
        named("error at the commit"),
        store(stores.TakesAnErrorForAFence),
    ),
    mutant(
        "no answer is taken for a fence",
        "COMPLETE 3",
        "I",
        named("error at the commit"),
        store(stores.TakesNothingForAFence),
    ),
    mutant("is not fenced", "COMPLETE 3", "I", ONE, store(stores.IsNotFenced)),
    mutant("one look is a proof", "COMPLETE 4b", "I7", LYING, Engine(settlement=stores.TakesOneLookForAProof)),
    mutant("the server is not asked", "COMPLETE 4b", "I7", LYING, Engine(settlement=stores.AsksNotTheServer), seed=2),
    mutant("two looks are a proof", "COMPLETE 4c", "I7", LYING, Engine(settlement=stores.TakesTwoLooksForAProof)),
    mutant("removes with all below", "COMPLETE 4c", "I7", LYING, Engine(settlement=stores.RemovesWithAllBelow)),
    mutant(
        "archives first",
        "COMPLETE 4d",
        "I7",
        dataclasses.replace(ONE, budget=CRASH),
        Engine(settlement=stores.ArchivesFirst),
        right_alone=False,
    ),
    mutant(
        "archives what is blocked",
        "COMPLETE 4",
        "I7",
        named("something in the way"),
        Engine(settlement=stores.ArchivesWhatIsBlocked),
        right_alone=False,
    ),
    # ---- FAIL, RELEASE, LOST, SETTLE
    mutant("settles what it wanted", "SETTLE", "I", ONE, store(stores.SettlesWhatItWanted)),
    mutant("cleans up first", "FAIL", "I", ONE, store(stores.CleansUpFirst)),
    mutant(
        "failures do not add up",
        "FAIL",
        "I6",
        named("failures up to quarantine"),
        store(stores.ForgetsFailures),
        right_alone=False,
    ),
    mutant(
        "a release is counted",
        "RELEASE",
        "I6",
        named("release"),
        _charging(Cause.RELEASED, Cause.FAILED),
        right_alone=False,
    ),
    mutant(
        "TryLater is counted", "RELEASE", "I6", named("later"), _charging(Cause.LATER, Cause.FAILED), right_alone=False
    ),
    mutant(
        "a lost owner is a failure",
        "LOST",
        "I6",
        named("lost owners are no failures"),
        _charging(Cause.LOST, Cause.FAILED),
    ),
    mutant(
        "the cluster's faults are counted",
        "LOST",
        "I6",
        named("the cluster's faults count nowhere"),
        _charging(Cause.CLUSTER, Cause.FAILED),
    ),
    mutant(
        "lost owners are not bounded",
        "LOST",
        "I6",
        named("owners that always die"),
        _charging(Cause.LOST, Cause.CLUSTER),
        right_alone=False,
    ),
    mutant(
        "what was moved is blamed",
        "FAIL",
        "I6",
        named("a quarantine that is carried out late"),
        Engine(poller=actors.Blaming),
    ),
    *SWEEPING,
)
