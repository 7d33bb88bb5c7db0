"""Which steps have to be tried in a state, so that every order of calls is tried up to what nobody can tell apart.

Three kinds of call are tried at once, before anybody else's:

* *Reading a register that exists, through a handle.* Registers are never replaced or removed and a
  handle stays with its directory, so the answer is the same whenever it is read, and nobody else
  notices.
* *Touching or syncing a handle or a location, and reading a location's mtime*, where time stands
  still. Nobody notices but the witness, who wants to know what was durable when it was published:
  whoever publishes has to sync for himself, as another may have died before (that is tried).
* *A call within the private place of an attempt that is not ended yet, or that reads its input.*
  Nobody else looks into that place or changes it, and nobody moves the dataset, before the register
  `ended` of that attempt is on disk; what the engine does then is to remove or to publish the one
  and to move the other. (What others add to a dataset meanwhile are markers, which no owner reads
  as input. One that was quarantined once may be moved late: its reads do not belong here.) So each
  such call can be moved, in any order of calls, to the left up to the call of its actor before
  (then it is tried at once, here: the actor `rushes`) or, if the place goes in between, to the
  right until `ended` is on disk: then the actor `waits` for that and all orders are tried from
  there. Making the private place itself does not belong to them: a listing of `_work` shows it.
  A client's cache changes none of this: an owner made what is in its place itself, so that it is
  told the truth of it, and what others believe of names in there matters once they look, which is
  after the end. A call that may be answered wrongly all the same is tried in every order. (A sweeper
  that is told a lie about the dataset itself does look into the place, and does nothing for what it
  sees but report it.)

None of it holds where times matter and clients may still lie, where somebody judges heartbeats by what
is on disk, nor for a mutant that breaks these very rules: such worlds are not `reduced`.

Besides, a death is tried before calls that change something only (`faults`): before any other it
is, for the others, the same as one before the next such call. And of actors that are `alike` the
first is the first to put a register: the same with their names exchanged is not tried again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.simulation.calls import Call, Fault
from tests.simulation.schedule import Budget, Choice
from tests.simulation.world import Actor, World

_LOCATION: Final = re.compile(r"/r/PHASE_[45](/_work)?")
_UNANSWERED: Final = (Fault.NO_ANSWER, Fault.NO_ANSWER_DONE, Fault.STALE, Fault.STALE_DONE)


class Cast(NamedTuple):
    """What is to be known of the actors: to which no fault happens, and which do the same."""

    reliable: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()


def choices(world: World, budget: Budget, cast: Cast) -> Iterator[Choice]:
    """Yield the steps that have to be tried from here."""
    live = world.live()
    alone = _alone(world, live, budget) if world.rules.reduced else None
    for actor in live if alone is None else (alone,):
        if actor.waits and world.is_at_home(actor):
            continue
        if _is_mirrored(world, actor, cast.alike):
            continue
        yield Choice(actor.name)
        if actor.name not in cast.reliable:
            yield from faults(actor, budget)
    if alone is not None and alone.private is not None and not alone.rushes and len(live) > 1:
        yield Choice(alone.name, waits=True)


def _alone(world: World, live: list[Actor], budget: Budget) -> Actor | None:
    """Return an actor whose next call need not be tried in every order, or None."""
    for actor in live:
        call = _call(actor)
        if budget.no_answers and _is_decision(actor, call):
            continue
        if (_is_permanent(actor, call) or _is_unnoticed(actor, call)) and not actor.fs.may_lie(call):
            return actor
    if budget.lies and world.rules.is_timed:
        return None
    for actor in live:
        if world.is_at_home(actor) and not actor.waits and not _is_doubtful(actor, budget):
            return actor
    return None


def _is_doubtful(actor: Actor, budget: Budget) -> bool:
    """Tell whether the next call may be answered wrongly."""
    call = _call(actor)
    return (budget.lies > 0 and actor.fs.may_lie(call)) or (budget.hidden > 0 and bool(actor.fs.may_hide(call)))


def _is_permanent(actor: Actor, call: Call) -> bool:
    if call.name != "readlink":
        return False
    name, at = call.args
    return isinstance(at, int) and name in actor.fs.handles[at].entries


def _is_unnoticed(actor: Actor, call: Call) -> bool:
    if call.name not in ("touch", "sync", "mtime_ns") or actor.world.rules.is_timed:
        return False
    place = call.args[0]
    return isinstance(place, int) or _LOCATION.fullmatch(str(place)) is not None


def _is_mirrored(world: World, actor: Actor, alike: tuple[str, ...]) -> bool:
    if actor.has_marked or actor.name not in alike or _call(actor).name != "symlink":
        return False
    before = alike[: alike.index(actor.name)]
    return any(not world.actors[name].is_dead and not world.actors[name].has_marked for name in before)


def faults(actor: Actor, budget: Budget) -> Iterator[Choice]:
    """Yield what may happen to an actor's next call."""
    call, name = _call(actor), actor.name
    if budget.crashes and call.changes and not actor.rushes:
        yield Choice(name, Fault.CRASH)
    if budget.lost_replies and call.resent is not None:
        yield Choice(name, Fault.LOST_REPLY)
    if budget.no_answers and _is_decision(actor, call):
        for fault in _UNANSWERED if call.name == "symlink" else (Fault.NO_ANSWER,):
            yield Choice(name, fault)
    if budget.lies and actor.fs.may_lie(call):
        yield Choice(name, Fault.LIE)
    if budget.hidden:
        for hidden in actor.fs.may_hide(call):
            yield Choice(name, Fault.HIDE, hidden)


def _is_decision(actor: Actor, call: Call) -> bool:
    """Tell whether an end is put, or read back after that went unanswered."""
    if call.name == "symlink":
        return str(call.args[0]).startswith(actor.world.rules.errors_at)
    return call.name == "readlink" and actor.was_refused and str(call.args[0]).startswith("ended.")


def _call(actor: Actor) -> Call:
    assert actor.call is not None, "a live actor stands before a call"
    return actor.call
