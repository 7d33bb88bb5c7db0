"""Which jobs that hold claims have ended, for certain?"""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.slurm.inquiry import ended_jobs, judge_claims
from infra.slurm.listing import QUEUE_WIDTHS, Listed
from infra.slurm.states import JobState, Phase
from infra.slurm.tools import Tools
from infra.slurm.transport import TransportUnavailableError

LOST_SIGHT = {JobState.NODE_FAIL, JobState.BOOT_FAIL, JobState.REVOKED}


def job(state: str, *, restarts: int = 0) -> Listed:
    return Listed(number=7, tag="", state=state, restarts=restarts)


@pytest.mark.parametrize("state", JobState)
def test_a_job_has_ended_when_slurm_says_so(state: JobState) -> None:
    """COMPLETING is not the end; a node that is out of sight may still work."""
    expected = {} if state in LOST_SIGHT else {"7.0": state.phase is Phase.OVER}
    assert judge_claims({"7.0": (7, 0)}, [job(state)]) == expected


def test_an_earlier_start_of_a_requeued_job_has_ended() -> None:
    starts = {"7.0": (7, 0), "7.1": (7, 1), "7.2": (7, 2)}
    assert judge_claims(starts, [job("RUNNING", restarts=1)]) == {"7.0": True, "7.1": False}


def test_a_start_that_is_being_put_back_may_not_be_over_yet() -> None:
    """SLURM counts the new start at once, and then ends the processes of the old one."""
    starts = {"7.0": (7, 0), "7.1": (7, 1), "7.2": (7, 2)}
    assert judge_claims(starts, [job("COMPLETING", restarts=2)]) == {"7.0": True, "7.2": False}


def test_what_slurm_does_not_know_or_say_is_open() -> None:
    assert judge_claims({"8.0": (8, 0)}, [job("RUNNING")]) == {}
    assert judge_claims({"7.0": (7, 0)}, [job("FROZEN")]) == {}


def squeue(top: Path, body: str) -> Tools:
    path = top / "squeue"
    path.write_text(f"#!/bin/sh\necho $* >>'{top}/calls'\n{body}\n")
    path.chmod(0o755)
    return Tools(environment={"PATH": f"{top}:/usr/bin:/bin"}, pause=lambda seconds: None)


def test_all_are_asked_for_in_one_question(tmp_path: Path) -> None:
    words = (7, "COMPLETED", 0, "n1", "None", "a.1")
    line = "".join(f"{word!s:{width}}" for word, width in zip(words, QUEUE_WIDTHS, strict=True))
    tools = squeue(tmp_path, f"echo '{line}'")
    assert ended_jobs(["7.0", "9.1", "-", "", "x.y", "9.0"], tools) == {"7.0": True}
    assert (tmp_path / "calls").read_text().startswith("-h -t all -j 7,9 -O JobID")
    assert ended_jobs(["-"], tools) == {}
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


def test_slurm_that_knows_none_of_them_has_answered(tmp_path: Path) -> None:
    unknown = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
    assert ended_jobs(["7.0"], squeue(tmp_path, unknown)) == {}


def test_could_not_ask_is_no_answer(tmp_path: Path) -> None:
    away = "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1"
    with pytest.raises(TransportUnavailableError):
        ended_jobs(["7.0"], squeue(tmp_path, away))
