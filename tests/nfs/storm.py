"""The kill storm with its pollers and sweepers divided between the two clients; run at the server, which judges.

    python -m tests.nfs.storm DATASETS SEED ARRIVAL_SECONDS [restart]

Datasets arrive for as long as that, on a slow machine not all of them. With `restart` the server goes away twice in the
midst of it, for both clients, with replies under way.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

from tests.end_to_end import storm
from tests.end_to_end.fleet import FIRST_NUMBER, Fleet, Member
from tests.end_to_end.storm import Plan, Storm
from tests.nfs.agent import at
from tests.nfs.machine import DATA
from tests.nfs.scripts import server

DOWN_SECONDS = 3.0
REST_SECONDS = 60.0


class DividedFleet(Fleet):
    """Every other member of a kind works on the other client."""

    def _command(self, words: tuple[str, ...], number: int) -> list[str]:
        place = number - FIRST_NUMBER
        sweepers = sum(member.stage is None for member in self.members)
        turn = place if words[0] == "sweep" else (place - sweepers) // len(storm.STAGES)
        return [*at("ab"[turn % 2]), *super()._command(words, number)]


class NetworkStorm(Storm):
    """A storm over two clients; `restarts` are the shares of the progress at which the server goes away."""

    def __init__(self, plan: Plan, top: Path, restarts: list[float], arrival_seconds: float) -> None:
        super().__init__(plan, top)
        self._fleet = DividedFleet(self._root, self._logs)
        self._restarts = restarts
        self._closes = time.monotonic() + arrival_seconds

    @property
    def arrived(self) -> int:
        """How many datasets there were."""
        return len(self._names)

    def _published(self) -> int:
        published = super()._published()
        if (
            time.monotonic() > self._closes
        ):  # what has not arrived by now does not; the rest of the violence comes at once
            self._names = [name for name in self._names if name not in self._waiting]
            self._waiting.clear()
            published = self._plan.datasets * len(storm.STAGES)
        if self._restarts and published >= self._restarts[0] * self._plan.datasets * len(storm.STAGES):
            del self._restarts[0]
            self._restart()
        return published

    def _victim(self) -> Member | None:
        """Once no more arrive few have an attempt at hand: then it is anybody."""
        if time.monotonic() <= self._closes:
            return super()._victim()
        member = self._rng.choice(self._active())
        self._fleet.stop(member, 0)
        return member

    def _restart(self) -> None:
        for client in "ab":
            server("mute", client)
        time.sleep(random.uniform(0.2, 1.0))
        server("stop")
        for client in "ab":
            server("hear", client)
        time.sleep(DOWN_SECONDS)
        server("start")
        self._figures["server restarts"] += 1


def main(datasets: int, seed: int, arrival_seconds: float, restarts: list[float]) -> None:
    """Let it rage; prints what came of it as JSON."""
    plan = Plan(
        datasets=datasets,
        kills=datasets // 16,
        stops=datasets // 12,
        asks=datasets // 50,
        retries=datasets // 25,
        reruns=datasets // 60,
        requeues=datasets // 60,
        seed=seed,
        pollers=4,
        limit_seconds=arrival_seconds + REST_SECONDS,
    )
    begun = time.monotonic()
    raging = NetworkStorm(plan, Path(DATA), restarts, arrival_seconds)
    outcome = raging.run()
    seconds = round(time.monotonic() - begun)
    print(
        json.dumps({"wrong": outcome.wrong, "figures": outcome.figures, "seconds": seconds, "arrived": raging.arrived})
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), [0.3, 0.6] if sys.argv[4:] else [])
