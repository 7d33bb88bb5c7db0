"""What does a sweep learn of the jobs that hold claims, and what does that cost SLURM?"""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
import respx

from infra.site import jobs
from infra.slurm.inquiry import judge_ends, taken_away
from infra.slurm.listing import QUEUE_WIDTHS, Listed
from infra.slurm.rest_jobs import read_jobs
from infra.slurm.states import JobState
from infra.slurm.transport import TransportUnavailableError
from tests.contract.rest_daemon import TOKEN, URL, FakeDaemon
from tests.unit.slurm.recordings import VERSIONS, recorded

QUEUE = ((7, "PREEMPTED", 0), (8, "COMPLETED", 0), (9, "RUNNING", 2), (10, "NODE_FAIL", 0))
CLAIMS = ["7.0", "8.0", "9.0", "9.1", "9.2", "10.0", "11.0"]


@pytest.mark.parametrize("state", JobState)
def test_only_what_the_cluster_did_for_reasons_of_its_own_is_named(state: JobState) -> None:
    """A job that was cancelled may have used too much memory, where the kernel does not keep it."""
    found = taken_away({"7.0": (7, 0)}, [Listed(number=7, tag="", state=state, restarts=0)])
    assert found == ({"7.0": "preempted"} if state is JobState.PREEMPTED else {})


def install(top: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    for program in ("squeue", "sbatch"):
        (top / program).write_text(f"#!/bin/sh\necho {program} >>'{top}/calls'\n{body}\n")
        (top / program).chmod(0o755)
    (top / "slurm.conf").touch()
    monkeypatch.setenv("PATH", f"{top}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_CONF", str(top / "slurm.conf"))
    return top / "calls"


def test_one_question_says_who_ended_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(number, state, restarts, "n1", "None", "a.1") for number, state, restarts in QUEUE]
    lines = ["".join(f"{word!s:{width}}" for word, width in zip(row, QUEUE_WIDTHS, strict=True)) for row in rows]
    (tmp_path / "listing").write_text("\n".join(lines) + "\n")
    calls = install(tmp_path, monkeypatch, f"cat '{tmp_path}/listing'")
    ask = jobs.connect("/data")
    assert ask is not None
    assert ask(CLAIMS) == {"7.0": "preempted", "8.0": True, "9.0": "requeued", "9.1": "requeued", "9.2": False}
    assert calls.read_text() == "squeue\n"


def test_where_slurm_is_not_set_up_there_is_nobody_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PHASELINE_SLURMRESTD_URL", raising=False)
    assert jobs.connect("/data") is None


def test_a_resident_sweep_leaves_a_controller_that_is_away_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1"
    calls = install(tmp_path, monkeypatch, away)
    ask = jobs.connect("/data")
    assert ask is not None
    for _ in range(20):
        with pytest.raises(Exception, match="Unable to contact slurm controller"):
            ask(["7.0"])
    assert len(calls.read_text().splitlines()) < 10


class Daemon(FakeDaemon):
    """Its queue is one that a real daemon had."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        found = super().answer(request)
        if request.url.path == f"/slurm/{self.version}/jobs" and found.status_code == 200:
            return httpx.Response(200, content=recorded(self.version, "jobs_list").content())
        return found


@pytest.mark.parametrize("version", VERSIONS)
def test_without_slurms_commands_slurmrestd_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """On real recorded queues: whatever stands in them is told as `squeue` would have told it."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("PHASELINE_SLURMRESTD_URL", URL)
    monkeypatch.setenv("PHASELINE_SLURMRESTD_TOKEN_FILE", str(token))
    queue = recorded(version, "jobs_list").body
    said = {one.number: one for one in read_jobs(queue, numbers=frozenset(range(10_000)), tags=frozenset())}
    daemon = Daemon(version)
    with respx.mock(assert_all_called=False) as router:
        router.route(url__regex=re.escape(URL)).mock(side_effect=daemon.answer)
        ask = jobs.connect("/data")
        assert ask is not None
        found = ask([*(f"{number}.0" for number in said), "9999.0", "-"])
        assert ask(["-"]) == {}
        daemon.is_away = True
        with pytest.raises(TransportUnavailableError):
            ask(["7.0"])
    assert sum(path.endswith("/jobs") for path in daemon.requests) == 1
    assert found == judge_ends({f"{number}.0": (number, 0) for number in said}, list(said.values()))
    assert found
