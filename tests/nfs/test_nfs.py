"""Are the promises kept on real NFS, on which two clients see each other through caches of their own?"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from typing import cast

import pytest
from _pytest.mark.structures import ParameterSet

from tests.nfs.machine import CHECKOUT, DATA, MOUNTS, POSITIVE, V3, V4, Machine, Mount

pytestmark = [pytest.mark.nfs, pytest.mark.timeout(280)]

CONTRACT = "tests/contract/test_file_system.py"
STORM_SECONDS = 150.0
DATASETS = 500
NO_LIES = {POSITIVE}  # a client that keeps no word of absence
NO_HOLE = {V4}  # ext4 counts its changes, and version 4 tells the client
RESTARTED = (V3, V4)
SCRIPTS = (
    ("negative entry", tuple(MOUNTS)),
    ("end in a tick", tuple(MOUNTS)),
    ("arrival in a tick", tuple(MOUNTS)),
    ("lost reply: claim", RESTARTED),
    ("lost reply: private place", RESTARTED),
    ("lost reply: commit", RESTARTED),
    ("lost reply: publication", RESTARTED),
    ("lost reply: archiving", RESTARTED),
)
#: Which rule is taken out of the engine, the script that shows it, and the mounts on which it can.
MUTANTS = (
    ("one look is a proof", "negative entry", (V3, V4)),
    ("the server is not asked", "negative entry", (V3, V4)),
    ("does not ring for an end", "end in a tick", (V3, POSITIVE)),
    ("rings no location", "arrival in a tick", (V3, POSITIVE)),
    ("EEXIST is a loss", "lost reply: claim", RESTARTED),
    ("an own mkdir's EEXIST is an error", "lost reply: private place", RESTARTED),
)
HARMLESS = {"negative entry": NO_LIES, "end in a tick": NO_HOLE, "arrival in a tick": NO_HOLE}

Outcome = dict[str, object]


def on(mount: str, *more: str) -> ParameterSet:
    """Return a case on a kind of mount."""
    marks = pytest.mark.xdist_group(mount)
    return pytest.param(MOUNTS[mount], *more, id=f"{mount}-{more[0]}", marks=marks)


def python(*words: str) -> list[str]:
    """Return a command line of this Python, in the guest."""
    return [sys.executable, "-m", *words]


def play(machine: Machine, script: str, mutant: str) -> Outcome:
    """Play a script in the guest; returns what came of it."""
    done = machine.run("server", python("tests.nfs.scripts", script, mutant), seconds=90.0)
    assert done.code == 0, done.output
    return cast("Outcome", json.loads(done.output.splitlines()[-1]))


def is_right(outcome: Outcome) -> bool:
    """Tell whether an engine came through a script."""
    if "raised" in outcome:
        return False
    if "hidden" in outcome:
        return outcome["hidden"] is None
    return outcome["published"] is True and outcome["broken"] == []


@pytest.mark.parametrize("client", ["a", "b"])
def test_the_mount_keeps_the_contract_of_the_file_system(machine: Machine, client: str) -> None:
    only = ["-k", "posix and not tmpfs and not faulty", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider"]
    words = python("pytest", "-q", *only, CONTRACT)
    done = machine.run("a" if client == "a" else "b", words, seconds=90.0, more={"TMPDIR": DATA})
    assert done.code == 0, done.output


@pytest.mark.parametrize(
    ("mount", "script"), [on(name, script) for script, mounts in SCRIPTS for name in mounts], indirect=["mount"]
)
def test_the_engine_comes_through(machine: Machine, mount: Mount, script: str) -> None:
    outcome = play(machine, script, "none")
    assert is_right(outcome), outcome
    # Where the client is not told a lie here, none of our rules is needed: that is to be known, too.
    assert bool(outcome["endangered"]) == (mount.name not in HARMLESS.get(script, set())), outcome


@pytest.mark.parametrize(
    ("mount", "mutant", "script"),
    [on(name, mutant, script) for mutant, script, mounts in MUTANTS for name in mounts],
    indirect=["mount"],
)
def test_an_engine_without_the_rule_does_not(machine: Machine, mutant: str, script: str) -> None:
    outcome = play(machine, script, mutant)
    assert not is_right(outcome), outcome


def test_a_storm_over_two_clients(
    machine: Machine, mount: Mount, record_property: Callable[[str, object], None]
) -> None:
    seed = random.getrandbits(32)
    restarts = [] if mount.name == POSITIVE else ["restart"]
    words = python("tests.nfs.storm", str(DATASETS), str(seed), str(STORM_SECONDS), *restarts)
    catalog = {"STORM_CATALOG": str(CHECKOUT / "tests" / "nfs" / "catalog")}
    done = machine.run("server", words, seconds=STORM_SECONDS + 60, more=catalog)
    assert done.code == 0, f"seed {seed}: {done.output}"
    outcome = json.loads(done.output.splitlines()[-1])
    record_property(f"storm on {mount.name}", f"{DATASETS} datasets in {outcome['seconds']} s: {outcome['figures']}")
    assert outcome["wrong"] == [], f"seed {seed}: {outcome}"
    for figure in ("kills", "stops", "of these with an attempt", "lost", "failed", "quarantined", "reruns"):
        assert outcome["figures"].get(figure, 0) > 0, outcome
    assert outcome["figures"].get("server restarts", 0) == (2 if restarts else 0), outcome
