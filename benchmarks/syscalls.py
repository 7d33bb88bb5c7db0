"""System calls of one dataset and stage, counted with strace: all of them, and those on the data root.

Counted from one claim to another, of the poller and of its warm child; a dataset is one file, the work is nothing,
hashing is off. The columns are in process and in the warm child, each with durability none and full. What is not
on the data root stays on the node: pipes, sockets, /proc.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from benchmarks import pollers
from benchmarks.coordination import FILES
from benchmarks.figures import Figure, Table, figure
from benchmarks.place import CHECKOUT, Place, fill, new_root

COUNTED = 20
DATASETS = COUNTED + 10
_STRACE = ("strace", "-f", "-y", "-qq", "-s", "256", "-e", "signal=none", "-o")
_CALL = re.compile(r"^\d+ +([a-z0-9_]+)\(")
_CLAIM = re.compile(r"symlink\(.*/taken\.")
_MESSAGES = ("sendmsg", "recvmsg")  # they may speak of the data root


class Call(NamedTuple):
    """A system call's name, and whether it was on the data root; those that were come last."""

    on_root: bool
    name: str

    @property
    def label(self) -> str:
        return f"{self.name}, data root" if self.on_root else self.name


def measure(place: Place) -> list[Figure | Table]:
    """A table of all calls, and the sums. Without strace there is neither."""
    if shutil.which("strace") is None:
        print("system calls: not counted, strace is not installed", file=sys.stderr)
        return []
    found = {
        "in process, none": _in_process(place, "none"),
        "in process, full": _in_process(place, "full"),
        "warm child, none": _in_a_child(place, "none"),
        "warm child, full": _in_a_child(place, "full"),
    }
    calls = sorted({call for counted in found.values() for call in counted})
    rows = {call.label: tuple(counted[call] / COUNTED for counted in found.values()) for call in calls}
    sums = [figure(f"system calls, {mode}", [_sum(counted, on_root=False)], "calls") for mode, counted in found.items()]
    sums += [
        figure(f"system calls on the data root, {mode}", [_sum(counted, on_root=True)], "calls")
        for mode, counted in found.items()
    ]
    return [*sums, Table(name="system calls per dataset and stage", columns=tuple(found), rows=rows)]


def _sum(counted: Counter[Call], *, on_root: bool) -> float:
    return sum(number for call, number in counted.items() if call.on_root or not on_root) / COUNTED


def _in_process(place: Place, durability: str) -> Counter[Call]:
    root = f"{place.memory}/traced"
    fill(new_root(root).reads, DATASETS, FILES)
    return traced([sys.executable, "-m", "benchmarks.in_process", root, durability], root, f"{place.memory}/trace")


def _in_a_child(place: Place, durability: str) -> Counter[Call]:
    path = f"{place.memory}/traced-chain"
    chain = pollers.new_chain(path, 1, "nothing", output=f'durability = "{durability}"\nhashing = false')
    through = chain.passages[0]
    fill(through.reads, DATASETS, FILES)
    command = pollers.arguments("poll", chain.root, chain.folder, through.stage, "--until-idle")
    calls = traced(command, chain.root, f"{place.memory}/trace")
    shutil.rmtree(path)
    return calls


def traced(command: Sequence[str], root: str, trace: str) -> Counter[Call]:
    """Return the calls of COUNTED datasets."""
    subprocess.run(
        [*_STRACE, trace, *command], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with open(trace, encoding="utf-8", errors="replace") as lines:
        return count(lines, root)


def count(lines: Iterable[str], root: str) -> Counter[Call]:
    """Count the calls from the third claim on, for COUNTED datasets."""
    found: Counter[Call] = Counter()
    claims = 0
    for line in lines:
        call = _CALL.match(line)  # none in `<... resumed>`, whose beginning was counted
        if call is None:
            continue
        claims += _CLAIM.search(line) is not None
        if 2 < claims <= 2 + COUNTED:
            found[Call(root in line and call[1] not in _MESSAGES, call[1])] += 1
    return found
