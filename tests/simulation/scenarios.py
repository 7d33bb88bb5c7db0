"""The scenarios: who does what to a simulated root, and what may go wrong meanwhile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from stages.engine import archive, names
from stages.engine.durability import Durability
from stages.engine.errors import UsageError
from stages.engine.policy import Cause, RetryRule
from stages.engine.sightings import Lease
from tests.simulation.client import Lies
from tests.simulation.explorer import Subject
from tests.simulation.pipeline import ONE_DATASET, PASSAGE, READS, ROOT, STAGE, Engine, Pipeline, Setting
from tests.simulation.script import (
    Part,
    fails,
    is_asked_to_stop,
    puts_off,
    removes_its_output,
    sees_its_input_grow,
    takes_long,
)
from tests.simulation.world import NO_FAULTS, PLAIN, Actor, Budget, Rules, World

Cast = Callable[[Pipeline], None]

ONCE: Final = RetryRule(attempts_max=1, backoff_seconds=())
TWICE: Final = RetryRule(attempts_max=2, backoff_seconds=())
SLOWLY: Final = RetryRule(attempts_max=3, backoff_seconds=(3600.0,))
LEASE: Final = Lease(heartbeat_seconds=30.0, expires_seconds=90.0)
DS: Final = frozenset({"ds"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One of them. `exhaustive` ones are small enough for every order to be tried."""

    name: str
    cast: Cast
    setting: Setting = ONE_DATASET
    rules: Rules = PLAIN
    budget: Budget = NO_FAULTS
    reliable: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    exhaustive: bool = True

    def subject(self, engine: Engine | None = None, *, reduced: bool = True) -> Subject:
        """Return what the explorer explores, with the engine or a mutant of it."""
        rules = self.rules if reduced else dataclasses.replace(self.rules, reduced=False)

        def build(world: World) -> Callable[[], list[str]]:
            pipeline = Pipeline(world, self.setting, engine or Engine())
            self.cast(pipeline)
            return pipeline.judge

        return Subject(
            rules=rules,
            build=build,
            budget=self.budget,
            reliable=self.reliable,
            alike=self.alike if reduced else (),
        )


# ---- people and powers


def operator(actor: Actor) -> None:
    """Touches a retry mark wherever the dataset is found."""
    for base in (READS.path, READS.failed):
        try:
            actor.fs.write_new(f"{base}/ds/retry.{STAGE}", b"")
        except OSError:
            continue
        return


