"""The scripts that a network file system is needed for, each played by the engine or by one without a rule.

    python -m tests.nfs.scripts SCRIPT/MUTANT...

Runs at the server of the guest, where both clients' mounts are to be seen; prints what came of each as a line of JSON.
One process plays them all: its start costs more than most scripts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from stages.engine import history, names
from stages.engine.errors import StorageError
from stages.engine.fs import FileSystem, Posix
from stages.engine.identity import current
from stages.engine.records import Ended, EndKind
from stages.engine.settlement import Settled
from stages.engine.store import BELL_SECONDS, Claim
from tests.nfs.machine import CHECKOUT
from tests.nfs.scene import STAGE, Scene, commit_and_die, make_private, take, write_output
from tests.simulation.mutants import stores
from tests.simulation.mutants.doors import Door, RingsNoLocation, door
from tests.simulation.pipeline import Engine
from tests.waiting import wait_until

Outcome = dict[str, object]

MUTANTS: Final = {
    "none": Engine(),
    "one look is a proof": Engine(settlement=stores.TakesOneLookForAProof),
    "the server is not asked": Engine(settlement=stores.AsksNotTheServer),
    "does not ring for an end": Engine(store=stores.RingsNot),
    "EEXIST is a loss": Engine(registers=stores.TakesItsOwnForAnothers),
    "an own mkdir's EEXIST is an error": Engine(store=stores.FailsOnItsOwnDirectory),
    "rings no location": Engine(door=door(RingsNoLocation)),
}
SETTLED_SECONDS = 2.2  # a directory that has not changed for so long is cached for long
HIDDEN_SECONDS = 3.0  # what is not seen after this is not seen at the next poll either
PAIRS = 40


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
    commit_and_die(a, claim)
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
    return {"endangered": endangered, "hidden": None}


def arrival_in_a_tick(engine: Engine) -> Outcome:
    """A location is listed and a dataset arrives within one tick of the server's clock: is it ever listed?"""
    scene = Scene(engine)
    scene.prepare()
    at, path = scene.passage("a").reads, scene.passage("b").reads.path
    endangered = 0
    for number in range(PAIRS):
        first, second = f"first{number}", f"second{number}"
        for name in (first, second):
            os.mkdir(f"{at.incoming}/{name}")
        _list(path)
        _next_tick(scene)
        os.rename(f"{at.incoming}/{first}", at.dataset(first))
        _list(path)
        os.rename(f"{at.incoming}/{second}", at.dataset(second))
        if second in _list(path):
            continue
        endangered += 1
        time.sleep(BELL_SECONDS)  # sweepers ring a minute apart, not within that tick
        scene.sweep("a", survey=True)  # a pass begins with the location's bell
        if not _soon(lambda name=second: name in _list(path)):
            return {"endangered": endangered, "hidden": second}
    return {"endangered": endangered, "hidden": None}


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


class Muting(Door):
    """One call's reply is lost, and the server restarted, as soon as what it does is done."""

    call, where = "", ""

    def __init__(self, inner: FileSystem, call: str, where: str, is_done: Callable[[], bool]) -> None:
        super().__init__(inner)
        self._call, self._where, self._is_done = call, where, is_done
        self.done: bool | None = None
        self.seconds = 0.0

    def __getattr__(self, name: str) -> object:
        real = getattr(self._inner, name)
        if name != self._call or self.done is not None:
            return real

        def muted(*arguments: object) -> object:
            if not any(self._where in str(argument) for argument in arguments) or self.done is not None:
                return real(*arguments)
            self.done = False
            _warm(*arguments)
            server("mute", "a")
            restart = threading.Thread(target=self._restart)
            restart.start()
            begun = time.monotonic()
            try:
                return real(*arguments)
            finally:
                self.seconds = time.monotonic() - begun
                restart.join()

        return muted

    def _restart(self) -> None:
        with suppress(TimeoutError):
            wait_until(self._is_done, 5.0, "it was not done")
            self.done = True
        server("stop")
        server("hear", "a")
        server("start")


def _warm(*arguments: object) -> None:
    """Have the client ask now what it would ask before the call: the call itself is to be the only request."""
    handle = next((argument for argument in arguments if isinstance(argument, int)), None)
    for argument in arguments:
        if isinstance(argument, str) and (argument.startswith("/") or (handle is not None and ":" not in argument)):
            warm = f"{os.path.dirname(argument)}/.warm" if handle is None else ".warm"
            os.mkdir(warm, dir_fd=handle)
            os.rmdir(warm, dir_fd=handle)
    for argument in arguments:
        if isinstance(argument, str) and argument.startswith("/"):
            os.path.lexists(argument)


def server(*words: str) -> None:
    """Tell the NFS server something."""
    subprocess.run(
        ["bash", str(CHECKOUT / "tests" / "nfs" / "server.sh"), *words], check=True, stderr=subprocess.DEVNULL
    )


#: Which call's reply is lost: its name, a part of what it is told, and where the server shows that it was done.
LOST: Final = {
    "claim": ("symlink", "taken.", "PHASE_4/ds/taken.*"),
    "private place": ("mkdir", "_work", "PHASE_4/_work/ds.*"),
    "commit": ("symlink", "publish", "PHASE_4/ds/ended.*"),
    "publication": ("rename", "PHASE_5", "PHASE_5/d*"),
    "archiving": ("rename", "_done", "PHASE_4/_done/ds~*"),
}


def lost_reply(which: str, engine: Engine) -> Outcome:
    """A claimed dataset is published; the reply to one call is lost, and the server has forgotten it."""
    call, where, shows = LOST[which]
    scene = Scene(engine)
    scene.prepare("ds")
    top = Path(scene.path("server"))
    muting: list[Muting] = []

    def muted(fs: FileSystem) -> FileSystem:
        muting.append(Muting(fs, call, where, lambda: any(top.glob(shows))))
        return door(lambda _: muting[0])(fs)

    Path("/proc/sys/net/ipv4/tcp_max_orphans").write_text("0")  # who writes to a server that is gone hears it at once
    store = scene.store("a", muted)
    os.listdir(scene.passage("a").reads.dataset("ds"))
    settled: Settled | str | None
    claim = store.claim("ds")
    if isinstance(claim, Claim):
        write_output(claim)
        settled = store.commit(claim)
    else:
        settled = claim.refusal
    return {
        "endangered": muting[0].done,
        "seconds": round(muting[0].seconds, 1),
        "settled": settled,
        "broken": scene.broken("ds"),
        "published": scene.is_published("ds"),
    }


SCRIPTS: Final[dict[str, Callable[[Engine], Outcome]]] = {
    "negative entry": negative_entry,
    "end in a tick": end_in_a_tick,
    "arrival in a tick": arrival_in_a_tick,
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
