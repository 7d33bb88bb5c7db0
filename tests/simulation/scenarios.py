"""The scenarios: who does what to a simulated root, and what may go wrong meanwhile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stages.engine import archive, reruns
from stages.engine.durability import Durability
from stages.engine.errors import UsageError
from stages.engine.layout import Passage
from stages.engine.policy import Cause, RetryRule
from stages.engine.sightings import Lease
from stages.engine.work.outcome import Outcome, OutcomeKind, Stop, stopped
from tests.simulation.client import Lies
from tests.simulation.explorer import Subject
from tests.simulation.pipeline import READS, ROOT, STAGE, WRITES, Engine, Pipeline, Setting
from tests.simulation.world import Actor, Budget, Rules, World

Cast = Callable[[Pipeline], None]

FAILS: Final = Outcome(kind=OutcomeKind.FAIL, why="boom", signature="boom")
LATER: Final = Outcome(kind=OutcomeKind.LATER, why="not now")
RELEASES: Final = stopped(Stop.DRAIN)

ONCE: Final = RetryRule(attempts_max=1, backoff_seconds=())
TWICE: Final = RetryRule(attempts_max=2, backoff_seconds=())
SLOWLY: Final = RetryRule(attempts_max=3, backoff_seconds=(3600.0,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One of them. `exhaustive` ones are small enough for every order to be tried."""

    name: str
    cast: Cast
    setting: Setting = Setting()
    rules: Rules = Rules()
    budget: Budget = Budget()
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


# ---- people


def operator(actor: Actor) -> None:
    """Touches a retry mark wherever the dataset is found."""
    for base in (READS.path, READS.failed):
        try:
            actor.fs.write_new(f"{base}/ds/retry.{STAGE}", b"")
        except OSError:
            continue
        return


def asks_again(actor: Actor) -> None:
    """Reruns the dataset once it is published."""
    passage = Passage(stage=STAGE, reads=READS, writes=WRITES)
    for _ in range(2):
        for entry in archive.archived(actor.fs.listdir(READS.done)):
            try:
                reruns.rerun(actor.fs, ROOT, passage, entry, token=actor.identity.token(), who="operator")
            except UsageError:
                continue
            return


