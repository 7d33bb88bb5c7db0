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
from typing import Final

from stages.engine import history, names
from stages.engine.errors import StorageError
from stages.engine.identity import current
from stages.engine.posix import Posix
from stages.engine.records import Ended, EndKind
from stages.engine.store import BELL_SECONDS, Claim
from tests.nfs.lost_replies import LOST, Outcome, lost_reply
from tests.nfs.mutants import FailsOnItsOwnRename, TakesItsOwnEndForAnothers
from tests.nfs.scene import NEXT_STAGE, STAGE, Scene, decide, make_private, take, write_output
from tests.simulation.mutants import stores
from tests.simulation.mutants.doors import RingsNoLocation, door
from tests.simulation.pipeline import Engine
from tests.waiting import wait_until

Call = Callable[[], object]

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
    """A location is listed between two arrivals within one tick of the server's clock: is the second ever listed?"""
    scene = Scene(engine)
    scene.prepare()
    at = scene.passage("a").reads

    def bring(dataset: str) -> Call:
        os.mkdir(f"{at.incoming}/{dataset}")
        return lambda: os.rename(f"{at.incoming}/{dataset}", at.dataset(dataset))

    hidden, found = _in_a_tick(scene, STAGE, bring)
    return {"endangered": len(hidden), "hidden": None if found else hidden[-1]}


def publication_in_a_tick(engine: Engine) -> Outcome:
    """The same of what a stage publishes, for the next one: it is listed one sweep later, claimed, and not lost."""
    scene = Scene(engine)
    datasets = [f"{which}{number}" for number in range(PAIRS) for which in ("first", "second")]
    scene.prepare(*datasets)
    store, following = scene.store("a"), scene.store("b", stage=NEXT_STAGE)

    def bring(dataset: str) -> Call:
        claim = take(store, dataset)
        make_private(claim)
        write_output(claim)
        decide(store, claim)
        return lambda: store.settlement.roll_forward(claim.handle, claim.attempt)

    hidden, found = _in_a_tick(scene, NEXT_STAGE, bring)
    return {
        "endangered": len(hidden),
        "hidden": None if found else hidden[-1],
        "claimed": all(isinstance(following.claim(dataset), Claim) for dataset in hidden or datasets[:1]),
        "broken": scene.broken(*datasets),
    }


def _in_a_tick(scene: Scene, stage: str, bring: Callable[[str], Call]) -> tuple[list[str], bool]:
    """One client brings in two datasets within a tick, and between them the other one lists; a sweep follows.

    Returns which were hidden from it at first, and whether the last of them was listed after the sweep.
    """
    path = scene.passage("b", stage).reads.path
    hidden: list[str] = []
    for number in range(PAIRS):
        second = f"second{number}"
        bring_first, bring_second = bring(f"first{number}"), bring(second)
        _list(path)
        _next_tick(scene)
        bring_first()
        _list(path)
        bring_second()
        if second in _list(path):
            continue
        hidden.append(second)
        time.sleep(BELL_SECONDS)  # sweepers ring a minute apart, not within that tick
        scene.survey("a", stage)  # a pass begins with the location's bell
        if not _soon(lambda name=second: name in _list(path)):
            return hidden, False
        if len(hidden) == HIDDEN_ENOUGH:
            break
    return hidden, True


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
