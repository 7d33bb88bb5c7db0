"""Does every state of SLURM's mean one thing for a run, and does a word that it has never said raise?"""

from __future__ import annotations

import pytest

from infra.slurm.states import JobState, Phase, UnknownStateError, parse_state

PHASES = {
    Phase.WAITING: "CONFIGURING EXPEDITING LAUNCH_FAILED PENDING POWER_UP_NODE RECONFIG_FAIL REQUEUED REQUEUE_FED"
    " REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT",
    Phase.RUNNING: "COMPLETING RESIZING RUNNING SIGNALING STAGE_OUT STEPMGR STOPPED SUSPENDED UPDATE_DB",
    Phase.OVER: "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED TIMEOUT",
}

# `squeue`'s manual, JOB STATE CODES, by their short names BF to TO.
SQUEUE_WORDS = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "CONFIGURING",
    "COMPLETING",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PENDING",
    "PREEMPTED",
    "RUNNING",
    "RESV_DEL_HOLD",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "REQUEUED",
    "RESIZING",
    "REVOKED",
    "SIGNALING",
    "SPECIAL_EXIT",
    "STAGE_OUT",
    "STOPPED",
    "SUSPENDED",
    "TIMEOUT",
]

# From answers of three versions of SLURM: `squeue -o %i|%T|%r` (22.05), `sacct`, the REST API v0.0.42 and v0.0.45.
ANSWERS = {
    "CANCELLED": JobState.CANCELLED,
    "CANCELLED by 1000": JobState.CANCELLED,
    "CANCELLED+": JobState.CANCELLED,
    "COMPLETED": JobState.COMPLETED,
    "FAILED": JobState.FAILED,
    "NODE_FAIL": JobState.NODE_FAIL,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "PENDING": JobState.PENDING,
    "RUNNING": JobState.RUNNING,
    "TIMEOUT": JobState.TIMEOUT,
}


def test_every_state_has_its_phase() -> None:
    said = {JobState(word): phase for phase, words in PHASES.items() for word in words.split()}
    assert {state: state.phase for state in JobState} == said


@pytest.mark.parametrize("word", SQUEUE_WORDS)
def test_every_word_of_squeue_is_known(word: str) -> None:
    assert parse_state(word).value == word


@pytest.mark.parametrize("word", ANSWERS)
def test_recorded_answers_are_read(word: str) -> None:
    assert parse_state(word) is ANSWERS[word]


@pytest.mark.parametrize("word", ["", " ", "running", "FROZEN", "COMPLETED,FAILED", "CANCELLEDby"])
def test_an_unknown_word_raises(word: str) -> None:
    with pytest.raises(UnknownStateError):
        parse_state(word)
