"""Pipeline: 1,000 datasets through five stages, two pollers at work at any time, against a plain loop.

A dataset is three files of 20 kB; the callable, in the warm child, reads each and writes it with a line more.
The pollers are real processes with their log lines; those of a stage begin together, when their set-up is over, and
the next stage begins when they have ended. *At work* is from their beginning to the last dataset archived, of all
stages together; what processes take to start and end is written beside it. The plain loop is two processes that call
the same callable for half of the datasets each, from their beginning to the last file written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pollers
from benchmarks.carried import GATE
from benchmarks.figures import Figure, each, figure, ratio
from benchmarks.gate import Gate
from benchmarks.place import CHECKOUT, Place, fill
from benchmarks.pollers import Chain
from stages.engine.layout import Passage

DATASETS = 1000
DATASETS_ON_DISK = 50
STAGES = 5
ROUNDS = 5
AT_ONCE = 2
FILES = {f"part{number}.txt": b"x" * 20_000 for number in range(3)}
LOOP_MAX = 2.5
BARE = 'durability = "none"\nhashing = false'
NOTHING_MORE: Mapping[str, str] = {}
SAFE = 'durability = "full"\nhashing = true'


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """What the datasets of one round took, in seconds: at work, and with the processes' start and end."""

    at_work: float
    in_all: float


def measure(place: Place) -> list[Figure]:
    """Ratios in memory, and on disk where durability costs something."""
    count, on_disk = place.scaled(DATASETS), place.scaled(DATASETS_ON_DISK)
    steps = count * STAGES
    bare: list[Time] = []
    mute: list[Time] = []
    safe: list[Time] = []
    loop: list[float] = []
    for _ in range(place.rounds(ROUNDS)):
        loop.append(by_the_loop(place.memory, count))
        bare.append(by_pollers(place.memory, count, BARE))
        mute.append(by_pollers(place.memory, count, BARE, {"PHASELINE_LOG_LEVEL": "WARNING"}))
        safe.append(by_pollers(place.memory, count, SAFE))
    slow, plain = by_pollers(place.disk, on_disk, SAFE), by_the_loop(place.disk, on_disk)
    return [
        ratio("pollers / plain loop", [one.at_work for one in bare], loop, LOOP_MAX),
        ratio("the same, without log lines", [one.at_work for one in mute], loop),
        ratio("the same, durability full and hashing on", [one.at_work for one in safe], loop),
        ratio("the same, durability full and hashing on, on disk", [slow.at_work], [plain]),
        each("pollers, per dataset and stage", [one.at_work for one in bare], steps),
        each("pollers, durability full and hashing on", [one.at_work for one in safe], steps),
        each("pollers, durability full and hashing on, on disk", [slow.at_work], on_disk * STAGES),
        each("plain loop, per dataset and stage", loop, steps),
        figure("a poller's start and end", [(one.in_all - one.at_work) / STAGES for one in bare], "s"),
    ]


def by_the_loop(base: str, count: int) -> float:
    """Return how long two plain loops take for all datasets and stages."""
    path = f"{base}/loop"
    directories = [f"{path}/PHASE_{number}" for number in range(1, STAGES + 2)]
    for directory in directories:
        os.makedirs(directory)
    for number in range(count):
        dataset = f"{directories[0]}/ds{number:06d}"
        os.mkdir(dataset)
        for name, content in FILES.items():
            Path(dataset, name).write_bytes(content)
    gate = Gate(f"{path}/gate")
    processes: list[subprocess.Popen[str]] = []
    for one in range(AT_ONCE):
        command = [sys.executable, "-m", "benchmarks.plain_loop", gate.path, *directories]
        process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write("\n".join(f"ds{number:06d}" for number in range(one, count, AT_ONCE)))
        process.stdin.close()
        processes.append(process)
    gate.wait(AT_ONCE)
    begun = time.perf_counter()
    gate.open(AT_ONCE)
    gate.wait(AT_ONCE)
    seconds = time.perf_counter() - begun
    assert [process.wait() for process in processes] == [0] * AT_ONCE
    assert len(os.listdir(directories[-1])) == count
    shutil.rmtree(path)
    return seconds


def by_pollers(base: str, count: int, output: str, environment: Mapping[str, str] = NOTHING_MORE) -> Time:
    """Return how long the engine takes for all datasets and stages."""
    path = f"{base}/chain"
    chain = pollers.new_chain(path, STAGES, "copy_with_a_line_more", output=output)
    fill(chain.passages[0].reads, count, FILES)
    begun = time.perf_counter()
    at_work = sum(_stage(chain, through, environment) for through in chain.passages)
    in_all = time.perf_counter() - begun
    assert len(os.listdir(chain.passages[-1].reads.done)) == count
    shutil.rmtree(path)
    return Time(at_work=at_work, in_all=in_all)


def _stage(chain: Chain, through: Passage, environment: Mapping[str, str]) -> float:
    """Have two pollers empty a stage; returns how long they were at work."""
    gate = Gate(f"{chain.root}.gate")
    told = {**environment, GATE: gate.path}
    processes = [pollers.start(chain, through.stage, "--until-idle", environment=told) for _ in range(AT_ONCE)]
    gate.wait(AT_ONCE)
    begun = time.time()
    gate.open(AT_ONCE)
    pollers.end(chain, processes)
    gate.close()
    return os.stat(through.reads.done).st_mtime - begun
