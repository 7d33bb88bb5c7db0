"""Are the promises kept on real NFS, on which two clients see each other through caches of their own?"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections.abc import Callable
from typing import cast

import pytest

from tests.nfs.machine import CHECKOUT, DATA, MOUNTS, POSITIVE, V3, V4, Machine
from tests.nfs.packages import NoRigError

pytestmark = [pytest.mark.nfs, pytest.mark.timeout(280)]

CONTRACT = "tests/contract/test_file_system.py"
CONTRACT_SECONDS = 60.0
PLAYS_SECONDS = 120.0
STORM_SECONDS = 200.0
DATASETS = 500
RESTARTS = {V3: 2, POSITIVE: 0, V4: 1}
#: Who was out of sight while it sealed an output, and is told that another client removed what it holds, may end.
STALE = re.compile(r"(poll mixed|an orphan) ended with 75: .*Stale file handle")
Outcome = dict[str, object]

NO_LIES = {POSITIVE}  # a client that keeps no word of absence
NO_HOLE = {V4}  # ext4 counts its changes, and version 4 tells the client
RESTARTED = (V3, V4)
SCRIPTS = (
    ("negative entry", tuple(MOUNTS)),
    ("end in a tick", tuple(MOUNTS)),
    ("arrival in a tick", tuple(MOUNTS)),
    ("publication in a tick", tuple(MOUNTS)),
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
    ("rings no location", "publication in a tick", (V3, POSITIVE)),
    ("EEXIST is a loss", "lost reply: claim", RESTARTED),
    ("an own mkdir's EEXIST is an error", "lost reply: private place", RESTARTED),
    ("EEXIST at the commit is a fence", "lost reply: commit", RESTARTED),
    ("an own rename's ENOENT is an error", "lost reply: publication", RESTARTED),
    ("an own rename's ENOENT is an error", "lost reply: archiving", RESTARTED),
)
HARMLESS = {"negative entry": NO_LIES} | dict.fromkeys(
    ("end in a tick", "arrival in a tick", "publication in a tick"), NO_HOLE
)


def python(*words: str) -> list[str]:
    """Return a command line of this Python, in the guest."""
    return [sys.executable, "-m", *words]


def plays_on(mount: str) -> list[str]:
    """Return what is played on a kind of mount: each script by the engine, then the mutants' own."""
    right = [f"{script}/none" for script, mounts in SCRIPTS if mount in mounts]
    return [*right, *(f"{script}/{mutant}" for mutant, script, mounts in MUTANTS if mount in mounts)]


def is_right(outcome: Outcome) -> bool:
    """Tell whether an engine came through a script."""
    if "raised" in outcome or outcome.get("hidden") is not None or outcome.get("broken"):
        return False
    return outcome.get("published", True) is True and outcome.get("claimed", True) is True


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_kind_of_mount(mount: str, record_property: Callable[[str, object], None]) -> None:
    """One test for each: its parts share a machine, and the machines stand side by side."""
    begun = time.monotonic()
    try:
        with Machine.booted(MOUNTS[mount]) as machine:
            keeps_the_contract(machine)
            plays(machine, mount)
            seconds = round(time.monotonic() - begun)
            said = storms(machine, mount)
            record_property(f"NFS {mount}", f"contract and {len(plays_on(mount))} scripts in {seconds} s; {said}")
    except NoRigError as error:
        pytest.fail(f"no NFS here: {error}")


def keeps_the_contract(machine: Machine) -> None:
    only = ["-k", "posix and not tmpfs and not faulty", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider"]
    words = python("pytest", "-q", *only, CONTRACT)
    done = machine.run("a", words, seconds=CONTRACT_SECONDS, more={"TMPDIR": DATA})
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


def storms(machine: Machine, mount: str) -> str:
    """Nothing is lost and nothing published twice, as the server sees it; returns what it was, in short."""
    seed = random.getrandbits(32)
    words = python("tests.nfs.storm", str(DATASETS), str(seed), str(STORM_SECONDS), str(RESTARTS[mount]))
    catalog = {"STORM_CATALOG": str(CHECKOUT / "tests" / "nfs" / "catalog")}
    done = machine.run("server", words, seconds=STORM_SECONDS, more=catalog)
    assert done.code == 0, f"seed {seed}: {done.output}"
    outcome = json.loads(done.output.splitlines()[-1])
    figures = outcome["figures"]
    wrong = [line for line in outcome["wrong"] if not STALE.match(line)]
    assert wrong == [], f"seed {seed}: {outcome}"
    figures["ended at a stale handle"] = len(outcome["wrong"])
    for figure in ("kills", "stops", "lost", "failed", "quarantined"):
        assert figures.get(figure, 0) > 0, outcome
    assert figures.get("server restarts", 0) == RESTARTS[mount], outcome
    said = ", ".join(f"{count} {what}" for what, count in figures.items())
    return f"storm of {DATASETS} datasets in {outcome['seconds']} s: {said} (seed {seed})"
