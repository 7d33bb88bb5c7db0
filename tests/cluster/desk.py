"""A worker without Prefect: it hands in, follows and takes up as the real one does, for runs that are in memory."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from infra.slurm.carriers import Carriers
from infra.slurm.census import Census
from infra.slurm.followed import Followed
from infra.slurm.follower import Follower
from infra.slurm.job import JobSpec
from infra.slurm.outbox import Outbox
from infra.slurm.ownership import Identity
from infra.slurm.submission import Submission
from infra.slurm.transport import Transport
from tests.fakes_runs import FakeRuns

TURN_SECONDS = 0.3
ANSWER_SECONDS = 60.0
NO_PROCESS = 2**22 + 1  # above the highest process id that Linux gives


class Desk:
    """One worker's life, in a thread of its own; `number` tells it from those before it."""

    def __init__(self, runs: FakeRuns, make: Callable[[str, str], Transport], number: int) -> None:
        # To those who come later its process is gone: they take over at once, as from a worker that was killed.
        me = replace(Identity.mine("desk"), pid=NO_PROCESS + number, ticks=1)
        self._runs, self._handing = runs, set[str]()
        self._follower = Follower(
            runs=runs,
            carriers=Carriers(make=make),
            outbox=Outbox(runs=runs, wall_us=lambda: time.time_ns() // 1000),
            me=me,
            monotonic=time.monotonic,
        )
        self._census = Census(
            runs=runs, follower=self._follower, me=me, monotonic=time.monotonic, busy=lambda: self._handing
        )
        self._submission = Submission(runs=runs, follower=self._follower, me=me)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name=f"desk-{number}", daemon=True)
        self._thread.start()

    def hand_in(self, run_id: str, make_spec: Callable[[str], JobSpec]) -> Future[Followed]:
        """Begin to hand a run in; what comes of it is told later."""
        return asyncio.run_coroutine_threadsafe(self._hand_in(run_id, make_spec), self._loop)

    def die(self) -> None:
        """End at once, in the middle of whatever it does; nobody is told."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(ANSWER_SECONDS)

    async def _hand_in(self, run_id: str, make_spec: Callable[[str], JobSpec]) -> Followed:
        self._handing.add(run_id)
        try:
            return await self._submission.hand_in(self._runs.runs[run_id], self._runs.where, make_spec)
        finally:
            self._handing.discard(run_id)

    def _live(self) -> None:
        turns = self._loop.create_task(self._turns())
        self._loop.run_forever()
        others = asyncio.all_tasks(self._loop)
        for task in (turns, *others):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(turns, *others, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _turns(self) -> None:
        while True:
            await self._census.turn()
            await self._follower.turn()
            await asyncio.sleep(TURN_SECONDS)


def passed_on() -> dict[str, str]:
    """What a job needs of this machine."""
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
