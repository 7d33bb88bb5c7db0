"""Does `phaseline sweep` ask a batch system, once, and go on without one that is away?"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from stages.engine import assembly
from stages.engine.commands import context
from stages.engine.commands.context import Context
from stages.engine.store import Claim
from tests.fakes import EDITION, identity
from tests.plugins import BatchPlugin
from tests.unit.chain import Chain
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BatchPlugin:
    return BatchPlugin(tmp_path / "plugin", monkeypatch)


def take(chain: Chain, stage: str, dataset: str, job: str) -> None:
    """A claim of a process in a job, on another host."""
    chain.put(dataset, chain.catalog.stage(stage).reads)
    site = assembly.Site(fs=chain.fs, clock=chain.clock, identity=identity(job=job), root=chain.root)
    claim = assembly.store(site, chain.catalog.stage(stage), EDITION).claim(dataset)
    assert isinstance(claim, Claim)
    chain.fs.close(claim.handle)


def in_flight(chain: Chain, location: str) -> list[str]:
    return [path.name.partition(".")[0] for path in chain.path(f"{location}/_work").iterdir()]


def test_one_question_for_all_stages_and_what_ended_is_requeued(
    chain: Chain, batch: BatchPlugin, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        take(chain, "first", f"a{number}", f"{number}.0")
        take(chain, "second", f"b{number}", f"{number}.0")
    batch.say({"1.0": True, "2.0": False})
    assert chain.phaseline("sweep") == 0
    assert batch.asked == [["0.0", "1.0", "2.0", "3.0", "4.0"]]
    said, trouble = capsys.readouterr()
    assert [line for line in said.splitlines() if "requeued" in line] == [
        "first: 10 opened: 1 requeued",
        f"  requeued: {chain.root.path}/IN/a1: lost: its job 1.0 on node1 has ended",
        "second: 10 opened: 1 requeued",
        f"  requeued: {chain.root.path}/MID/b1: lost: its job 1.0 on node1 has ended",
    ]
    assert trouble == ""


def test_away_is_said_and_the_sweep_goes_on(
    chain: Chain, batch: BatchPlugin, capsys: pytest.CaptureFixture[str]
) -> None:
    take(chain, "first", "ds1", "1.0")
    batch.say({"1.0": True}, away="Unable to contact slurm controller")
    assert chain.phaseline("sweep", "first") == 0
    said, trouble = capsys.readouterr()
    assert "nothing to do" in said
    assert trouble == (
        "phaseline sweep: the batch system could not be asked about 1 job that holds claims, so leases alone decide: "
        "Unable to contact slurm controller\n"
    )


def test_a_stage_that_cannot_be_looked_at_keeps_no_other_waiting(
    chain: Chain, batch: BatchPlugin, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    take(chain, "second", "ds1", "1.0")
    batch.say({"1.0": True})
    at = replace(context.opened(Namespace(root=chain.root.path, stages=str(chain.stages))), fs=chain.fs)
    chain.fs.fail("listdir", chain.passage("first").reads.work, errno.EIO)

    def opened(_: Namespace) -> Context:
        return at

    monkeypatch.setattr(context, "opened", opened)
    assert chain.phaseline("sweep") == 75
    said, trouble = capsys.readouterr()
    assert "second: 2 opened: 1 requeued" in said
    assert f"the storage failed (Input/output error): {chain.passage('first').reads.work}" in trouble


@pytest.mark.parametrize("how", ["absent", "refuses"])
def test_where_there_is_none_nobody_is_asked(chain: Chain, batch: BatchPlugin, how: str) -> None:
    take(chain, "first", "ds1", "1.0")
    batch.say({"1.0": True}, absent=how == "absent", refuses="no licence" if how == "refuses" else "")
    assert chain.phaseline("sweep") == 0
    assert batch.asked == []
    assert in_flight(chain, "IN") == ["ds1"]


def test_claims_of_no_job_are_not_asked_about(chain: Chain, batch: BatchPlugin) -> None:
    take(chain, "first", "ds1", "-")
    assert chain.phaseline("sweep") == 0
    assert batch.asked == []


def test_a_resident_sweeper_asks_once_in_each_pass(chain: Chain, batch: BatchPlugin) -> None:
    take(chain, "first", "ds1", "1.0")
    take(chain, "second", "ds2", "2.0")
    batch.say({}, away="it is being updated")
    words = [sys.executable, "-m", "stages.engine", "--root", chain.root.path, "--stages", str(chain.stages)]
    environment = {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}{os.pathsep}{CHECKOUT}"}
    command = [*words, "sweep", "--forever", "--every-seconds", "0.05"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as sweeper:
        wait_until(lambda: len(batch.asked) >= 2, 30, lambda: "nobody was asked")
        batch.say({"1.0": True, "2.0": False})
        wait_until(lambda: not in_flight(chain, "IN"), 30, lambda: "nothing was requeued")
        sweeper.send_signal(signal.SIGTERM)
        _, said = sweeper.communicate(timeout=30)
    assert sweeper.returncode == 0
    assert batch.asked[0] == ["1.0", "2.0"]
    assert "leases alone decide: it is being updated" in said
    assert in_flight(chain, "MID") == ["ds2"]
