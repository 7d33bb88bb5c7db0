"""Real pollers: `phaseline poll` as processes, on a chain of stages that is written for the purpose."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import CHECKOUT
from stages.engine import catalog
from stages.engine.layout import Passage, Root

_ENDS_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A data root, its folder of stages, and where each stage reads and writes."""

    root: str
    folder: str
    passages: tuple[Passage, ...]


def new_chain(path: str, length: int, function: str, *, output: str) -> Chain:
    """Make stages that call `function` of benchmarks.carried, and an empty root for them.

    `output` is the table of that name in each stage.toml.
    """
    folder, root = f"{path}/stages", f"{path}/root"
    for number in range(1, length + 1):
        stage = Path(folder, f"step{number}")
        stage.mkdir(parents=True)
        (stage / "stage.toml").write_text(
            f'title = "Step {number}"\nreads = "PHASE_{number}"\nwrites = "PHASE_{number + 1}"\n'
            f'[work]\ncallable = "benchmarks.carried:{function}"\n[output]\n{output}\n'
        )
    _phaseline("init", root, folder)
    specs = catalog.load(folder).stages
    return Chain(root=root, folder=folder, passages=tuple(catalog.passage(Root(root), spec) for spec in specs))


def start(
    chain: Chain, stage: str, *options: str, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a poller; what it logs goes to a file beside the root."""
    with open(f"{chain.root}.log", "ab") as log:
        return subprocess.Popen(
            arguments("poll", chain.root, chain.folder, stage, *options),
            cwd=CHECKOUT,
            env={**os.environ, **(environment or {})},
            stdout=log,
            stderr=log,
        )


def end(chain: Chain, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all have ended well; raises RuntimeError with what was logged last."""
    codes = [process.wait(_ENDS_SECONDS) for process in processes]
    if any(codes):
        raise RuntimeError(f"a poller ended with {codes}: {Path(f'{chain.root}.log').read_text()[-2000:]}")


def arguments(command: str, root: str, folder: str, *more: str) -> list[str]:
    """Return what to type."""
    return [sys.executable, "-m", "stages.engine", "--root", root, "--stages", folder, command, *more]


def _phaseline(command: str, root: str, folder: str) -> None:
    subprocess.run(arguments(command, root, folder), cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
