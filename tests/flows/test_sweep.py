"""Does the flow do what `phaseline sweep` does, tell what it did, and harm nothing when it is killed?"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from prefect.client.schemas.objects import State

from flows import facts
from flows.sweep import sweep
from stages.engine.work.outcome import OutcomeKind
from tests.fakes import FakeWork, answer
from tests.flows.scenery import Records, broken, half_way
from tests.plugins import BatchPlugin
from tests.unit.chain import Chain
from tests.unit.test_batch import take
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
SLEEPER = """
reads = "IN"
writes = "MID"
[work]
command = ["sleep", "60"]
[output]
durability = "none"
"""


pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """A root with two stages that the environment names."""
    found = Chain(tmp_path)
    monkeypatch.setenv("PHASELINE_ROOT", found.root.path)
    monkeypatch.setenv("PHASELINE_STAGES", str(found.stages))
    return found


@pytest.fixture
def records(api_url: str) -> Records:
    return Records(api_url)


def swept(stages: list[str] | None = None, *, full: bool = False) -> tuple[State[object], UUID]:
    """One sweep; its final state, and which run it was."""
    state = cast("State[object]", sweep(stages, full=full, return_state=True))
    assert state.state_details.flow_run_id is not None
    return state, state.state_details.flow_run_id


def test_it_mends_and_says_what_it_did(chain: Chain, records: Records) -> None:
    half_way(chain)
    state, run = swept()
    assert (state.type, state.message) == (
        "COMPLETED",
        (
            "2 quarantined in first, 1 requeued in first, 1 given another try in first, "
            "1 published to the end in first, 1 cleaned up after in first"
        ),
    )
    assert {(row["dataset"], row["what"]) for row in records.table("sweep", run)} == {
        ("asked", "given another try"),
        ("committed", "published to the end"),
        ("lost", "requeued"),
        ("refused", "quarantined"),
        ("rejected", "quarantined"),
        ("untidy", "cleaned up after"),
        ("", "nothing to do"),
    }
    rejected = next(row for row in records.table("sweep", run) if row["dataset"] == "rejected")
    assert (rejected["why"], rejected["type next"]) == (
        "empty",
        "phaseline explain rejected; mend the cause, then: phaseline retry first rejected",
    )
    assert broken(chain, at_rest=False) == []
    chain.poll("first")
    chain.poll("second")
    assert broken(chain, at_rest=True) == []


def test_people_are_told_once(chain: Chain, records: Records) -> None:
    """Also of what a poller has put into quarantine."""
    half_way(chain)
    _, run = swept()
    told = records.events(run, 2)
    assert {event: one["datasets"] for event, one in told.items()} == {
        "datasets.quarantined": ["refused", "rejected"],
        "datasets.requeued": ["asked", "lost"],
    }
    assert {one["prefect.resource.id"] for one in told.values()} == {"phaseline.stage.first"}
    state, again = swept()
    assert str(state.message).startswith("nothing to do")
    assert str(state.message).endswith("; 2 in quarantine since before")
    chain.put("later")
    chain.poll("first", FakeWork(later=answer(OutcomeKind.REJECT)))
    _, third = swept()
    assert records.events(third, 1)["datasets.quarantined"]["datasets"] == ["later"]
    assert records.events(again, 0) == {}


def test_its_mapped_runs_can_be_read_and_do_not_grow_with_the_backlog(chain: Chain, records: Records) -> None:
    for number in range(10):
        chain.path(f"IN/ds{number}").mkdir()
    _, few = swept()
    for number in range(10, 300):
        chain.path(f"IN/ds{number}").mkdir()
    _, many = swept()
    expected = ["discover first", "discover second", *(f"mend first {number}/4" for number in (1, 2, 3, 4))]
    assert records.runs(many) == records.runs(few) == expected


def test_stages_can_be_named(chain: Chain) -> None:
    state, _ = swept(stages=["second"], full=True)
    assert state.message == "nothing to do: 0 looked at in 1 stage"
    state, _ = swept(stages=["secnd"])
    assert state.type == "FAILED"
    assert "did you mean 'second'?" in str(state.message)


def test_no_root_is_said_in_the_state(chain: Chain) -> None:
    chain.path("_phaseline").unlink()
    state, _ = swept()
    assert state.type == "FAILED"
    assert "phaseline init" in str(state.message)


def test_a_storage_that_fails_fails_the_run_and_no_other_stage(
    chain: Chain, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_way(chain)
    chain.fs.fail("listdir", chain.passage("second").reads.work, errno.EIO)
    chain.fs.fail("opendir", "IN/fresh", errno.EIO)
    at = replace(facts.opened(), fs=chain.fs)
    monkeypatch.setattr(facts, "opened", lambda: at)
    state, run = swept()
    assert state.type == "FAILED"
    assert str(state.message).startswith("second was not swept: the storage failed")
    assert "1 could not be read in first" in str(state.message)
    first, *_ = records.table("sweep", run)
    assert (first["stage"], first["what"]) == ("second", "not swept")
    assert chain.ls("MID") == ["committed"]


def test_slurm_is_asked_once_about_the_jobs_of_all_stages(
    chain: Chain, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = BatchPlugin(tmp_path / "plugin", monkeypatch)
    for number in range(30):
        take(chain, "first", f"a{number}", f"{number}.0")
        take(chain, "second", f"b{number}", f"{number}.0")
    batch.say({"7.0": True, "8.0": False})
    state, run = swept()
    assert state.message == "1 requeued in first, 1 requeued in second"
    assert {row["dataset"] for row in records.table("sweep", run)} == {"a7", "b7"}
    assert [len(jobs) for jobs in batch.asked] == [30]


def test_slurm_away_is_said_in_the_log_and_changes_nothing(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    batch = BatchPlugin(tmp_path / "plugin", monkeypatch)
    take(chain, "first", "ds1", "7.0")
    batch.say({"7.0": True}, away="Unable to contact slurm controller")
    state, _ = swept()
    assert (state.type, state.message) == ("COMPLETED", "nothing to do: 2 looked at in 2 stages")
    assert "the batch system could not be asked about 1 job that holds claims" in caplog.text


def start_mortal(chain: Chain, api_url: str, changes: int) -> subprocess.Popen[str]:
    """A sweep in a process of its own that is killed after so many changes."""
    root = {"PHASELINE_ROOT": chain.root.path, "PHASELINE_STAGES": str(chain.stages), "PREFECT_API_URL": api_url}
    words = [sys.executable, "-m", "tests.flows.mortal", str(changes)]
    return subprocess.Popen(words, cwd=CHECKOUT, env={**os.environ, **root}, stderr=subprocess.PIPE, text=True)


@pytest.mark.timeout(120)
def test_killed_anywhere_it_harms_nothing(tmp_path: Path, api_url: str) -> None:
    """Between its first change and the last, which is what it has seen; the next sweep goes on."""
    (tmp_path / "roots").mkdir()
    chains = {changes: Chain(tmp_path / "roots" / str(changes)) for changes in (6, 9, 16, 21)}
    for chain in chains.values():
        half_way(chain)
    killed = {changes: start_mortal(chain, api_url, changes) for changes, chain in chains.items()}
    for changes, process in killed.items():
        _, said = process.communicate(timeout=100)
        assert process.returncode == -signal.SIGKILL, said
        assert broken(chains[changes], at_rest=False) == []
    for chain in chains.values():
        chain.sweep("first")
        chain.poll("first")
        chain.poll("second")
        assert broken(chain, at_rest=True) == []


def test_a_dataset_of_a_killed_poller_goes_on(chain: Chain, records: Records) -> None:
    (chain.stages / "first" / "stage.toml").write_text(SLEEPER)
    chain.put("ds1")
    words = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "stages.engine", "poll", "first"]
    with subprocess.Popen(words, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as poller:
        wait_until(lambda: any(chain.path("IN/_work").glob("ds1.1.*/out")), 30, lambda: "it claims nothing")
        poller.kill()
    state, run = swept()
    assert state.message == "1 requeued in first"
    (row, *_) = records.table("sweep", run)
    assert (row["dataset"], row["what"]) == ("ds1", "requeued")
    assert "is gone" in row["why"]
    chain.write_stage("first", "IN", "MID")
    assert chain.phaseline("poll", "first", "--until-idle") == 0
    assert chain.ls("MID") == ["ds1"]
