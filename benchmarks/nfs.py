"""NFS: what a dataset asks of the file server, and eight pollers on two clients beside eight on the server's own disk.

A machine of user-mode-linux (tests.nfs.machine) serves ext4 to two clients, which have caches of their own. *Calls* are
what one client asked for (mountstats), listings included, of datasets of one small file that came from elsewhere; the
work writes nothing, so all of them are phaseline's; hashing is off. *Throughput* is of one location, its work in
process, so that the engine is measured and not the start of processes: through NFS, and by as many pollers on the
server itself, on the same kernel's ext4. A claim is lost when somebody else was faster.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TypedDict, cast

from benchmarks.figures import Figure, Table, figure
from benchmarks.place import Place
from tests.nfs.machine import DATA, MOUNTS, V3, V4, Machine, Where

COUNTED = 100
DATASETS = 10_000
POLLERS = 8
LIMITS: Mapping[str, float | None] = {
    "claim of a fresh dataset": 6,
    "a dataset, durability none": 16,
    "a dataset, durability full": 24,
    "a dataset, durability none, and its author writes a file": None,
    "an idle look": 2,
}
WAIT_SECONDS = 1800.0
Counted = dict[str, dict[str, float]]


class Race(TypedDict):
    """What came of a race of pollers."""

    seconds: float
    lost: int
    tries: int


def measure(place: Place) -> list[Figure | Table]:
    """Figures and a table of operations for each version of NFS."""
    found: list[Figure | Table] = []
    for mount in (V3, V4):
        with Machine.booted(MOUNTS[mount]) as machine:
            counted = cast("Counted", _told(machine, "calls", f"{place.scaled(COUNTED)}"))
            found += [_sum(mount, part, counted[part]) for part in LIMITS]
            found.append(_table(mount, counted))
            found += _throughput(machine, mount, place.scaled(DATASETS, least=POLLERS))
    return found


def _sum(mount: str, part: str, operations: Mapping[str, float]) -> Figure:
    return figure(f"NFS {mount}: {part}", [round(sum(operations.values()), 1)], "calls", LIMITS[part])


def _table(mount: str, counted: Counted) -> Table:
    names = sorted({name for operations in counted.values() for name in operations})
    rows = {name: tuple(round(counted[part].get(name, 0.0), 2) for part in LIMITS) for name in names}
    return Table(name=f"calls to the server, NFS {mount}", columns=tuple(LIMITS), rows=rows)


def _throughput(machine: Machine, mount: str, datasets: int) -> list[Figure]:
    remote, local = (_race(machine, where, datasets) for where in ("clients", "server"))
    what = f"{datasets:,} datasets, {POLLERS} pollers"
    return [
        figure(
            f"NFS {mount}: {what}, two clients / the server's own disk", [remote["seconds"] / local["seconds"]], "x"
        ),
        figure(f"NFS {mount}: {what}, two clients", [datasets / remote["seconds"]], "datasets/s"),
        figure(f"NFS {mount}: {what}, the server's own disk", [datasets / local["seconds"]], "datasets/s"),
        figure(f"NFS {mount}: claims lost of those tried, two clients", [100 * remote["lost"] / remote["tries"]], "%"),
        figure(f"NFS {mount}: claims lost of those tried, own disk", [100 * local["lost"] / local["tries"]], "%"),
    ]


def _race(machine: Machine, where: str, datasets: int) -> Race:
    return cast("Race", _told(machine, "race", where, f"{datasets}", f"{POLLERS}"))


def _told(machine: Machine, *words: str) -> object:
    """Return what the guest's side of this says."""
    at: Where = "server"
    done = machine.run(at, [sys.executable, "-m", "benchmarks.nfs_guest", DATA, *words], seconds=WAIT_SECONDS)
    if done.code:
        raise RuntimeError(f"{' '.join(words)} failed in the guest: {done.output[-2000:]}")
    return json.loads(done.output.splitlines()[-1])
