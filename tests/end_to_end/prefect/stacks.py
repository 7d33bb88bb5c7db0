"""Stacks for tests: each in a directory of its own, on a port of its own, and nothing of it left at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.stack.choices import Wanted
from infra.stack.display import Display
from infra.stack.fall import bring_down
from infra.stack.place import VARIABLE, Place
from infra.stack.rise import bring_up
from infra.stack.stack import Stack
from tests.ports import free_port

CLONE = Path(__file__).resolve().parents[3]
PACE = {"PHASELINE_LOOK_SECONDS_MAX": "1"}  # idle pollers of tests look this often


def place_in(directory: Path, clone: Path = CLONE) -> Place:
    """Return the place of a stack; its directory has a space in its name, as a clone's may."""
    return Place(clone=clone, directory=directory / "a stack")


@contextmanager
def a_stack(
    directory: Path,
    *,
    clone: Path = CLONE,
    trigger_seconds: float | None = None,
    more: Mapping[str, str] | None = None,
) -> Generator[Stack]:
    """Bring a stack up with the root `directory`/root, and down with all its pollers, whatever happens.

    `more` is in the environment of all that it starts. A test may end, kill and start whatever it likes in between.
    """
    stack = Stack(place_in(directory, clone), base={**os.environ, **PACE, **(more or {})})
    wanted = Wanted(root=str(directory / "root"), stages=None, port=free_port(), trigger_seconds=trigger_seconds)
    try:
        bring_up(stack, wanted, Display())
        yield stack
    finally:
        bring_down(stack, Display(), with_pollers=True)


def phaseline(*words: str, place: Place, home: Path) -> subprocess.CompletedProcess[str]:
    """Type a phaseline command of a stack's person, whose home is empty."""
    home.mkdir(exist_ok=True)
    seen = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PHASELINE_"))}
    return subprocess.run(
        [sys.executable, "-m", "stages.engine", *words],
        env={**seen, VARIABLE: str(place.directory), "HOME": str(home)},
        cwd=home.parent,
        capture_output=True,
        text=True,
        check=False,
    )
