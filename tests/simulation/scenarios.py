"""The scenarios: who does what to a simulated root, and what may go wrong meanwhile."""

from __future__ import annotations

from typing import Final

from stages.engine.durability import Durability
from stages.engine.policy import Cause
from tests.simulation.lying import LYING
from tests.simulation.people import (
    LEASE,
    asks_again,
    company,
    copies_in_place,
    dies_at_every_attempt,
    everybody_and_again,
    everybody_and_rerun,
    fills_slowly,
    operator,
    outage,
    person,
    sends_again,
    start,
    straggler,
)
from tests.simulation.rules import Rules
from tests.simulation.scenario import (
    ANY_END,
    CRASH,
    DS,
    LOST_REPLY,
    MANY,
    NO_ANSWER,
    ONCE,
    SLOWLY,
    TWICE,
    TWO_OF_THEM,
    Scenario,
)
from tests.simulation.schedule import Budget
from tests.simulation.script import (
    fails,
    is_asked_to_stop,
    leaves_a_process_behind,
    puts_off,
    removes_its_output,
    sees_its_input_grow,
    takes_long,
)
from tests.simulation.setting import Setting

SCENARIOS: Final = (
    Scenario(name="two pollers and a sweeper", actors=company(2, 1), budget=CRASH, alike=("P0", "P1")),
    Scenario(name="a poller and a sweeper, twice each", actors=company(turns=2, sweeps=2), budget=CRASH),
    Scenario(name="lost reply", actors=company(2, 1), budget=LOST_REPLY, alike=("P0", "P1")),
    Scenario(
        name="lost reply, and nobody dies",
        actors=company(1, 0),
        budget=Budget(lost_replies=2),
        setting=Setting(undisturbed=True, retry=ONCE),
    ),
    Scenario(name="error at the commit", actors=company(sweeps=2), budget=NO_ANSWER),
    Scenario(name="error at the commit and a crash", actors=company(), budget=Budget(crashes=1, no_answers=1)),
    Scenario(
        name="error at any end",
        actors=company(turns=2, parts=(fails,)),
        budget=NO_ANSWER,
        rules=Rules(errors_at=ANY_END),
    ),
    Scenario(name="two sweepers", actors=company(1, 2), budget=CRASH, alike=("S0", "S1")),
    Scenario(
        name="two sweepers and a dead owner",
        actors=company(2, 2),
        setting=Setting(dead_owner=True, undisturbed=True),
        alike=("S0", "S1"),
    ),
    Scenario(
        name="release",
        actors=company(2, 1, parts=(is_asked_to_stop,), cause=Cause.CLUSTER),
        setting=Setting(retry=ONCE),
        budget=CRASH,
    ),
    Scenario(
        name="later",
        actors=company(2, 1, parts=(puts_off,), cause=Cause.CLUSTER),
        setting=Setting(retry=ONCE),
        budget=CRASH,
    ),
    Scenario(
        name="lost owners are no failures",
        actors=company(turns=2, sweeps=2),
        setting=Setting(retry=ONCE, rest=None),
        budget=CRASH,
    ),
    Scenario(
        name="the cluster's faults count nowhere",
        actors=company(turns=2, sweeps=2, cause=Cause.CLUSTER),
        setting=Setting(retry=ONCE),
        budget=CRASH,
    ),
    Scenario(
        name="failures up to quarantine",
        actors=company(turns=2, sweeps=2, parts=(fails, fails)),
        setting=Setting(retry=TWICE, rest=fails, must_fail=DS),
        budget=CRASH,
    ),
    Scenario(
        name="owners that always die",
        actors=company(0, 0, D=dies_at_every_attempt),
        setting=Setting(must_fail=DS),
    ),
    Scenario(
        name="requeued, and the former start lives on",
        actors=company(0, 0, F=start(0), H=start(1)),
        setting=Setting(retry=ONCE),
        budget=CRASH,
    ),
    Scenario(
        name="requeued twice beside a sweeper, and both former starts live on",
        actors=company(0, 1, F=start(0, turns=2), G=start(1, turns=2), H=start(2, turns=2)),
        setting=Setting(datasets=("ds", "other")),
        rules=Rules(split=True, fine=True, errors_at=ANY_END),
        budget=MANY,
        exhaustive=False,
    ),
    Scenario(name="retry mark in flight", actors=company(sweeps=2, O=person(operator)), budget=CRASH),
    Scenario(
        name="retry mark while backing off",
        actors=company(turns=2, sweeps=2, parts=(fails,), O=person(operator)),
        setting=Setting(retry=SLOWLY),
    ),
    Scenario(
        name="retry mark in quarantine",
        actors=company(turns=2, sweeps=2, parts=(fails,), O=person(operator)),
        setting=Setting(retry=ONCE, may_fail=DS),
    ),
    Scenario(
        name="a quarantine that is carried out late",
        actors=company(2, 2, turns=2, sweeps=2, parts=(fails,), O=person(operator)),
        setting=Setting(retry=ONCE, may_fail=DS, failures=1),
        exhaustive=False,
    ),
    Scenario(
        name="retry mark on a dataset that always fails",
        actors=company(turns=2, sweeps=2, parts=(fails, fails), O=person(operator)),
        setting=Setting(retry=ONCE, rest=fails, must_fail=DS),
    ),
    Scenario(name="rerun beside a late helper", actors=company(turns=2, R=asks_again), reliable=("R",)),
    Scenario(name="rerun, its reply lost", actors=company(1, 0, R=asks_again), budget=Budget(lost_replies=1)),
    Scenario(
        name="rerun, and the next generation's name is given out",
        actors=company(1, 0, R=asks_again),
        setting=Setting(second_given_out=True),
        reliable=("R",),
    ),
    Scenario(name="a name sent again", actors=company(2, 1, N=sends_again), reliable=("N",), alike=("P0", "P1")),
    Scenario(name="the output stays", actors=company(sweeps=2), setting=Setting(consumed=False), budget=CRASH),
    Scenario(name="something in the way", actors=company(), setting=Setting(occupied=True), budget=CRASH),
    Scenario(
        name="nothing is synced",
        actors=company(sweeps=2),
        setting=Setting(durability=Durability.NONE),
        budget=CRASH,
    ),
    Scenario(
        name="the author removes the output",
        actors=company(turns=2, parts=(removes_its_output,)),
        setting=Setting(durability=Durability.NONE),
    ),
    Scenario(
        name="a process is left behind",
        actors=company(parts=(leaves_a_process_behind,), cause=Cause.CLUSTER, X=straggler),
        setting=Setting(retry=ONCE),
    ),
    Scenario(name="the input grows at work", actors=company(1, 0, parts=(sees_its_input_grow,))),
    Scenario(
        name="copied in place, with a ready marker",
        actors=company(turns=2, C=copies_in_place),
        setting=Setting(datasets=(), ready_marker=True),
        reliable=("C",),
    ),
    Scenario(
        name="made first, filled later",
        actors=company(1, 0, F=fills_slowly),
        setting=Setting(datasets=()),
        reliable=("F",),
    ),
    Scenario(name="parents looked up before", actors=company(sweeps=2), rules=Rules(split=True), budget=CRASH),
    Scenario(
        name="long hashing",
        actors=company(sweeps=6, warm=True),
        setting=Setting(lease=LEASE, undisturbed=True),
        rules=Rules(ticking=True, reduced=False, hashing_seconds=25.0),
        exhaustive=False,
    ),
    Scenario(
        name="long work",
        actors=company(sweeps=6, warm=True, parts=(takes_long,)),
        setting=Setting(lease=LEASE, undisturbed=True),
        rules=Rules(ticking=True, reduced=False, reading_seconds=25.0),
        exhaustive=False,
    ),
    Scenario(
        name="the server is down for longer than a lease",
        actors=company(sweeps=6, warm=True, parts=(takes_long,), T=person(outage)),
        setting=Setting(lease=LEASE, undisturbed=True),
        rules=Rules(ticking=True, reduced=False, reading_seconds=25.0, outage_seconds=300.0),
        exhaustive=False,
    ),
    Scenario(
        name="clocks that differ by an hour",
        actors=company(sweeps=6, warm=True, parts=(takes_long,)),
        setting=Setting(lease=LEASE, undisturbed=True),
        rules=Rules(ticking=True, reduced=False, reading_seconds=25.0, skew_seconds=3600.0),
        exhaustive=False,
    ),
    Scenario(
        name="everybody, and reruns",
        actors=everybody_and_rerun,
        setting=TWO_OF_THEM,
        rules=Rules(split=True, fine=True, errors_at=ANY_END),
        budget=MANY,
        reliable=("O", "R"),
        exhaustive=False,
    ),
    Scenario(
        name="everybody, and a name sent again",
        actors=everybody_and_again,
        setting=TWO_OF_THEM,
        rules=Rules(split=True, fine=True, errors_at=ANY_END),
        budget=MANY,
        reliable=("O", "N"),
        exhaustive=False,
    ),
    *LYING,
)


def named(name: str) -> Scenario:
    """Return the scenario of this name."""
    return next(scenario for scenario in SCENARIOS if scenario.name == name)
