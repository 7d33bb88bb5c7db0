"""Does `phaseline doctor --storage` come to a verdict with a second process, and leave nothing behind?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from infra.site import sides
from stages.engine.clock import SystemClock
from stages.engine.places import LEFT_SECONDS
from tests.repository.checkout import BIN
from tests.unit.chain import Chain
from tests.waiting import wait_until

FEW = ("--storage", "--rounds", "50")


def left(chain: Chain) -> list[str]:
    return [name for name in os.listdir(chain.root.path) if name.startswith(".")]


def test_two_processes_on_this_disk(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert chain.phaseline("doctor", *FEW) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok       write permission: 22 directories"
    assert lines[-1] == f"{chain.root.path}: good"
    raced = [line for line in lines if " raced " in line]
    assert len(raced) == 4
    assert all("one winner in each of 50 rounds" in line for line in raced[:3])
    assert left(chain) == []


def test_a_program_is_told_the_same_and_a_stage_that_beats_too_fast_is_given_settings(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    chain.write_stage("first", "IN", "MID", "[lease]\nheartbeat_seconds = 1e-4\nexpires_seconds = 4e-4\n")
    said = chain.json(capsys, "doctor", *FEW)
    assert (said["fit"], said["verdict"]) == (True, "good with these settings")
    settings = cast("list[dict[str, object]]", said["settings"])
    assert {one["key"] for one in settings} == {"lease.heartbeat_seconds", "lease.expires_seconds"}


def test_without_slurm_the_sides_that_nodes_would_play_are_jobs_of_this_host(
    chain: Chain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of this checkout's deployments; what they have to say comes back through the root."""
    for name in [name for name in os.environ if name.startswith(("PHASELINE_", "SLURM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PHASELINE_ROOT", chain.root.path)
    monkeypatch.setenv("PHASELINE_STAGES", str(chain.stages))
    monkeypatch.setenv("PATH", str(BIN))  # no sbatch
    assert chain.phaseline("doctor", *FEW, "--from-nodes") == 0
    said = capsys.readouterr().out
    assert f"note     nodes: {sides.NO_SLURM}" in said
    assert said.count("one winner in each of 50 rounds") == 3
    assert said.splitlines()[-1] == f"{chain.root.path}: good"
    assert left(chain) == []
    assert os.listdir(chain.path("_jobs")) == []


def test_a_second_process_that_cannot_begin_leaves_it_open(
    chain: Chain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert chain.phaseline("doctor", *FEW) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("note     two sides: the second process ended with 1")
    assert lines[-1] == f"{chain.root.path}: not known"
    assert left(chain) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from-nodes",), "--from-nodes goes with --storage"),
        (("--storage", "--rounds", "0"), "--rounds is a number of rounds, 1 or more"),
        (("--storage", "--play", ".probe.1", "c"), "no option for people"),
        (("--storage", "--play", "../.probe.1", "a"), "no option for people"),
        (("--storage", "--play", ".probe./../x", "a"), "no option for people"),
    ],
)
def test_words_that_make_no_sense_are_refused(
    chain: Chain, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert chain.phaseline("doctor", *words) == 2
    assert said in capsys.readouterr().err
    assert left(chain) == []


def test_a_killed_probe_is_nobodys_dataset_and_goes_with_the_next(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--root", chain.root.path, "--stages", str(chain.stages)]
    words = [sys.executable, "-m", "stages.engine", *common, "doctor", "--storage", "--rounds", "1000000"]
    killed = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    wait_until(lambda: bool(list(Path(chain.root.path).glob(".probe.*/symlink.1"))), 20, lambda: str(left(chain)))
    second = [int(pid) for pid in Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()]
    killed.kill()
    killed.wait()
    for pid in second:  # it ends by itself
        wait_until(lambda pid=pid: has_ended(pid), 20, lambda: f"{second} still there")
    (name,) = left(chain)
    assert chain.status("first").listed == 0
    assert chain.phaseline("doctor") == 0
    assert left(chain) == [name], "it may be somebody's"
    long_ago = SystemClock().now() - LEFT_SECONDS - 60
    for path in (name, f"{name}/meeting"):
        os.utime(chain.path(path), (long_ago, long_ago))
    assert chain.phaseline("doctor") == 0
    assert f"note     leftovers: removed of a killed probe: {name}" in capsys.readouterr().out
    assert left(chain) == []


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
