"""Gates: who comes to one says so and waits until a test lets it through. Names in a directory; no process is asked."""

from __future__ import annotations

import os
from pathlib import Path

from tests.waiting import wait_until

VARIABLE = "TEST_GATES"  # the directory, for processes that pass through gates
LIMIT_SECONDS = 600.0
REACHED_SECONDS = 60.0


def hold_if_armed(name: str) -> None:
    """Stop at a gate that a test has armed, the first time that anybody comes there since."""
    directory = os.environ.get(VARIABLE)
    if directory is None:
        return
    try:
        (Path(directory) / f"{name}.armed").unlink()
    except FileNotFoundError:
        return
    hold(name)


def hold(name: str) -> None:
    """Say that this process is at a gate, and wait until it is open. Raises TimeoutError when nobody opens it."""
    gates = Path(os.environ[VARIABLE])
    (gates / f"{name}.reached").touch()
    wait_until((gates / f"{name}.open").exists, LIMIT_SECONDS, f"the gate {name} is opened")


class Gates:
    """What a test does with the gates in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)

    def reached(self) -> set[str]:
        """The gates that somebody has come to."""
        return {path.stem for path in self.directory.glob("*.reached")}

    def arm(self, name: str) -> None:
        """Let the next one that comes to a gate stop there."""
        (self.directory / f"{name}.armed").touch()

    def wait(self, name: str) -> None:
        """Wait until somebody has come to a gate."""
        path = self.directory / f"{name}.reached"
        wait_until(path.exists, REACHED_SECONDS, lambda: f"gate {name}; reached: {sorted(self.reached())}")

    def open(self, *names: str) -> None:
        """Let through whoever is there or comes."""
        for name in names:
            (self.directory / f"{name}.open").touch()