def asks_again(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Reruns the dataset once it is published; nobody else does, so that it cannot have been moved."""

    def body(actor: Actor) -> None:
        for _ in range(2):
            for entry in archive.archived(actor.fs.listdir(READS.done)):
                rerun, token = pipeline.engine.rerun, actor.identity.token()
                try:
                    rerun(actor.fs, ROOT, PASSAGE, entry, token=token, who="operator")
                except UsageError as error:
                    if "somebody else" in str(error):
                        actor.world.findings.append(f"I1 {actor.name}: {error}")
                    continue
                return

    return body


def sends_again(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Gives a name a second time, past `phaseline add`, once it is free."""

    def body(actor: Actor) -> None:
        fs = actor.fs
        fs.mkdir(f"{READS.incoming}/ds")
        fs.write_new(f"{READS.incoming}/ds/x", b"other data")
        for _ in range(3):
            try:
                fs.rename(f"{READS.incoming}/ds", READS.dataset("ds"))
            except OSError:
                continue
            pipeline.arrived.append("ds")
            return

    return body


def copies_in_place(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Copies a dataset to where it is claimed, and says when it is complete."""

    def body(actor: Actor) -> None:
        pipeline.arrived.append("ds")
        top = READS.dataset("ds")
        actor.fs.mkdir(top)
        actor.fs.write_new(f"{top}/x", b"data")
        actor.fs.write_new(f"{top}/y", b"more data")
        actor.fs.write_new(f"{top}/{names.ready(STAGE)}", b"")

    return body


def fills_slowly(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Makes the dataset's directory first, and moves its only file there later."""

    def body(actor: Actor) -> None:
        pipeline.arrived.append("ds")
        actor.fs.write_new(f"{READS.incoming}/x", b"data")
        actor.fs.mkdir(READS.dataset("ds"))
        actor.fs.rename(f"{READS.incoming}/x", f"{READS.dataset('ds')}/x")

    return body


def adds_late(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Adds a dataset while others look."""
    return lambda actor: pipeline.add(actor.fs, "late")


def dies_at_every_attempt(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Claims, and never ends what it claimed."""

    def body(actor: Actor) -> None:
        store = pipeline.make_store(actor.fs, actor.clock, actor.identity)
        sweeper = pipeline.make_sweeper(store)
        for _ in range(12):
            store.claim("ds")
            sweeper.sweep(full=True)

    return body


def outage(actor: Actor) -> None:
    """The server is down for a while: nobody can beat, nobody can look."""
    with suppress(OSError):
        actor.fs.device(ROOT.path)
        actor.fs.mtime_ns(ROOT.path)


# ---- casts


def cast(
    pollers: int = 1,
    sweepers: int = 1,
    *,
    turns: int = 1,
    sweeps: int = 1,
    parts: tuple[Part, ...] = (),
    cause: Cause = Cause.LOST,
    warm: bool = False,
    **others: Callable[[Pipeline], Callable[[Actor], None]],
) -> Cast:
    """Pollers P0, P1 ..., of which the first plays the parts, sweepers S0, S1 ..., and others by their names."""

    def spawn(pipeline: Pipeline) -> None:
        for number in range(pollers):
            pipeline.spawn(f"P{number}", pipeline.poller(turns, parts if number == 0 else (), warm=warm))
        for number in range(sweepers):
            pipeline.spawn(f"S{number}", pipeline.sweeper(sweeps, cause, warm=warm))
        for name, role in others.items():
            pipeline.spawn(name, role(pipeline))

    return spawn


def _everybody(pipeline: Pipeline) -> None:
    for number, parts in enumerate(((fails, is_asked_to_stop), (puts_off,), ())):
        pipeline.spawn(f"P{number}", pipeline.poller(3, parts, warm=True))
    for number in range(2):
        pipeline.spawn(f"S{number}", pipeline.sweeper(3, warm=True))
    pipeline.spawn("O", operator)


def _everybody_and_rerun(pipeline: Pipeline) -> None:
    _everybody(pipeline)
    pipeline.spawn("R", asks_again(pipeline))


def _everybody_and_again(pipeline: Pipeline) -> None:
    _everybody(pipeline)
    pipeline.spawn("N", sends_again(pipeline))


CRASH: Final = Budget(crashes=1)
LOST_REPLY: Final = Budget(lost_replies=1)
NO_ANSWER: Final = Budget(no_answers=2)
MANY: Final = Budget(crashes=2, lost_replies=2, no_answers=1)
ANY_END: Final = ("publish:", "retry:", "quarantine:")
TWO_OF_THEM: Final = Setting(datasets=("ds", "other"), retry=TWICE, may_fail=frozenset({"ds", "other"}))

SCENARIOS: Final = (
    Scenario(name="two pollers and a sweeper", cast=cast(2, 1), budget=CRASH, alike=("P0", "P1")),
    Scenario(name="a poller and a sweeper, twice each", cast=cast(turns=2, sweeps=2), budget=CRASH),
    Scenario(name="lost reply", cast=cast(2, 1), budget=LOST_REPLY, alike=("P0", "P1")),
    Scenario(
        name="lost reply, and nobody dies",
        cast=cast(1, 0),
        budget=Budget(lost_replies=2),
        setting=Setting(undisturbed=True, retry=ONCE),
    ),
    Scenario(name="error at the commit", cast=cast(sweeps=2), budget=NO_ANSWER),
    Scenario(name="error at the commit and a crash", cast=cast(), budget=Budget(crashes=1, no_answers=1)),
    Scenario(
        name="error at any end",
        cast=cast(turns=2, parts=(fails,)),
        budget=NO_ANSWER,
        rules=Rules(errors_at=ANY_END),
    ),
    Scenario(name="two sweepers", cast=cast(1, 2), budget=CRASH, alike=("S0", "S1")),
    Scenario(
        name="two sweepers and a dead owner",
        cast=cast(2, 2),
        setting=Setting(dead_owner=True, undisturbed=True),
        alike=("S0", "S1"),
    ),
    Scenario(
        name="release",
        cast=cast(2, 1, parts=(is_asked_to_stop,), cause=Cause.CLUSTER),
        setting=Setting(retry=ONCE),
        budget=CRASH,
    ),
    Scenario(
        name="later",
        cast=cast(2, 1, parts=(puts_off,), cause=Cause.CLUSTER),
        setting=Setting(retry=ONCE),
        budget=CRASH,
    ),
    Scenario(
        name="lost owners are no failures",
        cast=cast(turns=2, sweeps=2),
        setting=Setting(retry=ONCE, rest=None),
        budget=CRASH,
    ),
    Scenario(
        name="the cluster's faults count nowhere",
        cast=cast(turns=2, sweeps=2, cause=Cause.CLUSTER),
        setting=Setting(retry=ONCE),
        budget=CRASH,
    ),
    Scenario(
        name="failures up to quarantine",
        cast=cast(turns=2, sweeps=2, parts=(fails, fails)),
        setting=Setting(retry=TWICE, rest=fails, must_fail=DS),
        budget=CRASH,
    ),
    Scenario(
        name="owners that always die",
        cast=cast(0, 0, D=dies_at_every_attempt),
        setting=Setting(must_fail=DS),
    ),
    Scenario(name="retry mark in flight", cast=cast(sweeps=2, O=lambda _: operator), budget=CRASH),
    Scenario(
        name="retry mark while backing off",
        cast=cast(turns=2, sweeps=2, parts=(fails,), O=lambda _: operator),
        setting=Setting(retry=SLOWLY),
    ),
    Scenario(
        name="retry mark in quarantine",
        cast=cast(turns=2, sweeps=2, parts=(fails,), O=lambda _: operator),
        setting=Setting(retry=ONCE, may_fail=DS),
    ),
    Scenario(
        name="retry mark on a dataset that always fails",
        cast=cast(turns=2, sweeps=2, parts=(fails, fails), O=lambda _: operator),
        setting=Setting(retry=ONCE, rest=fails, must_fail=DS),
    ),
    Scenario(name="rerun beside a late helper", cast=cast(turns=2, R=asks_again), reliable=("R",)),
    Scenario(name="rerun, its reply lost", cast=cast(1, 0, R=asks_again), budget=Budget(lost_replies=1)),
    Scenario(
        name="rerun, and the next generation's name is given out",
        cast=cast(1, 0, R=asks_again),
        setting=Setting(second_given_out=True),
        reliable=("R",),
    ),
    Scenario(name="a name sent again", cast=cast(2, 1, N=sends_again), reliable=("N",), alike=("P0", "P1")),
    Scenario(name="the output stays", cast=cast(sweeps=2), setting=Setting(consumed=False), budget=CRASH),
    Scenario(name="something in the way", cast=cast(), setting=Setting(occupied=True), budget=CRASH),
    Scenario(
        name="nothing is synced",
        cast=cast(sweeps=2),
        setting=Setting(durability=Durability.NONE),
        budget=CRASH,
    ),
    Scenario(
        name="the author removes the output",
        cast=cast(turns=2, parts=(removes_its_output,)),
        setting=Setting(durability=Durability.NONE),
    ),
    Scenario(name="the input grows at work", cast=cast(1, 0, parts=(sees_its_input_grow,))),
    Scenario(
        name="copied in place, with a ready marker",
        cast=cast(turns=2, C=copies_in_place),
        setting=Setting(datasets=(), ready_marker=True),
        reliable=("C",),
    ),
    Scenario(
        name="made first, filled later",
        cast=cast(1, 0, F=fills_slowly),
        setting=Setting(datasets=()),
        reliable=("F",),
    ),
    Scenario(name="parents looked up before", cast=cast(sweeps=2), rules=Rules(split=True), budget=CRASH),
    Scenario(
        name="a lie of the cache",
        cast=cast(sweeps=2),
        rules=Rules(lies=Lies.ANY),
        budget=Budget(crashes=1, lies=1),
    ),
    Scenario(name="two lies of the cache", cast=cast(), rules=Rules(lies=Lies.OWN), budget=Budget(lies=2)),
    Scenario(
        name="a name hidden from a listing",
        cast=cast(turns=2, sweeps=2),
        rules=Rules(lies=Lies.OWN),
        budget=Budget(crashes=1, hidden=1),
    ),
    Scenario(
        name="two changes within a tick",
        cast=cast(2, 1, turns=2, parts=(fails,)),
        setting=Setting(one_client=True),
        rules=Rules(lies=Lies.LISTINGS, ticking=True),
        budget=Budget(lies=3),
        exhaustive=False,
    ),
    Scenario(
        name="added within the tick of a listing",
        cast=cast(1, 1, A=adds_late),
        setting=Setting(one_client=True),
        rules=Rules(lies=Lies.LISTINGS, ticking=True),
        budget=Budget(lies=1),
        exhaustive=False,
    ),
    Scenario(
        name="long hashing",
        cast=cast(sweeps=6, warm=True),
        setting=Setting(lease=LEASE, undisturbed=True),
        rules=Rules(ticking=True, reduced=False, hashing_seconds=25.0),
        exhaustive=False,
    ),
    Scenario(
        name="long work",
        cast=cast(sweeps=6, warm=True, parts=(takes_long,)),
        setting=Setting(lease=LEASE, undisturbed=True),
        rules=Rules(ticking=True, reduced=False, reading_seconds=25.0),
        exhaustive=False,
    ),
    Scenario(
        name="the server is down for longer than a lease",
        cast=cast(sweeps=6, warm=True, parts=(takes_long,), T=lambda _: outage),
        setting=Setting(lease=LEASE, undisturbed=True),
        rules=Rules(ticking=True, reduced=False, reading_seconds=25.0, outage_seconds=300.0),
        exhaustive=False,
    ),
    Scenario(
        name="clocks that differ by an hour",
        cast=cast(sweeps=6, warm=True, parts=(takes_long,)),
        setting=Setting(lease=LEASE, undisturbed=True),
        rules=Rules(ticking=True, reduced=False, reading_seconds=25.0, skew_seconds=3600.0),
        exhaustive=False,
    ),
    Scenario(
        name="everybody, and reruns",
        cast=_everybody_and_rerun,
        setting=TWO_OF_THEM,
        rules=Rules(split=True, fine=True, errors_at=ANY_END),
        budget=MANY,
        reliable=("O", "R"),
        exhaustive=False,
    ),
    Scenario(
        name="everybody, and a name sent again",
        cast=_everybody_and_again,
        setting=TWO_OF_THEM,
        rules=Rules(split=True, fine=True, errors_at=ANY_END),
        budget=MANY,
        reliable=("O", "N"),
        exhaustive=False,
    ),
    Scenario(
        name="everybody, and caches lie",
        cast=_everybody_and_rerun,
        setting=TWO_OF_THEM,
        rules=Rules(fine=True, lies=Lies.ANY),
        budget=MANY._replace(lies=4, hidden=2),
        reliable=("O", "R"),
        exhaustive=False,
    ),
)


def named(name: str) -> Scenario:
    """Return the scenario of this name."""
    return next(scenario for scenario in SCENARIOS if scenario.name == name)
