"""The scripts that a network file system is needed for, each played by the engine or by one without a rule.

    python -m tests.nfs.scripts SCRIPT/MUTANT...

Runs at the server of the guest, where both clients' mounts are to be seen; prints what came of each as a line of JSON.
One process plays them all: its start costs more than most scripts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from stages.engine import history, names
from stages.engine.errors import StorageError
from stages.engine.fs import Posix
from stages.engine.identity import current
from stages.engine.records import Ended, EndKind
from stages.engine.store import BELL_SECONDS, Claim
from tests.nfs.lost_replies import LOST, Outcome, lost_reply
from tests.nfs.mutants import FailsOnItsOwnRename, TakesItsOwnEndForAnothers
from tests.nfs.scene import NEXT_STAGE, STAGE, Scene, decide, make_private, take, write_output
from tests.simulation.mutants import stores
from tests.simulation.mutants.doors import RingsNoLocation, door
from tests.simulation.pipeline import Engine
from tests.waiting import wait_until

MUTANTS: Final = {
    "none": Engine(),
    "one look is a proof": Engine(settlement=stores.TakesOneLookForAProof),
    "the server is not asked": Engine(settlement=stores.AsksNotTheServer),
    "does not ring for an end": Engine(store=stores.RingsNot),
    "EEXIST is a loss": Engine(registers=stores.TakesItsOwnForAnothers),
    "an own mkdir's EEXIST is an error": Engine(store=stores.FailsOnItsOwnDirectory),
    "EEXIST at the commit is a fence": Engine(registers=TakesItsOwnEndForAnothers),
    "an own rename's ENOENT is an error": Engine(settlement=FailsOnItsOwnRename),
    "rings no location": Engine(door=door(RingsNoLocation)),
}
SETTLED_SECONDS = 2.2  # a directory that has not changed for so long is cached for long
HIDDEN_SECONDS = 3.0  # what is not seen after this is not seen at the next poll either
PAIRS = 40
HIDDEN_ENOUGH = 5


def negative_entry(engine: Engine) -> Outcome:
    """A sweeper looks for a private place that is not there yet; its owner makes it, commits and dies."""
    scene = Scene(engine)
    scene.prepare("ds")
    a, at_b = scene.store("a"), scene.passage("b").reads
    time.sleep(SETTLED_SECONDS)
    os.listdir(at_b.path)
    os.listdir(at_b.work)
    claim = take(a, "ds")
    scene.sweep("b", "ds")
    make_private(claim)
    write_output(claim)
    believed = not os.path.lexists(f"{at_b.work}/{claim.attempt.directory}")
    time.sleep(BELL_SECONDS)  # an attempt lasts longer than a tick: the hole within one has a script of its own
    decide(a, claim)
    a.fs.close(claim.handle)
    scene.sweep("b", "ds")
    return {"endangered": believed, "broken": scene.broken("ds"), "published": scene.is_published("ds")}


def end_in_a_tick(engine: Engine) -> Outcome:
    """A dataset is listed and its attempt ended within one tick of the server's clock: is the end ever seen?"""
    scene = Scene(engine)
    datasets = [f"ds{number}" for number in range(PAIRS)]
    scene.prepare(*datasets)
    a, fs, at_b = scene.store("a"), Posix(), scene.passage("b").reads
    mine, end = current().claims("0000abcd"), Ended(kind=EndKind.RETRY, why="released").value
    endangered = 0
    for dataset in datasets:
        at_a, path = a.fs.opendir(scene.passage("a").reads.dataset(dataset)), at_b.dataset(dataset)
        _list(path)
        _next_tick(scene)
        fs.symlink(mine, names.taken(STAGE, 1), at_a)
        _list(path)
        a.registers.put(names.ended(STAGE, 1), end, at_a)
        is_hidden = names.ended(STAGE, 1) not in _list(path)
        endangered += is_hidden
        a.ring(at_a)  # what follows an end that is no publication
        a.fs.close(at_a)
        if is_hidden and not _soon(partial(_sees_end, path, dataset)):
            return {"endangered": endangered, "hidden": dataset}
        if endangered == HIDDEN_ENOUGH:
            break
    return {"endangered": endangered, "hidden": None}


