"""The scripts of lost replies: what a client asks for is done, it never hears of it, and the server forgets it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from stages.engine.fs import FileSystem
from stages.engine.settlement import Settled
from stages.engine.store import Claim
from tests.nfs.machine import CHECKOUT
from tests.nfs.scene import Scene, write_output
from tests.simulation.mutants.doors import Door, door
from tests.simulation.pipeline import Engine
from tests.waiting import wait_until

Outcome = dict[str, object]
TRIES = 3


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
        server("settle")  # nobody has a file open


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
    """A claimed dataset is published; the reply to one call is lost, and the server has forgotten it.

    Played again when the call did not get as far as the server: some attribute was due to be asked for just then.
    """
    outcome: Outcome = {}
    for _ in range(TRIES):
        outcome = _lost_reply(which, engine)
        if outcome.get("endangered"):
            break
    return outcome


def _lost_reply(which: str, engine: Engine) -> Outcome:
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
