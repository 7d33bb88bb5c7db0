"""The stack's processes: a server and a worker for each pool, each of which can be started, ended and killed alone."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from infra.stack import database, environment, processes, record
from infra.stack.api import Api
from infra.stack.choices import SERVER
from infra.stack.errors import StackError, with_log
from infra.stack.place import Place, short
from infra.stack.pools import Pool
from infra.stack.record import Record

STARTING_SECONDS_MAX = 180.0  # a first start migrates the database; two cores may be busy with other things
LOOK_SECONDS = 0.1
GRACE_SECONDS = 20.0
PREFECT = (sys.executable, "-m", "prefect")
SERVING = (sys.executable, "-m", "infra.stack.server")


def _no_word() -> None:
    """Nobody watches."""


class Stack:
    """One server and its workers, in one place. What it starts it writes down at once; nothing ends with this object.

    `waiting` is called about ten times a second while something is waited for.
    """

    def __init__(
        self, place: Place, *, base: Mapping[str, str] = os.environ, waiting: Callable[[], None] = _no_word
    ) -> None:
        self.place, self._base, self._waiting = place, base, waiting
        place.make()
        self.refresh()

    def refresh(self) -> None:
        """Read again what is written down: somebody else may have started or ended something."""
        self.record = record.read(self.place.record) or Record(host=socket.gethostname())

    @property
    def port(self) -> int:
        if self.record.port is None:
            raise StackError("no server was ever started here: phaseline up")
        return self.record.port

    @property
    def api(self) -> Api:
        return Api(self.port)

    @property
    def environment(self) -> dict[str, str]:
        """What a command has to see to talk to this server, and what all processes of the stack see."""
        root, stages = self.record.root, self.record.stages
        return environment.environment(
            self._base,
            self.place,
            port=self.port,
            root=Path(root) if root else None,
            stages=Path(stages) if stages else None,
        )

    def alive(self) -> list[str]:
        """Return the names of those that live: exactly those that were started here."""
        return [name for name, process in self.record.processes.items() if processes.is_alive(process)]

    def change(self, **facts: object) -> None:
        """Write down something else than processes."""
        self._write(replace(self.record, **facts))  # pyright: ignore[reportArgumentType] - fields of Record by name

    def start_server(self, port: int) -> None:
        """Start the server; it answers once `wait_for_server` returns."""
        self._write(replace(self.record, host=socket.gethostname(), port=port))
        database.forget_planned(self.place.database)
        # Whoever held Prefect's lock of leases is dead; after a reboot its number may be somebody else's.
        (self.place.prefect_home / "concurrency_leases" / "expirations.lock").unlink(missing_ok=True)
        self._start(SERVER, [*SERVING, "server", "start", "--host", environment.HOST, "--port", str(port)])

    def start_worker(self, pool: Pool) -> None:
        """Start the worker of a pool; it is known to the server once `wait_for_worker` returns."""
        words = ["worker", "start", "--pool", pool.name, "--type", pool.type, "--name", worker_name(pool.name)]
        never = ["--install-policy", "never", "--no-create-pool-if-not-found"]
        self._start(pool.name, [*PREFECT, *words, *never])

    def wait_for_server(self) -> None:
        """Wait until the server answers. Raises StackError if it ends, or does not within three minutes."""
        api = self.api
        self._wait(SERVER, api.is_healthy)

    def wait_for_worker(self, pool: str, since: float) -> None:
        """Wait until the worker has said that it lives, after `since` (epoch seconds). Raises StackError as above."""
        api = self.api
        self._wait(pool, lambda: api.online_since(pool, worker_name(pool)) >= since)

    def end(self, names: Collection[str], *, grace_seconds: float = GRACE_SECONDS) -> list[str]:
        """Ask processes to end, kill those that do not within their grace; returns those that were killed."""
        asked = {name: one for name, one in self.record.processes.items() if name in names}
        for process in asked.values():
            processes.send(process, signal.SIGTERM)
        stubborn = processes.wait([*asked.values()], grace_seconds)
        for process in stubborn:
            processes.kill(process)
        processes.wait(stubborn, grace_seconds)
        for name, process in asked.items():
            processes.end_group(process)
            self._write(self.record.ended(name))
        return [name for name, process in asked.items() if process in stubborn]

    def kill(self, name: str) -> None:
        """Kill one process, as a crash would, and wait until it is gone. It stays written down."""
        process = self.record.processes[name]
        processes.send(process, signal.SIGKILL)
        processes.wait([process], GRACE_SECONDS)

    def _start(self, name: str, command: Sequence[str]) -> None:
        before = self.record.processes.get(name)
        if before is not None:
            processes.end_group(before)
        process = processes.start(
            command, environment=self.environment, directory=self.place.clone, log=self.place.log(name)
        )
        self._write(self.record.started(name, process))

    def _wait(self, name: str, is_there: Callable[[], bool]) -> None:
        process, log = self.record.processes[name], Path(short(self.place.log(name)))
        until = time.monotonic() + STARTING_SECONDS_MAX
        while not is_there():
            if not processes.is_alive(process):
                raise with_log(f"{name} ended at once", log)
            if time.monotonic() > until:
                raise with_log(f"{name} is not there after {STARTING_SECONDS_MAX:.0f} s", log)
            self._waiting()
            time.sleep(LOOK_SECONDS)

    def _write(self, now: Record) -> None:
        self.record = now
        record.write(self.place.record, now)


def worker_name(pool: str) -> str:
    """Return the name of a pool's worker: the same after each restart, so that it goes on with what it had."""
    return f"{pool}-{socket.gethostname().partition('.')[0]}"