def arrival_in_a_tick(engine: Engine) -> Outcome:
    """A location is listed and a dataset arrives within one tick of the server's clock: is it ever listed?"""
    scene = Scene(engine)
    scene.prepare()
    at = scene.passage("a").reads

    def bring(number: int) -> Bringing:
        name = f"second{number}"
        os.mkdir(f"{at.incoming}/{name}")
        return Bringing(name, lambda: os.rename(f"{at.incoming}/{name}", at.dataset(name)))

    return _in_a_tick(scene, STAGE, bring)


def publication_in_a_tick(engine: Engine) -> Outcome:
    """The same of what a stage publishes, for the next one: listed one sweep later, and claimed."""
    scene = Scene(engine)
    datasets = [f"second{number}" for number in range(PAIRS)]
    scene.prepare(*datasets)
    store = scene.store("a")

    def bring(number: int) -> Bringing:
        claim = take(store, datasets[number])
        make_private(claim)
        write_output(claim)
        decide(store, claim)
        return Bringing(datasets[number], lambda: store.settlement.roll_forward(claim.handle, claim.attempt))

    outcome = _in_a_tick(scene, NEXT_STAGE, bring)
    if outcome["hidden"] is None:
        late = str(outcome["last hidden"] or datasets[0])
        is_claimed = isinstance(scene.store("b", stage=NEXT_STAGE).claim(late), Claim)
        outcome |= {"claimed": is_claimed, "broken": scene.broken(*datasets)}
    return outcome


class Bringing(NamedTuple):
    """A dataset that the next call brings into a location."""

    name: str
    call: Callable[[], object]


def _in_a_tick(scene: Scene, stage: str, bring: Callable[[int], Bringing]) -> Outcome:
    """One client brings in two datasets within a tick, and between them the other one lists; a sweep follows."""
    at, path = scene.passage("a", stage).reads, scene.passage("b", stage).reads.path
    found: Outcome = {"endangered": 0, "hidden": None, "last hidden": None}
    hidden: list[str] = []
    for number in range(PAIRS):
        first, second = f"{at.incoming}/first{number}", bring(number)
        os.mkdir(first)
        _list(path)
        _next_tick(scene)
        os.rename(first, at.dataset(f"first{number}"))
        _list(path)
        second.call()
        if second.name in _list(path):
            continue
        hidden.append(second.name)
        time.sleep(BELL_SECONDS)  # sweepers ring a minute apart, not within that tick
        scene.survey("a", stage)  # a pass begins with the location's bell
        if not _soon(lambda name=second.name: name in _list(path)):
            found["hidden"] = second.name
            break
        if len(hidden) == HIDDEN_ENOUGH:
            break
    return found | {"endangered": len(hidden), "last hidden": hidden[-1] if hidden else None}


def _list(path: str) -> list[str]:
    """List a directory as the engine does: opened anew."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return os.listdir(handle)
    finally:
        os.close(handle)


def _sees_end(path: str, dataset: str) -> bool:
    return history.latest_end(Posix(), path, STAGE, dataset) is not None


def _next_tick(scene: Scene) -> None:
    """Return just after the server's clock has ticked."""
    path = f"{scene.path('server')}/_tick"
    Path(path).touch()
    before = os.stat(path).st_mtime_ns
    while os.stat(path).st_mtime_ns == before:
        os.utime(path)


def _soon(condition: Callable[[], bool]) -> bool:
    try:
        wait_until(condition, HIDDEN_SECONDS, "")
    except TimeoutError:
        return False
    return True


SCRIPTS: Final[dict[str, Callable[[Engine], Outcome]]] = {
    "negative entry": negative_entry,
    "end in a tick": end_in_a_tick,
    "arrival in a tick": arrival_in_a_tick,
    "publication in a tick": publication_in_a_tick,
    **{f"lost reply: {which}": partial(lost_reply, which) for which in LOST},
}


def main(plays: list[str]) -> None:
    """Play scripts, one after the other."""
    for play in plays:
        script, _, mutant = play.partition("/")
        try:
            outcome = SCRIPTS[script](MUTANTS[mutant])
        except (OSError, StorageError) as error:
            outcome = {"raised": str(error)}
        print(json.dumps({"play": play, **outcome}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
