"""Are the promises kept on real NFS, on which two clients see each other through caches of their own?"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from typing import cast

import pytest

from tests.nfs.machine import CHECKOUT, DATA, MOUNTS, POSITIVE, V3, V4, Machine
from tests.nfs.packages import NoRigError

pytestmark = [pytest.mark.nfs, pytest.mark.timeout(280)]

CONTRACT = "tests/contract/test_file_system.py"
PLAYS_SECONDS = 170.0
ARRIVAL_SECONDS = 80.0
STORM_SECONDS = 160.0
DATASETS = 500  # as many of them as the time allows
DATASETS_MIN = 60
Outcome = dict[str, object]

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


def python(*words: str) -> list[str]:
    """Return a command line of this Python, in the guest."""
    return [sys.executable, "-m", *words]


def plays_on(mount: str) -> list[str]:
    """Return what is played on a kind of mount: each script by the engine, then the mutants' own."""
    right = [f"{script}/none" for script, mounts in SCRIPTS if mount in mounts]
    return [*right, *(f"{script}/{mutant}" for mutant, script, mounts in MUTANTS if mount in mounts)]


def is_right(outcome: Outcome) -> bool:
    """Tell whether an engine came through a script."""
    if "raised" in outcome:
        return False
    if "hidden" in outcome:
        return outcome["hidden"] is None
    return outcome["published"] is True and outcome["broken"] == []


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_kind_of_mount(mount: str, record_property: Callable[[str, object], None]) -> None:
    """One test for each: its parts share a machine, and the machines stand side by side."""
    try:
        with Machine.booted(MOUNTS[mount]) as machine:
            keeps_the_contract(machine)
            plays(machine, mount)
            storms(machine, mount, record_property)
    except NoRigError as error:
        pytest.fail(f"no NFS here: {error}")


def keeps_the_contract(machine: Machine) -> None:
    only = ["-k", "posix and not tmpfs and not faulty", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider"]
    done = machine.run("a", python("pytest", "-q", *only, CONTRACT), seconds=90.0, more={"TMPDIR": DATA})
    assert done.code == 0, done.output


def plays(machine: Machine, mount: str) -> None:
    """The engine comes through every script; an engine without the rule does not."""
    done = machine.run("server", python("tests.nfs.scripts", *plays_on(mount)), seconds=PLAYS_SECONDS)
    assert done.code == 0, done.output
    found = [cast("Outcome", json.loads(line)) for line in done.output.splitlines() if line.startswith("{")]
    assert [outcome["play"] for outcome in found] == plays_on(mount)
    for outcome in found:
        script, _, mutant = str(outcome["play"]).partition("/")
        assert is_right(outcome) == (mutant == "none"), outcome
        if mutant == "none":  # where the client is told no lie none of our rules is needed: that is to be known, too
            assert bool(outcome["endangered"]) == (mount not in HARMLESS.get(script, set())), outcome


def storms(machine: Machine, mount: str, record_property: Callable[[str, object], None]) -> None:
    """Nothing is lost and nothing published twice, as the server sees it."""
    seed = random.getrandbits(32)
    restarts = [] if mount == POSITIVE else ["restart"]
    words = python("tests.nfs.storm", str(DATASETS), str(seed), str(ARRIVAL_SECONDS), *restarts)
    catalog = {"STORM_CATALOG": str(CHECKOUT / "tests" / "nfs" / "catalog")}
    done = machine.run("server", words, seconds=STORM_SECONDS, more=catalog)
    assert done.code == 0, f"seed {seed}: {done.output}"
    outcome = json.loads(done.output.splitlines()[-1])
    arrived, figures = outcome["arrived"], outcome["figures"]
    said = ", ".join(f"{count} {what}" for what, count in figures.items())
    record_property(f"storm on {mount}", f"{arrived} datasets in {outcome['seconds']} s: {said} (seed {seed})")
    assert outcome["wrong"] == [], f"seed {seed}: {outcome}"
    assert arrived >= DATASETS_MIN, outcome
    for figure in ("kills", "stops", "lost", "failed", "quarantined"):
        assert figures.get(figure, 0) > 0, outcome
    assert figures.get("server restarts", 0) == (2 if restarts else 0), outcome
