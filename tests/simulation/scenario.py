"""What a scenario is: who does what to a simulated root, and what may go wrong meanwhile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stages.engine.policy import RetryRule
from tests.simulation.explorer import Subject
from tests.simulation.people import Troupe
from tests.simulation.pipeline import Pipeline
from tests.simulation.reduction import Cast
from tests.simulation.rules import PLAIN, Rules
from tests.simulation.schedule import NO_FAULTS, Budget
from tests.simulation.setting import ENGINE, ONE_DATASET, Engine, Setting
from tests.simulation.world import World

ONCE: Final = RetryRule(attempts_max=1, backoff_seconds=())
TWICE: Final = RetryRule(attempts_max=2, backoff_seconds=())
SLOWLY: Final = RetryRule(attempts_max=3, backoff_seconds=(3600.0,))
DS: Final = frozenset({"ds"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One of them. `exhaustive` ones are small enough for every order to be tried. `engine` is what is explored."""

    name: str
    actors: Troupe
    setting: Setting = ONE_DATASET
    rules: Rules = PLAIN
    budget: Budget = NO_FAULTS
    reliable: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    exhaustive: bool = True
    engine: Engine = ENGINE

    def subject(self, engine: Engine | None = None, *, reduced: bool = True) -> Subject:
        """Return what the explorer explores, with the scenario's engine or another."""
        rules = self.rules if reduced else dataclasses.replace(self.rules, reduced=False)

        def build(world: World) -> Callable[[], list[str]]:
            pipeline = Pipeline(world, self.setting, engine or self.engine)
            self.actors(pipeline)
            return pipeline.judge

        return Subject(
            rules=rules,
            build=build,
            budget=self.budget,
            cast=Cast(reliable=self.reliable, alike=self.alike if reduced else ()),
        )


CRASH: Final = Budget(crashes=1)
LOST_REPLY: Final = Budget(lost_replies=1)
NO_ANSWER: Final = Budget(no_answers=2)
MANY: Final = Budget(crashes=2, lost_replies=2, no_answers=1)
ANY_END: Final = ("publish:", "retry:", "quarantine:")
TWO_OF_THEM: Final = Setting(datasets=("ds", "other"), retry=TWICE, may_fail=frozenset({"ds", "other"}))
