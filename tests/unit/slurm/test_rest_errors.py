"""Is every refusal that three versions of slurmrestd have really given taken for what it is?"""

from __future__ import annotations

import pytest

from infra.slurm.rest_errors import Meaning, judge, warnings_of
from tests.unit.slurm.recordings import VERSIONS, recorded

FINE, REFUSED, TOKEN, LOST, UNKNOWN, NO_PATH = (
    Meaning.FINE,
    Meaning.REFUSED,
    Meaning.TOKEN,
    Meaning.LOST,
    Meaning.UNKNOWN,
    Meaning.NO_PATH,
)

# By recording: what v0.0.38, v0.0.42 and v0.0.45 mean.
MEANT = {
    "bad_token_job": (LOST, TOKEN, TOKEN),
    "bad_token_submit": (LOST, TOKEN, TOKEN),
    "bearer_header_job": (TOKEN, FINE, FINE),
    "cancel_again": (FINE, UNKNOWN, UNKNOWN),
    "cancel_held": (FINE, FINE, FINE),
    "cancel_pending": (FINE, FINE, FINE),
    "cancel_running": (FINE, FINE, FINE),
    "cancel_unknown": (UNKNOWN, UNKNOWN, UNKNOWN),
    "expired_token_submit": (LOST, TOKEN, TOKEN),
    "garbage_token_submit": (LOST, TOKEN, TOKEN),
    "job_RUNNING": (FINE, FINE, FINE),
    "job_unknown": (UNKNOWN, UNKNOWN, UNKNOWN),
    "jobs_list": (FINE, FINE, FINE),
    "no_token": (TOKEN, TOKEN, TOKEN),
    "ping": (FINE, FINE, FINE),
    "submit_bad_account": (FINE, FINE, FINE),
    "submit_bad_partition": (REFUSED, REFUSED, REFUSED),
    "submit_empty_body": (REFUSED, REFUSED, REFUSED),
    "submit_hold": (FINE, FINE, FINE),
    "submit_invalid_json": (REFUSED, REFUSED, REFUSED),
    "submit_no_cwd": (FINE, REFUSED, REFUSED),
    "submit_no_script": (REFUSED, REFUSED, REFUSED),
    "submit_ok": (FINE, FINE, FINE),
    "submit_timelimit_over_partition": (FINE, FINE, FINE),
    "submit_too_many_nodes": (FINE, REFUSED, FINE),
    "submit_unknown_field": (REFUSED, FINE, FINE),
    "unknown_path": (NO_PATH, NO_PATH, NO_PATH),
    "unknown_version": (NO_PATH, NO_PATH, NO_PATH),
    "wrong_user": (LOST, TOKEN, TOKEN),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MEANT)
def test_a_recorded_answer_is_judged(version: str, name: str) -> None:
    said = recorded(version, name)
    assert judge(said.status, said.body).meaning is MEANT[name][VERSIONS.index(version)]


@pytest.mark.parametrize("version", VERSIONS)
def test_slurms_own_words_are_passed_on(version: str) -> None:
    said = recorded(version, "submit_bad_partition")
    assert "Invalid partition name specified" in judge(said.status, said.body).words


@pytest.mark.parametrize(
    ("status", "answer", "meaning"),
    [
        (500, {"errors": [{"error_number": 1800, "error": "Unable to contact slurm controller"}]}, Meaning.TRANSIENT),
        (500, {"errors": [{"error_number": 11, "error": "Resource temporarily unavailable"}]}, Meaning.LATER),
        (
            500,
            {"errors": [{"error_number": 2027, "error": "controller in standby mode"}]},
            Meaning.TRANSIENT,
        ),
        (500, {"errors": [{"error_number": 2050, "error": "Job violates accounting/QOS policy"}]}, Meaning.LATER),
        (500, {"errors": [{"error_number": 2999, "error": "Something new"}]}, REFUSED),
        (500, {"errors": [{"error_number": 5, "error": "Something new"}]}, Meaning.TRANSIENT),
        (500, {"errors": [{"error_number": 2066, "error": "Invalid qos specification"}]}, REFUSED),
        (200, {"status": [{"error": {"code": 2002, "message": "Access/permission denied"}}]}, REFUSED),
        (200, {"status": [{"error": {"code": 0, "message": ""}}], "errors": []}, FINE),
        (400, {"errors": [{"error": "Invalid SIGNAL", "error_code": -1}, {"error_code": 9001}]}, REFUSED),
        (502, "Bad Gateway", Meaning.TRANSIENT),
        (429, "slow down", Meaning.TRANSIENT),
        (403, "", TOKEN),
        (500, {"errors": []}, Meaning.TRANSIENT),
        (500, [], Meaning.TRANSIENT),
        (200, None, FINE),
    ],
)
def test_other_answers_are_judged(status: int, answer: object, meaning: Meaning) -> None:
    assert judge(status, answer).meaning is meaning


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_what_was_ignored_is_said(version: str) -> None:
    warnings = warnings_of(recorded(version, "submit_unknown_field").body)
    assert any("Ignoring unknown field" in words for words in warnings)
    assert warnings_of(recorded(version, "submit_ok").body) == []
    assert warnings_of("text") == []
