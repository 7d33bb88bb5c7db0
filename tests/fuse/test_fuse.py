"""Are the promises kept on sshfs and glusterfs, and where one is not, does the doctor say so?"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections.abc import Callable
from typing import cast

import pytest

from stages.engine.errors import ExitCode
from tests.fuse.spaces import DISTRIBUTED, GLUSTERFS, MOUNTS, REPLICATED, SSHFS, UNCACHED, entered
from tests.nfs.machine import CHECKOUT, DATA, Done, Machine, Where
from tests.nfs.packages import NoRigError

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(280)]

CONTRACT = "tests/contract/test_file_system.py"
ROUNDS = 100
STORM_SECONDS = 200.0
DATASETS = 200  # of a storm
GOOD = (GLUSTERFS, DISTRIBUTED)
NOT_KEPT = {"test_a_directory_is_never_moved_onto_a_full_one"}  # on one host of sshfs already
#: A directory that another host has removed is *stale* on glusterfs to who names it by its path; a poller takes that
#: for a storage that fails, ends with EX_TEMPFAIL as it then should, and its job is started anew.
STALE = re.compile(r"poll mixed ended with 75: .*Stale file handle|an orphan ended with 75: ")
REFUSED = "rename onto a non-empty directory refused: Operation not permitted"
MADE_AND_EXAMINED: tuple[tuple[Where, str], ...] = (("a", "init"), ("b", "doctor"))
Outcome = dict[str, object]


def python(*words: str) -> list[str]:
    """Return a command line of this Python."""
    return [sys.executable, "-m", *words]


@pytest.mark.parametrize("mount", [SSHFS, UNCACHED])
def test_sshfs_is_refused(mount: str, record_property: Callable[[str, object], None]) -> None:
    """A create has one winner there, too; but an open directory is a path, and refusals have lost their names."""
    begun = time.monotonic()
    try:
        with entered(MOUNTS[mount]) as machine:
            assert broken_promises(machine) == NOT_KEPT
            made = type_in(machine, "a", "init")
            assert made.code != 0, made.output
            assert REFUSED in made.output
            assert type_in(machine, "server", "init").code == 0  # that is on the disk below
            examined = type_in(machine, "a", "doctor")
            assert examined.code == ExitCode.CONFIGURATION, examined.output
            assert REFUSED in examined.output
            assert "on sshfs an open directory is but a path" in examined.output
            found = across_hosts(machine)
            assert found["races"]["wrong"] == {}
            assert found["handle"] == {"told": "", "at": ["ds"]}  # the register of one dataset is put into another one
            seconds = round(time.monotonic() - begun)
            said = storms(machine, mount)  # as long as no name is used twice nothing goes wrong
    except NoRigError as error:
        pytest.fail(f"no FUSE here: {error}")
    record_property(f"FUSE {mount}", f"refused; contract and races in {seconds} s; {in_short(found)}; {said}")


@pytest.mark.parametrize("mount", GOOD)
def test_glusterfs_keeps_the_promises(mount: str, record_property: Callable[[str, object], None]) -> None:
    """One test for each kind of volume: its parts share what is mounted."""
    begun = time.monotonic()
    try:
        with entered(MOUNTS[mount]) as machine:
            assert broken_promises(machine) == set()
            for host, command in MADE_AND_EXAMINED:
                done = type_in(machine, host, command)
                assert done.code == 0, done.output
            found = across_hosts(machine)
            assert found["races"]["wrong"] == {}
            assert found["handle"] == {"told": "", "at": ["moved"]}
            assert found["values"] == {}
            late = {what: seconds for what, seconds in found["visibility"].items() if seconds is None}
            assert late == {}
            seconds = round(time.monotonic() - begun)
            said = storms(machine, mount)
    except NoRigError as error:
        pytest.fail(f"no FUSE here: {error}")
    record_property(f"FUSE {mount}", f"contract and races in {seconds} s; {in_short(found)}; {said}")


def type_in(machine: Machine, host: Where, command: str) -> Done:
    """Type a command about a root there."""
    return machine.run(host, python("stages.engine", command, "--root", f"{DATA}/root"))


def test_nobody_wins_twice_on_a_replicated_glusterfs(record_property: Callable[[str, object], None]) -> None:
    """It may stop to answer: its replicas disagree about names that were raced for. That is why it does not do."""
    try:
        with entered(MOUNTS[REPLICATED]) as machine:
            assert broken_promises(machine) == set()
            found = across_hosts(machine, breaks=True)
    except NoRigError as error:
        pytest.fail(f"no FUSE here: {error}")
    assert found["races"]["double"] == 0
    record_property(f"FUSE {REPLICATED}", f"{in_short(found)}, {'seen through' if 'values' in found else 'broken'}")


def broken_promises(machine: Machine) -> set[str]:
    """Return the tests of the contract of the file system that fail on a host."""
    only = ["-k", "posix and not tmpfs and not faulty", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider"]
    done = machine.run("a", python("pytest", "-q", "--tb=line", *only, CONTRACT), more={"TMPDIR": DATA})
    assert re.search(r"^(\d+ failed, )?\d+ passed", done.output, re.MULTILINE), done.output
    return set(re.findall(r"^FAILED \S+::(\w+)", done.output, re.MULTILINE))


def across_hosts(machine: Machine, *, breaks: bool = False) -> dict[str, Outcome]:
    """Return what one host's doing is to the other; where the file system `breaks`, as far as it came."""
    done = machine.run("server", python("tests.fuse.promises", str(ROUNDS)), seconds=120.0)
    assert breaks or done.code == 0, done.output
    found: dict[str, Outcome] = {}
    for line in done.output.splitlines():
        if line.startswith("{"):
            found |= cast("dict[str, Outcome]", json.loads(line))
    return found


def in_short(found: dict[str, Outcome]) -> str:
    """Say what differs from one file system to the next."""
    return ", ".join(f"{what}: {how}" for name in ("races", "visibility") for what, how in found.get(name, {}).items())


def storms(machine: Machine, mount: str) -> str:
    """Kill those who work on the two hosts: nothing is lost, as the server sees it; returns what it was, in short."""
    seed = random.getrandbits(32)
    words = python("tests.nfs.storm", str(DATASETS), str(seed), str(STORM_SECONDS), "0")
    more = {"STORM_CATALOG": str(CHECKOUT / "tests" / "nfs" / "catalog"), "STORM_EXPORT": MOUNTS[mount].export}
    done = machine.run("server", words, seconds=STORM_SECONDS, more=more)
    assert done.code == 0, f"seed {seed}: {done.output}"
    outcome = json.loads(done.output.splitlines()[-1])
    assert [wrong for wrong in outcome["wrong"] if not STALE.match(wrong)] == [], f"seed {seed}: {outcome}"
    figures = outcome["figures"]
    for figure in ("kills", "stops", "lost", "failed", "quarantined"):
        assert figures.get(figure, 0) > 0, outcome
    said = ", ".join(f"{count} {what}" for what, count in figures.items())
    stale = len(outcome["wrong"])
    return f"storm of {DATASETS} datasets in {outcome['seconds']} s: {said}, {stale} ended by stale names (seed {seed})"
