"""The kill storm with its pollers and sweepers divided between the two clients; run at the server, which judges.

    python -m tests.nfs.storm DATASETS SEED LIMIT_SECONDS RESTARTS

So often the server goes away in the midst of it, for both clients, with replies under way.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.end_to_end import storm
from tests.end_to_end.fleet import FIRST_NUMBER, Fleet, Process
from tests.end_to_end.storm import Plan, Storm
from tests.nfs.forked import Forked, type_in
from tests.nfs.lost_replies import server
from tests.nfs.machine import DATA

DOWN_SECONDS = 1.0


class DividedFleet(Fleet):
    """Every other member of a kind works on the other client."""

    def _process(self, words: tuple[str, ...], number: int, environment: Mapping[str, str], output: int) -> Process:
        place = number - FIRST_NUMBER
        sweepers = sum(member.stage is None for member in self.members)
        turn = place if words[0] == "sweep" else (place - sweepers) // len(storm.STAGES)
        return Forked("b" if turn % 2 else "a", words, environment, output)


class NetworkStorm(Storm):
    """A storm over two clients; `restarts` are the shares of the progress at which the server goes away."""

    def __init__(self, plan: Plan, top: Path, restarts: list[float]) -> None:
        super().__init__(plan, top)
        self._fleet = DividedFleet(self._root, self._logs)
        self._restarts = restarts

    def _type_in(self, *words: str) -> subprocess.CompletedProcess[str]:
        return type_in(self._root, *words)

    def _published(self) -> int:
        published = super()._published()
        if self._restarts and published >= self._restarts[0] * self._plan.datasets * len(storm.STAGES):
            del self._restarts[0]
            self._restart()
        return published

    def _restart(self) -> None:
        for client in "ab":
            server("mute", client)
        time.sleep(self._rng.uniform(0.2, 1.0))
        server("stop")
        for client in "ab":
            server("hear", client)
        time.sleep(DOWN_SECONDS)
        server("start")
        self._figures["server restarts"] += 1


def main(datasets: int, seed: int, limit_seconds: float, restarts: int) -> None:
    """Let it rage; prints what came of it as JSON."""
    plan = Plan(
        datasets=datasets,
        kills=datasets // 25,
        stops=datasets // 20,
        asks=datasets // 100,
        retries=datasets // 25,
        reruns=datasets // 100,
        requeues=datasets // 100,
        seed=seed,
        pollers=4,
        sweep_seconds=2.0,
        files=1,
        limit_seconds=limit_seconds,
    )
    begun = time.monotonic()
    raging = NetworkStorm(plan, Path(DATA), [0.3 + 0.4 * number for number in range(restarts)])
    outcome = raging.run()
    seconds = round(time.monotonic() - begun)
    print(json.dumps({"wrong": outcome.wrong, "figures": outcome.figures, "seconds": seconds}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
