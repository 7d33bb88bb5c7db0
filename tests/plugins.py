"""A package that is installed beside phaseline for a test, and knows a batch system; found by its entry point."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

_SOURCE = """
import json, pathlib
here = pathlib.Path(__file__).parent

def connect(root):
    said = json.loads((here / "said.json").read_text())
    if said["refuses"]:
        raise RuntimeError(said["refuses"])
    return None if said["absent"] else ask

def ask(jobs):
    with (here / "asked").open("a") as file:
        file.write(json.dumps(sorted(jobs)) + "\\n")
    said = json.loads((here / "said.json").read_text())
    if said["away"]:
        raise RuntimeError(said["away"])
    return {job: ended for job, ended in said["jobs"].items() if job in jobs}
"""


class BatchPlugin:
    """Its batch system says what it is told to say, to this process and to those that it starts."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._top = top
        self._module = f"batch_plugin_{os.urandom(4).hex()}"
        about = top / f"{self._module}-1.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {self._module}\nVersion: 1\n")
        (about / "entry_points.txt").write_text(f"[phaseline.jobs_ended]\nfake = {self._module}:connect\n")
        (top / f"{self._module}.py").write_text(_SOURCE)
        self.say({})
        monkeypatch.setattr(sys, "path", [str(top), *sys.path])
        monkeypatch.setenv("PYTHONPATH", str(top), prepend=os.pathsep)

    def say(self, jobs: Mapping[str, bool], *, away: str = "", refuses: str = "", absent: bool = False) -> None:
        """Answer so from now on; `away`: it cannot be asked; `refuses`: nor set up; `absent`: there is none."""
        said = {"jobs": dict(jobs), "away": away, "refuses": refuses, "absent": absent}
        (self._top / "said.json").write_text(json.dumps(said))

    @property
    def asked(self) -> list[list[str]]:
        """Every question, as the jobs that it was about."""
        log = self._top / "asked"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def forget(self) -> None:
        """Let go of the module."""
        sys.modules.pop(self._module, None)
