"""What the stack decides: which port, what has to be started, what is in the way. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from infra.stack.errors import StackError
from infra.stack.record import Record

SERVER = "server"
CONTROL = "control"  # the pool of the trigger and the sweep
PORT = 4200  # Prefect's own
PORTS_TRIED = 100


class Occupant(StrEnum):
    """Who listens on a port of this machine."""

    NOBODY = "nobody"
    PREFECT = "another Prefect server"
    OTHER = "another program"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortChoice:
    """The server's port, and what a person should know of it."""

    port: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody typed; None is whatever it was before."""

    root: str
    stages: str | None
    port: int | None
    trigger_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `up` does: ends some processes that cannot go on as they are, then starts some."""

    end: tuple[str, ...]
    start: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not self.start


def choose_port(wanted: int | None, before: int | None, occupant: Callable[[int], Occupant]) -> PortChoice:
    """Return the port of a server that has to be started: the one asked for, else the one it had, else a free one.

    Raises StackError if a port that was asked for by number is taken.
    """
    first = wanted or before or PORT
    who = occupant(first)
    if who is Occupant.NOBODY:
        return PortChoice(port=first)
    if wanted is not None:
        raise StackError(f"port {wanted} is taken by {who}: choose another --port, or none for the next that is free")
    for port in range(first + 1, first + PORTS_TRIED):
        if occupant(port) is Occupant.NOBODY:
            return PortChoice(port=port, remarks=(f"port {first} is taken by {who}: taking {port}", *_hint(who, first)))
    raise StackError(f"no port from {first} to {first + PORTS_TRIED - 1} is free: choose one with --port")


def _hint(who: Occupant, port: int) -> tuple[str, ...]:
    match who:
        case Occupant.PREFECT:
            return (f"the server on {port} is not this clone's; it is left alone",)
        case Occupant.OTHER | Occupant.NOBODY:
            return ()
        case _:
            assert_never(who)


def check(record: Record, wanted: Wanted, alive: Collection[str], host: str) -> None:
    """Raise StackError if what runs, or may run, is not what is wanted: nothing is ended behind a person's back."""
    if record.host != host and record.processes:
        raise StackError(
            f"this clone's stack was started on {record.host}, this is {host}: `phaseline down` there first "
            "(if that machine is gone for good: rm .phaseline/stack.json)"
        )
    if not alive:
        return
    if record.root != wanted.root:
        raise StackError(f"the stack is up for the root {record.root}: `phaseline down` before another one")
    if record.stages != wanted.stages:
        was = record.stages or "those shipped"
        raise StackError(f"the stack is up with other stages ({was}): `phaseline down` before a change")
    if SERVER in alive and wanted.port not in {None, record.port}:
        raise StackError(f"the server is up on port {record.port}: `phaseline down` before another one")


def plan(record: Record, pools: Sequence[str], alive: Collection[str], port: int) -> Plan:
    """Return what is missing of a server on `port` and a worker for each pool.

    Workers that ask at another port have to be replaced, and so have those of pools that are no more.
    """
    stray = [name for name in alive if name != SERVER and (name not in pools or record.port != port)]
    there = set(alive) - set(stray)
    return Plan(end=tuple(sorted(stray)), start=tuple(name for name in (SERVER, *pools) if name not in there))
