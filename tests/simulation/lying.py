"""Scenarios in which clients of a network file system lie."""

from __future__ import annotations

from typing import Final

from tests.simulation.beliefs import Lies
from tests.simulation.mutants.doors import AsksWithoutOpening, door, is_private
from tests.simulation.people import (
    LEASE,
    adds_late,
    asks_again,
    company,
    dies_after_its_commit,
    everybody_and_rerun,
    keeps_looking,
    next_poller,
    start,
)
from tests.simulation.rules import Rules
from tests.simulation.scenario import MANY, ONCE, TWO_OF_THEM, Scenario
from tests.simulation.schedule import Budget
from tests.simulation.script import fails, takes_long, works_a_while
from tests.simulation.setting import Engine, Setting

LYING: Final = (
    Scenario(
        name="two pollers, a sweeper and a stale negative entry",
        actors=company(2, 1),
        rules=Rules(lies=Lies.ANY),
        budget=Budget(crashes=1, lies=1),
        alike=("P0", "P1"),
    ),
    Scenario(
        name="two pollers, a sweeper and a name hidden from a listing",
        actors=company(2, 1),
        rules=Rules(lies=Lies.OWN),
        budget=Budget(crashes=1, hidden=1),
        alike=("P0", "P1"),
    ),
    Scenario(
        name="two pollers, a sweeper and an old listing",
        actors=company(2, 1),
        setting=Setting(one_client=True),
        rules=Rules(lies=Lies.LISTINGS, ticking=True),
        budget=Budget(crashes=1, lies=1),
        alike=("P0", "P1"),
    ),
    Scenario(
        name="two pollers, a sweeper and an old heartbeat",
        actors=company(2, 1, sweeps=3, warm=True, parts=(works_a_while,)),
        setting=Setting(lease=LEASE),
        rules=Rules(lies=Lies.ATTRIBUTES, ticking=True, reduced=False, reading_seconds=60.0),
        budget=Budget(crashes=1, lies=2),
        engine=Engine(door=door(lambda inner: AsksWithoutOpening(inner, is_private))),
    ),
    Scenario(
        name="two pollers, a sweeper, a lost reply and a stale negative entry",
        actors=company(2, 1),
        rules=Rules(lies=Lies.ANY),
        budget=Budget(lost_replies=1, lies=1),
        alike=("P0", "P1"),
    ),
    Scenario(
        name="a lost reply, a lie of the cache and a crash",
        actors=company(),
        rules=Rules(lies=Lies.ANY),
        budget=Budget(crashes=1, lost_replies=1, lies=1),
    ),
    Scenario(
        name="dead after its commit, and four lies of the cache",
        actors=company(0, 1, sweeps=2, P=dies_after_its_commit),
        rules=Rules(lies=Lies.ANY),
        budget=Budget(lies=4),
    ),
    Scenario(
        name="rerun, its reply lost, and a lie of the cache",
        actors=company(1, 1, R=asks_again),
        rules=Rules(lies=Lies.OWN),
        budget=Budget(lost_replies=1, lies=1),
    ),
    Scenario(
        name="published within the tick of a listing",
        actors=company(1, 0, N=next_poller),
        setting=Setting(one_client=True, onward=True),
        rules=Rules(lies=Lies.LISTINGS, ticking=True),
        budget=Budget(lies=1),
    ),
    Scenario(
        name="long work, and an old heartbeat from the cache",
        actors=company(sweeps=6, warm=True, parts=(takes_long,)),
        setting=Setting(lease=LEASE, undisturbed=True),
        rules=Rules(lies=Lies.ATTRIBUTES, ticking=True, reduced=False, reading_seconds=25.0),
        budget=Budget(lies=6),
        exhaustive=False,
    ),
    Scenario(
        name="added, and the location's mtime is an old one from the cache",
        actors=company(0, 0, P=keeps_looking, A=adds_late),
        setting=Setting(datasets=()),
        rules=Rules(lies=Lies.ATTRIBUTES, ticking=True, reduced=False),
        budget=Budget(lies=6),
    ),
    Scenario(
        name="requeued, and a lie of the cache",
        actors=company(0, 0, F=start(0), H=start(1)),
        setting=Setting(retry=ONCE),
        rules=Rules(lies=Lies.OWN),
        budget=Budget(crashes=1, lies=1),
    ),
    Scenario(
        name="a lie of the cache",
        actors=company(sweeps=2),
        rules=Rules(lies=Lies.ANY),
        budget=Budget(crashes=1, lies=1),
    ),
    Scenario(name="two lies of the cache", actors=company(), rules=Rules(lies=Lies.OWN), budget=Budget(lies=2)),
    Scenario(
        name="a name hidden from a listing",
        actors=company(turns=2, sweeps=2),
        rules=Rules(lies=Lies.OWN),
        budget=Budget(crashes=1, hidden=1),
    ),
    Scenario(
        name="two changes within a tick",
        actors=company(2, 1, turns=2, parts=(fails,)),
        setting=Setting(one_client=True),
        rules=Rules(lies=Lies.LISTINGS, ticking=True),
        budget=Budget(lies=3),
        exhaustive=False,
    ),
    Scenario(
        name="added within the tick of a listing",
        actors=company(1, 1, A=adds_late),
        setting=Setting(one_client=True),
        rules=Rules(lies=Lies.LISTINGS, ticking=True),
        budget=Budget(lies=1),
        exhaustive=False,
    ),
    Scenario(
        name="everybody, and caches lie",
        actors=everybody_and_rerun,
        setting=TWO_OF_THEM,
        rules=Rules(fine=True, lies=Lies.ANY),
        budget=MANY._replace(lies=4, hidden=2),
        reliable=("O", "R"),
        exhaustive=False,
    ),
)
