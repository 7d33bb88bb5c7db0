"""Worker processes: started, killed, ended, each with its log."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.slurm.slots import take_slot
from tests.end_to_end.fleet import CHECKOUT
from tests.end_to_end.prefect import entry, gates
from tests.end_to_end.prefect.entry import SLOTS_NAME
from tests.waiting import wait_until

START_SECONDS = 60.0
END_SECONDS = 20.0
QUERY_SECONDS = "1"
SLOTS = 8
NEVER = ("--install-policy", "never", "--no-create-pool-if-not-found")
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([entry.__name__])
STARTED = "started!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One process of a worker called `name`."""

    name: str
    process: ForkServerProcess
    log: Path

    @property
    def said(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    def wait(self) -> Self:
        """Wait until it is known to the server. Raises AssertionError if it ends, TimeoutError."""

        def is_there() -> bool:
            assert self.process.is_alive(), self.said
            return STARTED in self.said

        wait_until(is_there, START_SECONDS, lambda: self.said)
        return self

    def kill(self) -> None:
        """SIGKILL, and gone."""
        self.process.kill()
        self.process.join(END_SECONDS)
        assert not self.process.is_alive()


class Workers:
    """Workers of one server, whose slots are nobody else's. None outlives this process."""

    def __init__(self, url: str, directory: Path, *, slots_name: str) -> None:
        self._url, self._directory, self._slots_name = url, directory, slots_name
        self._workers: list[Worker] = []
        directory.mkdir(exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()

    def start(
        self,
        pool: str,
        name: str,
        *,
        kind: str = "slurm",
        url: str | None = None,
        at: gates.Gates | None = None,
        limit: int = SLOTS,
    ) -> Worker:
        """Start a worker of at most `limit` runs; `url` is where it asks, if that is not the server itself."""
        told = {
            "PREFECT_API_URL": url or self._url,
            "PHASELINE_LOCAL_SLOTS": str(SLOTS),
            SLOTS_NAME: self._slots_name,
            **({gates.VARIABLE: str(at.directory)} if at else {}),
        }
        words = ["--pool", pool, "--type", kind, "--name", name, "--limit", str(limit)]
        log = self._directory / f"{len(self._workers):02}-{name}.log"
        log.touch()
        process = FORKS.Process(
            target=entry.work,
            args=([*words, *NEVER], environment(self._directory, told), str(self._directory), str(log)),
            daemon=True,
        )
        process.start()
        self._workers.append(Worker(name=name, process=process, log=log))
        return self._workers[-1]

    @contextmanager
    def without_slots(self, held: int = 0) -> Generator[None]:
        """Take all slots but those that jobs hold: whatever is handed in waits until the end of this."""
        taken: list[socket.socket] = []

        def take() -> bool:
            while slot := take_slot(self._slots_name, SLOTS):
                taken.append(slot)
            return len(taken) == SLOTS - held

        try:
            wait_until(take, END_SECONDS, lambda: f"{len(taken)} of {SLOTS - held} slots are free")
            yield
        finally:
            for slot in taken:
                slot.close()


def environment(home: Path, told: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that talks to the server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PHASELINE_"))}
    return {
        **kept,
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_WORKER_QUERY_SECONDS": QUERY_SECONDS,
        "PREFECT_WORKER_HEARTBEAT_SECONDS": "5",
        "PREFECT_LOGGING_COLORS": "false",
        "PREFECT_CLI_PROMPT": "false",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        **told,
    }
