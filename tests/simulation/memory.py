"""What an actor still knows of a call of the engine that has returned: its answer, not how it came by it.

Methods that leave nothing behind in their object but what they return (or raise) are wrapped: all that
their own calls were told is replaced by the answer. States that differ in nothing else become one;
`test_explorer` compares with the whole memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, cast

from stages.engine.finding import Finding
from stages.engine.mender import Mender
from stages.engine.poller import Poller
from stages.engine.store import Store
from stages.engine.sweeper import Sweeper, Target
from tests.simulation.world import Actor

_SETTLEMENT: Final = (
    "settle",
    "roll_forward",
    "bring_back",
    "_publish",
    "_remove_emptied",
    "_discard",
    "_archive",
)


def summarise_poller(actor: Actor, poller: Poller, store: Store) -> None:
    """Let a poller that takes one turn forget how its answers came about."""
    _summarise_store(actor, store)
    _wrap(actor, _part(poller, "_discovery"), "next")
    _wrap(actor, _part(poller, "_publication"), "judge")
    _wrap(actor, poller, "_attempt")


def summarise_sweeper(actor: Actor, sweeper: Sweeper, store: Store) -> None:
    """Let a sweeper that makes one pass forget how its answers came about, and every target that it is done with.

    What it found unfinished it remembers: by that it knows what a listing hides.
    """
    _summarise_store(actor, store)
    _wrap(actor, sweeper, "survey")
    _wrap(actor, _part(sweeper, "_garbage"), "collect")
    mend, begun = sweeper.mend, actor.history
    in_flight = cast("Mender", _part(sweeper, "_mender")).in_flight

    def one_by_one(targets: Iterable[Target], *, full: bool) -> list[Finding]:
        rest = list(targets)
        while rest:
            actor.history = hash((begun, tuple(rest), frozenset(in_flight)))
            mend([rest.pop(0)], full=full)
        actor.history = begun
        return []

    sweeper.mend = one_by_one


def _summarise_store(actor: Actor, store: Store) -> None:
    for name in ("claim", "commit", "decide"):
        _wrap(actor, store, name)
    _wrap(actor, store.registers, "put")
    for name in _SETTLEMENT:
        _wrap(actor, store.settlement, name)


def _part(owner: object, name: str) -> object:
    return cast("object", vars(owner)[name])


def _wrap(actor: Actor, owner: object, name: str) -> None:
    method = cast("Callable[..., object]", getattr(owner, name))

    def summarised(*args: object, **named: object) -> object:
        before = actor.history
        try:
            found = method(*args, **named)
        except Exception as error:
            actor.history = hash((before, name, type(error), str(error)))
            raise
        actor.history = hash((before, name, repr(found)))
        return found

    setattr(owner, name, summarised)
