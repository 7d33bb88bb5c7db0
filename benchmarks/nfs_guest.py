"""The guest's side of `nfs`: at the server, which prepares and asks, and on its clients, which poll.

python -m benchmarks.nfs_guest PLACE calls COUNT              at the server: all parts, as JSON
python -m benchmarks.nfs_guest PLACE race WHERE COUNT POLLERS at the server: `clients` or `server`
python -m benchmarks.nfs_guest PLACE count PART COUNT         on a client: one part
python -m benchmarks.nfs_guest PLACE poll GATE                anywhere: a poller; what it lost, as JSON
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from loguru import logger

from benchmarks import gate
from benchmarks.carried import nothing
from benchmarks.coordination import FILES
from benchmarks.engine import poller, spec
from benchmarks.mountstats import asked
from benchmarks.place import fill, new_root, passage
from stages.engine import assembly
from stages.engine.attempt import Attempt
from stages.engine.clock import SystemClock
from stages.engine.durability import Durability
from stages.engine.identity import current
from stages.engine.layout import Root
from stages.engine.names import is_candidate
from stages.engine.posix import Posix
from stages.engine.store import Claim
from stages.engine.work.in_process import InProcessWork
from stages.engine.work.performance import Function
from tests.nfs.agent import at

ROOT = "bench"
WARM = 5  # datasets that go before: a client's first looks at a root are not a dataset's
LOOKS = 20
SETTLED_SECONDS = 2.5  # after this a location that has not changed is not listed again
Operations = dict[str, float]


class CountingFs(Posix):
    """The real file system, which counts the claims that were tried and those that somebody else had."""

    def __init__(self) -> None:
        self.tries = self.lost = 0

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        if "/taken." not in name:
            super().symlink(value, name, at)
            return
        self.tries += 1
        try:
            super().symlink(value, name, at)
        except (FileExistsError, FileNotFoundError):
            self.lost += 1
            raise


def write_a_file(attempt: Attempt) -> None:
    """The work of an author who writes something."""
    (attempt.output / "y").write_bytes(b"y")


def claims(place: str, count: int) -> Counter[str]:
    """Claim datasets, and let go of them afterwards."""
    site = assembly.Site(fs=Posix(), clock=SystemClock(), identity=current({}), root=Root(f"{place}/{ROOT}"))
    edition = assembly.Edition(code_version="sha256:0123456789ab")
    store = assembly.store(site, spec(hashing=False, durability=Durability.NONE), edition)
    waiting = sorted(filter(is_candidate, store.fs.listdir(store.passage.reads.path)))[: WARM + count]
    made = [store.claim(dataset) for dataset in waiting[:WARM]]
    before = asked(place)
    made += [store.claim(dataset) for dataset in waiting[WARM:]]
    after = asked(place)
    for claim in made:
        assert isinstance(claim, Claim)
        store.fs.close(claim.handle)
    return after - before


def carried(place: str, count: int, durability: Durability, work: Function) -> Counter[str]:
    """Carry datasets from where they wait to where they are published."""
    root = f"{place}/{ROOT}"
    poller(root, InProcessWork(nothing), datasets_max=WARM).poll()
    before = asked(place)
    poller(root, InProcessWork(work), durability=durability, datasets_max=count).poll()
    return asked(place) - before


def looks(place: str, count: int) -> Counter[str]:
    """Look for datasets where none is."""
    subject = poller(f"{place}/{ROOT}", InProcessWork(nothing))
    subject.poll()
    time.sleep(SETTLED_SECONDS)
    subject.turn()
    before = asked(place)
    for _ in range(count):
        subject.turn()
    return asked(place) - before


PARTS: Final[Mapping[str, Callable[[str, int], Counter[str]]]] = {
    "claim of a fresh dataset": claims,
    "a dataset, durability none": lambda place, count: carried(place, count, Durability.NONE, nothing),
    "a dataset, durability full": lambda place, count: carried(place, count, Durability.FULL, nothing),
    "a dataset, durability none, and its author writes a file": lambda place, count: carried(
        place, count, Durability.NONE, write_a_file
    ),
    "an idle look": looks,
}


def calls(place: str, count: int) -> dict[str, Operations]:
    """Count every part on a client, each in a process of its own, with datasets that the server has made."""
    found: dict[str, Operations] = {}
    for part in PARTS:
        fill(new_root(f"{place}/{ROOT}").reads, WARM + count, FILES)
        number = LOOKS if part == "an idle look" else count
        words = [sys.executable, "-m", "benchmarks.nfs_guest", place, "count", part, f"{number}"]
        said = subprocess.run([*at("a"), *words], check=True, stdout=subprocess.PIPE, text=True).stdout
        found[part] = {name: operations / number for name, operations in json.loads(said).items()}
        shutil.rmtree(f"{place}/{ROOT}")
    return found


def race(place: str, where: str, count: int, pollers: int) -> dict[str, float]:
    """Let pollers carry all datasets of a location; the clock runs from the gate to the last one's end."""
    root = f"{place}/{ROOT}"
    fill(new_root(root).reads, count, FILES)
    held = gate.Gate("/mnt/tmp/gate")
    clients = ["server"] if where == "server" else ["a", "b"]
    words = [sys.executable, "-m", "benchmarks.nfs_guest", place, "poll", held.path]
    started = [
        subprocess.Popen([*at(clients[number % len(clients)]), *words], stdout=subprocess.PIPE, text=True)
        for number in range(pollers)
    ]
    held.wait(pollers)
    begun = time.monotonic()
    held.open(pollers)
    said = [json.loads(process.communicate()[0]) for process in started]
    seconds = time.monotonic() - begun
    held.close()
    assert len(os.listdir(passage(root).reads.done)) == count
    shutil.rmtree(root)
    return {"seconds": seconds, **{name: sum(one[name] for one in said) for name in ("tries", "lost")}}


def poll(place: str, path: str) -> dict[str, int]:
    """Poll once the gate is open, until nothing is left."""
    fs = CountingFs()
    subject = poller(f"{place}/{ROOT}", InProcessWork(nothing), fs=fs)
    gate.pass_through(path)
    subject.poll()
    return {"tries": fs.tries, "lost": fs.lost}


def main(place: str, command: str, *words: str) -> None:
    """Do what is asked for and print what came of it."""
    logger.remove()
    match command, words:
        case "calls", (count,):
            print(json.dumps(calls(place, int(count))))
        case "race", (where, count, pollers):
            print(json.dumps(race(place, where, int(count), int(pollers))))
        case "count", (part, count):
            print(json.dumps(PARTS[part](place, int(count))))
        case "poll", (path,):
            print(json.dumps(poll(place, path)))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
