"""Are SLURM's tools run without a shell and with a time limit, and is a controller that is away left in peace?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from infra.slurm.answers import Kind
from infra.slurm.pace import Pace
from infra.slurm.tools import QUIET_SECONDS_MAX, TRIES, Tools
from infra.slurm.transport import SubmissionRefusedError, TransportUnavailableError

AWAY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


@dataclass(kw_only=True)
class Desk:
    """A tool that fails as the test says, and a clock that only pauses move; each call of the tool takes `takes`."""

    top: Path
    now: float = 1000.0
    takes: float = 0.0
    pauses: list[float] = field(default_factory=list[float])

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        self.now += self.takes
        return self.now

    def tool(self, code: int, text: str = "", *, body: str = "") -> None:
        path = self.top / "squeue"
        path.write_text(
            f'#!/bin/sh\necho "$@" >>"{self.top}/calls"\n{body}\n'
            f'[ {code} = 0 ] || exec >&2\necho "{text}"\nexit {code}\n'
        )
        path.chmod(0o755)

    def tools(self, **environment: str) -> Tools:
        return Tools(
            environment={"PATH": f"{self.top}:/usr/bin:/bin", **environment},
            monotonic=self.monotonic,
            pause=self.pause,
            jitter=lambda: 0.5,
        )

    @property
    def calls(self) -> int:
        path = self.top / "calls"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(top=tmp_path)


def fails(ask: Callable[[], object]) -> str:
    with pytest.raises(TransportUnavailableError) as caught:
        ask()
    return str(caught.value)


def test_no_shell_reads_an_argument(desk: Desk) -> None:
    desk.tool(0, body='printf "%s\\n" "$@"')
    assert desk.tools().ask("squeue", "$(touch pwned)", "a b", "'").text.splitlines()[:3] == [
        "$(touch pwned)",
        "a b",
        "'",
    ]


def test_what_is_away_is_asked_again_after_growing_pauses(desk: Desk) -> None:
    desk.tool(1, AWAY)
    assert fails(lambda: desk.tools().ask("squeue")) == "squeue: Unable to contact slurm controller (connect failure)"
    assert (desk.calls, desk.pauses) == (TRIES, [0.5, 1.0])


def test_a_tool_that_was_patient_itself_is_not_asked_again_at_once(desk: Desk) -> None:
    desk.tool(1, AWAY)
    desk.takes = 9.0
    fails(lambda: desk.tools().ask("squeue"))
    assert desk.calls == 1


def test_a_controller_that_stays_away_is_asked_ever_more_rarely(desk: Desk) -> None:
    desk.tool(1, AWAY)
    tools = desk.tools()
    asked: list[float] = []
    begun = desk.now
    while desk.now < begun + 3600:
        before = desk.calls
        fails(lambda: tools.ask("squeue"))
        if desk.calls > before:
            asked.append(desk.now)
        desk.now += 2.0
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps[:2] == [2.0, 2.0]
    assert gaps[3:8] == sorted(gaps[3:8])
    assert QUIET_SECONDS_MAX * 0.75 <= gaps[-1] <= QUIET_SECONDS_MAX
    assert len(asked) < 100
    assert "left alone" in fails(lambda: tools.ask("squeue"))
    desk.tool(0)
    desk.now += QUIET_SECONDS_MAX
    tools.ask("squeue")
    tools.ask("squeue")


def test_an_answer_that_says_no_is_an_answer(desk: Desk) -> None:
    tools = desk.tools()
    for text, kind in [
        ("slurm_load_jobs error: Invalid job id specified", Kind.UNKNOWN_JOB),
        ("Slurm accounting storage is disabled", Kind.NO_ACCOUNTING),
    ]:
        desk.tool(1, text)
        verdict = tools.ask("squeue").verdict
        assert verdict is not None
        assert verdict.kind is kind
    assert desk.pauses == []


def test_a_limit_that_passes_by_is_no_reason_to_leave_slurm_alone(desk: Desk) -> None:
    desk.tool(1, "sbatch: error: QOSMaxSubmitJobPerUserLimit")
    tools = desk.tools()
    for _ in range(5):
        assert "other jobs have to end first" in fails(lambda: tools.hand_in("squeue"))
    assert desk.calls == 5


def test_words_that_nobody_knows_refuse_a_job_and_answer_no_question(desk: Desk) -> None:
    """A site's submission plugin says what it likes."""
    desk.tool(1, "sbatch: error: You must name a project")
    with pytest.raises(SubmissionRefusedError, match="SLURM refuses the job: You must name a project"):
        desk.tools().hand_in("squeue")
    assert fails(lambda: desk.tools().ask("squeue")) == "squeue: You must name a project"
    assert desk.pauses == []


def test_a_tool_that_hangs_or_is_not_there_is_no_answer(desk: Desk) -> None:
    desk.tool(0, body="exec sleep 60")
    tools = desk.tools()
    tools.call_seconds = 0.1
    assert fails(lambda: tools.hand_in("squeue")) == "squeue: no answer within 0.1 s"
    assert "No such file" in fails(lambda: desk.tools().hand_in("no-such-tool"))
    assert desk.tools().has("squeue")
    assert not desk.tools().has("no-such-tool")


def test_a_tool_gets_where_slurm_is_and_nothing_else_of_the_workers(desk: Desk) -> None:
    desk.tool(0, body="env")
    worker = {"SLURM_CONF": "/c", "SBATCH_PARTITION": "x", "SLURM_JOB_ID": "1", "PREFECT_API_KEY": "s", "LC_ALL": "C"}
    said = desk.tools(**worker).ask("squeue").text
    assert "SLURM_CONF=/c" in said
    assert "LC_ALL=C" in said
    for name in ("SBATCH_PARTITION", "SLURM_JOB_ID", "PREFECT_API_KEY"):
        assert name not in said


def test_jobs_are_handed_in_a_few_at_once_then_slowly(desk: Desk) -> None:
    pace = Pace(burst=3, per_second=2, monotonic=desk.monotonic, pause=desk.pause)
    for _ in range(5):
        pace.wait()
    assert desk.pauses == [0.5, 0.5]
    desk.now += 60
    for _ in range(4):
        pace.wait()
    assert desk.pauses == [0.5, 0.5, 0.5]