def sends_again(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Returns a producer that gives a name a second time, past `phaseline add`, once it is free."""

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


# ---- casts


def _cast(
    pollers: int = 1,
    sweepers: int = 1,
    *,
    turns: int = 1,
    sweeps: int = 1,
    outcomes: tuple[Outcome, ...] = (),
    cause: Cause = Cause.LOST,
    warm: bool = False,
    people: bool = False,
) -> Cast:
    """Pollers P0, P1 ..., of which the first has the outcomes, and sweepers S0, S1 ...; and an operator O."""

    def cast(pipeline: Pipeline) -> None:
        for number in range(pollers):
            script = outcomes if number == 0 else ()
            pipeline.spawn(f"P{number}", pipeline.poller(turns, script, warm=warm))
        for number in range(sweepers):
            pipeline.spawn(f"S{number}", pipeline.sweeper(sweeps, cause, warm=warm))
        if people:
            pipeline.spawn("O", operator)

    return cast


def _rerun(pipeline: Pipeline) -> None:
    _cast(1, 1, turns=2)(pipeline)
    pipeline.spawn("R", asks_again)


def _sent_again(pipeline: Pipeline) -> None:
    _cast(2, 1)(pipeline)
    pipeline.spawn("N", sends_again(pipeline))


def _rerun_sent_again(pipeline: Pipeline) -> None:
    _cast(1, 1)(pipeline)
    pipeline.spawn("R", asks_again)
    pipeline.spawn("N", sends_again(pipeline))


def _everybody(pipeline: Pipeline) -> None:
    for number, outcome in enumerate(((FAILS, RELEASES), (LATER,), ())):
        pipeline.spawn(f"P{number}", pipeline.poller(3, outcome, warm=True))
    for number in range(2):
        pipeline.spawn(f"S{number}", pipeline.sweeper(3, warm=True))
    pipeline.spawn("O", operator)
    pipeline.spawn("R", asks_again)
    pipeline.spawn("N", sends_again(pipeline))


CRASH: Final = Budget(crashes=1)
LOST_REPLY: Final = Budget(lost_replies=1)
NO_ANSWER: Final = Budget(no_answers=1)
MANY: Final = Budget(crashes=2, lost_replies=2, no_answers=1)
ANY_END: Final = ("publish:", "retry:", "quarantine:")

SCENARIOS: Final = (
    Scenario(name="two pollers, a sweeper", cast=_cast(2, 1), budget=CRASH, alike=("P0", "P1")),
    Scenario(name="a poller, a sweeper, twice each", cast=_cast(1, 1, turns=2, sweeps=2), budget=CRASH),
    Scenario(name="lost reply", cast=_cast(2, 1), budget=LOST_REPLY, alike=("P0", "P1")),
    Scenario(name="error at the commit", cast=_cast(1, 1, sweeps=2), budget=NO_ANSWER),
    Scenario(name="error at the commit and a crash", cast=_cast(1, 1), budget=Budget(crashes=1, no_answers=1)),
    Scenario(
        name="error at any end",
        cast=_cast(1, 1, turns=2, outcomes=(FAILS,)),
        budget=Budget(no_answers=1),
        rules=Rules(errors_at=ANY_END),
    ),
    Scenario(name="two sweepers", cast=_cast(1, 2), budget=CRASH, alike=("S0", "S1")),
    Scenario(name="release", cast=_cast(2, 1, outcomes=(RELEASES,)), budget=CRASH),
    Scenario(name="later", cast=_cast(2, 1, outcomes=(LATER,)), budget=CRASH),
    Scenario(
        name="failures up to quarantine",
        cast=_cast(1, 1, turns=2, sweeps=2, outcomes=(FAILS, FAILS)),
        setting=Setting(retry=TWICE, may_fail=frozenset({"ds"})),
        budget=CRASH,
    ),
    Scenario(
        name="the cluster's faults only",
        cast=_cast(1, 1, turns=2, sweeps=2, cause=Cause.CLUSTER),
        setting=Setting(retry=ONCE),
        budget=CRASH,
    ),
    Scenario(name="retry mark in flight", cast=_cast(1, 1, sweeps=2, people=True), budget=CRASH),
    Scenario(
        name="retry mark while backing off",
        cast=_cast(1, 1, turns=2, sweeps=2, outcomes=(FAILS,), people=True),
        setting=Setting(retry=SLOWLY),
    ),
    Scenario(
        name="retry mark in quarantine",
        cast=_cast(1, 1, turns=2, sweeps=2, outcomes=(FAILS,), people=True),
        setting=Setting(retry=ONCE, may_fail=frozenset({"ds"})),
    ),
    Scenario(name="rerun beside a late helper", cast=_rerun, reliable=("R",)),
    Scenario(name="a name sent again", cast=_sent_again, reliable=("N",), alike=("P0", "P1")),
    Scenario(
        name="the output stays: power loss",
        cast=_cast(1, 1, sweeps=2),
        setting=Setting(consumed=False),
        budget=CRASH,
    ),
    Scenario(
        name="nothing is synced",
        cast=_cast(1, 1, sweeps=2),
        setting=Setting(durability=Durability.NONE),
        budget=CRASH,
    ),
    Scenario(
        name="parents looked up before",
        cast=_cast(1, 1, sweeps=2),
        rules=Rules(split=True),
        budget=CRASH,
    ),
    Scenario(
        name="a lie of the cache",
        cast=_cast(1, 1, sweeps=2),
        rules=Rules(lies=Lies.ANY),
        budget=Budget(crashes=1, lies=1),
    ),
    Scenario(
        name="two lies of the cache",
        cast=_cast(1, 1),
        rules=Rules(lies=Lies.OWN),
        budget=Budget(lies=2),
    ),
    Scenario(
        name="a name hidden from a listing",
        cast=_cast(1, 1, turns=2, sweeps=2),
        rules=Rules(lies=Lies.OWN),
        budget=Budget(crashes=1, hidden=1),
    ),
    Scenario(
        name="two changes within a tick",
        cast=_cast(2, 1, turns=2, outcomes=(FAILS,)),
        setting=Setting(one_client=True),
        rules=Rules(lies=Lies.LISTINGS, ticking=True),
        budget=Budget(lies=3),
        exhaustive=False,
    ),
    Scenario(
        name="long hashing",
        cast=_cast(1, 1, sweeps=6, warm=True),
        setting=Setting(lease=Lease(heartbeat_seconds=30.0, expires_seconds=90.0), undisturbed=True),
        rules=Rules(ticking=True, reduced=False, hashing_seconds=25.0),
        exhaustive=False,
    ),
    Scenario(
        name="everybody and everything",
        cast=_everybody,
        setting=Setting(datasets=("ds", "other"), retry=TWICE, may_fail=frozenset({"ds", "other"})),
        rules=Rules(split=True, fine=True, errors_at=ANY_END),
        budget=MANY,
        reliable=("O", "R", "N"),
        exhaustive=False,
    ),
    Scenario(
        name="everybody, and caches lie",
        cast=_everybody,
        setting=Setting(datasets=("ds", "other"), retry=TWICE, may_fail=frozenset({"ds", "other"})),
        rules=Rules(fine=True, lies=Lies.ANY),
        budget=MANY._replace(lies=4, hidden=2),
        reliable=("O", "R", "N"),
        exhaustive=False,
    ),
)


def named(name: str) -> Scenario:
    """Return the scenario of this name."""
    return next(scenario for scenario in SCENARIOS if scenario.name == name)
