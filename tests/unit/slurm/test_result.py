"""Is a job's result read as it was written, and nothing else taken for one?"""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.slurm.result import Result, UnreadableResultError, read_result
from infra.slurm.states import JobState
from infra.slurm.transport import JobReport

LINE = (
    '{"state": "TIMEOUT", "reason": "time limit of 2 s", "exit_code": null, "signal": 9, "restarts": 1,'
    ' "started": 17.5, "ended": 19, "node": "n1"}\n'
)


def test_a_result_is_read(tmp_path: Path) -> None:
    (tmp_path / "result").write_text(LINE)
    result = read_result(str(tmp_path))
    assert result == Result(
        state=JobState.TIMEOUT,
        reason="time limit of 2 s",
        exit_code=None,
        signal=9,
        restarts=1,
        started=17.5,
        ended=19.0,
        node="n1",
    )
    assert result is not None
    assert result.report == JobReport(
        state=JobState.TIMEOUT, reason="time limit of 2 s", signal=9, node="n1", restarts=1
    )


def test_no_result_is_none(tmp_path: Path) -> None:
    assert read_result(str(tmp_path)) is None
    assert read_result(str(tmp_path / "missing"), "result.7.0") is None


@pytest.mark.parametrize(
    "damage", ["", "null", "[]", "{}", LINE.replace("TIMEOUT", "FROZEN"), LINE.replace("9,", '"x",')]
)
def test_damage_is_no_result(tmp_path: Path, damage: str) -> None:
    (tmp_path / "result").write_text(damage)
    with pytest.raises(UnreadableResultError, match="result is no result of a job"):
        read_result(str(tmp_path))
