"""A private cluster in one directory: brought up, looked at, taken down, and its daemons one by one."""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from infra.cluster import client, configuration, daemons, files, ports, programs, record
from infra.cluster.configuration import Machine
from infra.cluster.errors import ClusterError, with_log
from infra.cluster.leftovers import end_leftovers
from infra.cluster.place import check_usable, place_of
from infra.cluster.record import Record
from infra.cluster.shape import CONTROLLER, DAEMONS, MUNGED, NODES, REST, REST_LOCAL, Shape, port_of
from infra.stack import processes

UP_SECONDS_MAX = 60.0  # a fifth of a second on an idle machine
END_SECONDS = 15.0
LOOK_SECONDS = 0.05
ANSWER_SECONDS = 5.0
COMPLETING_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What there is of a cluster. `nodes` and `jobs` in SLURM's words, None where it could not be asked."""

    host: str
    user: str
    port: int
    alive: tuple[str, ...]
    nodes: Mapping[str, str] | None
    jobs: Mapping[str, str] | None

    @property
    def is_up(self) -> bool:
        return set(self.alive) == set(DAEMONS) and self.nodes is not None


class Cluster:
    """The cluster in `directory`: nothing is done before it is asked for, and nothing ends with this object.

    `shape` None: as it was made, else the usual one. Every method raises ClusterError.
    """

    def __init__(self, directory: Path, *, shape: Shape | None = None, base: Mapping[str, str] = os.environ) -> None:
        self.place = place_of(directory)
        self._shape, self._base = shape, base

    def environment(self) -> dict[str, str]:
        """What a client of this cluster needs in its environment."""
        return {"SLURM_CONF": str(self.place.configuration)}

    @property
    def rest_url(self) -> str:
        """Where slurmrestd answers those who have a token: `scontrol token`."""
        return f"http://127.0.0.1:{port_of(REST, self._known().port)}"

    @property
    def rest_socket_url(self) -> str:
        return f"unix:{self.place.rest_socket}"

    # ---- up and down

    def up(self, *, port: int | None = None) -> tuple[str, ...]:
        """Start what is missing, and wait until every node can take jobs; returns the daemons that were started."""
        programs.check()
        check_usable(self.place)
        with self._locked():
            found = self._prepare(port)
            alive = self._alive(found)
            started = tuple(daemon for daemon in DAEMONS if daemon not in alive)
            for daemon in started:
                self._start(daemon)
            self._wait_for_nodes()
        return started

    def down(self) -> tuple[str, ...]:
        """End its jobs, then its daemons, and those only; returns the daemons that lived."""
        if not self.place.record.exists():
            return ()
        with self._locked():
            found = self._known()
            self._check_host(found)
            alive = self._alive(found)
            if CONTROLLER in alive:
                self._end_jobs(found.shape.kill_wait_seconds)
            for some in ([REST, REST_LOCAL, *NODES, CONTROLLER], [MUNGED]):  # who ends asks munged to the last
                self._end(some)
            end_leftovers(self.place)
        return alive

    def status(self) -> Status:
        """Say what there is. Raises ClusterError where no cluster was ever made."""
        found = self._known()
        alive = self._alive(found) if found.host == _host() else ()
        nodes = jobs = None
        if {MUNGED, CONTROLLER} <= set(alive):
            try:
                nodes, jobs = client.node_states(self._seen), client.job_states(self._seen)
            except ClusterError:
                nodes = jobs = None
        return Status(host=found.host, user=found.user, port=found.port, alive=alive, nodes=nodes, jobs=jobs)

    # ---- one by one

    def ask(self, *words: str, seconds: float = client.LIMIT_SECONDS) -> str:
        """Type one of SLURM's commands; returns what it prints."""
        return client.ask([*words], self._seen, seconds)

    def pid(self, daemon: str) -> int:
        """Return the process of a daemon that was started."""
        return self._known().processes[daemon].pid

    def stop(self, daemon: str) -> None:
        """End one daemon as its administrator would; `up` starts it again."""
        self._end([daemon])

    def kill(self, daemon: str) -> None:
        """Kill one daemon as a crash would, and wait until it is gone; `up` starts it again."""
        process = self._known().processes[daemon]
        processes.send(process, signal.SIGKILL)
        processes.wait([process], END_SECONDS)

    # ---- inside

    @property
    def _seen(self) -> dict[str, str]:
        return daemons.environment(self._base, self.place)

    def _known(self) -> Record:
        found = record.read(self.place.record)
        if found is None:
            raise ClusterError(
                f"{self.place.directory}: there is no cluster; type: phaseline cluster up {self.place.directory}"
            )
        return found

    def _alive(self, found: Record) -> tuple[str, ...]:
        return tuple(name for name in DAEMONS if name in found.processes and processes.is_alive(found.processes[name]))

    def _check_host(self, found: Record) -> None:
        if found.host != _host() and found.processes:
            raise ClusterError(
                f"{self.place.directory}: this cluster was started on {found.host}, this is {_host()}:"
                f" `phaseline cluster down` there first (if that machine is gone for good: rm {self.place.record})"
            )

    def _prepare(self, port: int | None) -> Record:
        """Decide on ports and shape, and write the configuration, unless daemons run by it already."""
        before = record.read(self.place.record)
        shape = self._shape or (before.shape if before else Shape())
        if before is not None:
            self._check_host(before)
            if self._alive(before):
                _check_unchanged(before, shape, port, self.place.directory)
                return before
        if shape.uses_cgroups and os.geteuid():
            raise ClusterError("only root can set cgroups up: start it as root, or without --cgroups")
        machine = Machine(host=_host(), user=_user(), has_cgroup_v1=Path("/sys/fs/cgroup/memory").is_dir())
        chosen = ports.choose(port, before.port if before else None, str(self.place.directory), ports.is_free)
        found = Record(host=machine.host, user=machine.user, port=chosen, shape=shape)
        record.write(self.place.record, found)
        files.write(self.place, configuration.render(self.place, shape, machine, chosen))
        return found

    def _start(self, daemon: str) -> None:
        """Start a daemon and wait until it answers; of a node, until SLURM has heard of it, see `_wait_for_nodes`."""
        found, seen = self._known(), self._seen
        sockets = {MUNGED: self.place.munge_socket, REST_LOCAL: self.place.rest_socket}
        if daemon in sockets:
            sockets[daemon].unlink(missing_ok=True)
        openapi = (
            daemons.openapi_plugins(client.listed_plugins(seen | daemons.more_environment(daemon)))
            if daemon in {REST, REST_LOCAL}
            else ""
        )
        process = processes.start(
            daemons.command(daemon, self.place, found.port, openapi),
            environment=seen | daemons.more_environment(daemon),
            directory=self.place.directory,
            log=self.place.log(f"{daemon}.start"),
        )
        record.write(self.place.record, found.started(daemon, process))
        port = port_of(daemon, found.port)
        if daemon in sockets:
            self._wait([daemon], lambda: _answers(str(sockets[daemon])))
        elif daemon in {CONTROLLER, REST} and port is not None:
            self._wait([daemon], lambda: _answers(port))

    def _wait_for_nodes(self) -> None:
        """Wait until SLURM has heard of every node. One that an administrator took down is left so."""

        def are_there() -> bool:
            states = client.node_states(self._seen, ANSWER_SECONDS)
            return set(states) == set(NODES) and not any(
                state.endswith("*") or "unk" in state for state in states.values()
            )

        self._wait(NODES, are_there)

    def _wait(self, names: Sequence[str], is_there: Callable[[], bool]) -> None:
        """Wait until something is so that these daemons bring about. Raises ClusterError."""
        found, why = self._known(), ""
        until = time.monotonic() + UP_SECONDS_MAX
        while True:
            try:
                if is_there():
                    return
            except ClusterError as error:
                why = f" ({error})"
            dead = next((name for name in names if not processes.is_alive(found.processes[name])), None)
            if dead is not None:
                raise with_log(f"{dead} ended at once", self._log(dead))
            if time.monotonic() > until:
                raise with_log(f"{names[0]} does not answer after {UP_SECONDS_MAX:.0f} s{why}", self._log(names[0]))
            time.sleep(LOOK_SECONDS)

    def _log(self, daemon: str) -> Path:
        """Return its own log, or what it said before it had one."""
        own, first = self.place.log(daemon), self.place.log(f"{daemon}.start")
        return own if own.exists() and own.stat().st_mtime >= first.stat().st_mtime else first

    def _end_jobs(self, kill_wait_seconds: int) -> None:
        """Cancel all jobs; wait as long as SLURM gives them."""
        try:
            jobs = client.job_states(self._seen)
            if not jobs:
                return
            client.ask(["scancel", *jobs], self._seen)
            until = time.monotonic() + kill_wait_seconds + COMPLETING_SECONDS
            while client.job_states(self._seen) and time.monotonic() < until:
                time.sleep(LOOK_SECONDS)
        except ClusterError:
            return  # it does not answer: what is left is ended with its daemons

    def _end(self, names: Iterable[str]) -> None:
        found = self._known()
        asked = {name: found.processes[name] for name in names if name in found.processes}
        for process in asked.values():
            processes.send(process, signal.SIGTERM)
        for process in processes.wait([*asked.values()], END_SECONDS):
            processes.kill(process)
        processes.wait([*asked.values()], END_SECONDS)
        for name in asked:
            found = found.ended(name)
        record.write(self.place.record, found)

    @contextmanager
    def _locked(self) -> Generator[None]:
        """One at a time; who comes second waits. A process that ends lets go of it, however it ends."""
        try:
            self.place.directory.mkdir(parents=True, exist_ok=True, mode=0o755)
            held = os.open(self.place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ClusterError(f"{error.filename}: {error.strerror}; choose another directory") from None
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)


def _check_unchanged(before: Record, shape: Shape, port: int | None, directory: Path) -> None:
    """A cluster that runs is not changed behind anybody's back. Raises ClusterError."""
    if replace(before, shape=shape, port=port or before.port) != before:
        raise ClusterError(
            f"{directory}: the cluster is up with other options: `phaseline cluster down {directory}` before a change"
        )


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise ClusterError(
            f"the user id {os.geteuid()} has no name on this machine, and SLURM needs one: see /etc/passwd"
        ) from None


def _answers(where: str | int) -> bool:
    """Tell whether somebody listens on a Unix socket or a TCP port of this machine."""
    family, address = (socket.AF_UNIX, where) if isinstance(where, str) else (socket.AF_INET, ("127.0.0.1", where))
    with closing(socket.socket(family)) as caller:
        try:
            caller.connect(address)
        except OSError:
            return False
    return True
