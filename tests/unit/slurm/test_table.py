"""docs/worker.md and the worker say the same: the table of states, before and after a restart; deaths; transports."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import pytest

from infra.slurm.course import Whereabouts, next_proposal
from infra.slurm.runs import RunState
from infra.slurm.states import JobState, Phase
from infra.slurm.transport import JobReport
from infra.slurm.transports import NAMES
from tests.unit.slurm.scene import Crew, Scene, dead, living

PAGE = (Path(__file__).parents[3] / "docs" / "worker.md").read_text(encoding="utf-8")
COLUMNS = (RunState.PENDING, RunState.RUNNING, RunState.CANCELLING)
# What stands beside the states in the first column, and what the transport reports then.
ENDS: dict[str, Callable[[JobState], JobReport]] = {
    "waits": lambda state: JobReport(state=state, reason="Resources"),
    "runs": lambda state: JobReport(state=state, node="n1"),
    "": lambda state: JobReport(state=state, node="n1", exit_code=0),
    ", exit code": lambda state: JobReport(state=state, node="n1", exit_code=1),
    ", signal": lambda state: JobReport(state=state, node="n1", signal=9),
    " before it began": lambda state: JobReport(state=state),
    "over": lambda state: JobReport(state=state, node="n1"),
}


def rows(header: str) -> list[list[str]]:
    """Return the cells below a table's header."""
    table = next(
        block for block in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE) if block.startswith(f"| {header} |")
    )
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def cases() -> list[tuple[JobState, str, RunState, str]]:
    """Return each state of a job by the words beside it, each state of a run, and what the page says to it."""
    found: list[tuple[JobState, str, RunState, str]] = []
    for answer, *cells in rows("answer"):
        words = re.sub(r"`[A-Z_]+` ?", "", answer).rstrip(": ").strip(" ") if ":" in answer else answer.split("`")[-1]
        for state in re.findall(r"`([A-Z_]+)`", answer):
            found += [(JobState(state), words, column, cell) for column, cell in zip(COLUMNS, cells, strict=True)]
    return found


def expected(cell: str) -> list[str]:
    if cell == "-":
        return []
    return ["Queued: Resources"] if "*reason*" in cell else cell.split(", ")


async def reach(scene: Scene, crew: Crew, state: RunState) -> None:
    """Hand a run in and bring it into this state; a job that a run waits for has not begun."""
    await scene.hand_in(crew, "r")
    if state is not RunState.PENDING:
        scene.transport.begin("fake:1")
        await scene.pass_time(crew)
    if state is RunState.CANCELLING:
        scene.runs.set_state("r", RunState.CANCELLING)
    scene.runs.proposals.clear()


async def told(top: Path, report: JobReport | None, state: RunState, *, restarted: bool, turns: int) -> Sequence[str]:
    """Return the states that the run is told, by the worker that handed it in or by the one after it."""
    scene = Scene(top=top)
    first = scene.crew(dead("w1"))
    await reach(scene, first, state)
    scene.transport.ends_when_cancelled = False
    if report is None:
        scene.transport.forget("fake:1")
    else:
        scene.transport.jobs["fake:1"].report = report
    await scene.pass_time(scene.crew(living("w1")) if restarted else first, turns=turns)
    return scene.runs.states("r")


@pytest.mark.parametrize("restarted", [False, True])
def test_the_page_says_what_the_worker_does(tmp_path: Path, restarted: bool) -> None:
    async def test() -> None:
        for number, (job_state, words, state, cell) in enumerate(cases()):
            report = ENDS[words](job_state)
            is_asked_to_end = state is RunState.CANCELLING and job_state.phase is Phase.WAITING
            if is_asked_to_end:
                continue  # the fake takes it out of the queue at once
            states = await told(tmp_path / str(number), report, state, restarted=restarted, turns=1)
            assert states == expected(cell), (job_state, words, state)

    anyio.run(test)


def test_every_state_stands_in_its_row() -> None:
    stand: dict[str, set[JobState]] = {"waits": set(), "runs": set()}
    for job_state, words, _, _ in cases():
        stand.setdefault(words if words in stand else "over", set()).add(job_state)
    assert stand == {
        "waits": {state for state in JobState if state.phase is Phase.WAITING},
        "runs": {state for state in JobState if state.phase is Phase.RUNNING},
        "over": {state for state in JobState if state.phase is Phase.OVER},
    }


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.CANCELLING, RunState.PENDING])
def test_what_is_not_known(tmp_path: Path, state: RunState) -> None:
    async def test() -> None:
        told_at = {
            row[0]: expected(row[1 + COLUMNS.index(state)]) for row in rows("answer") if row[0].startswith("not known")
        }
        assert await told(tmp_path / "a", None, state, restarted=False, turns=15) == told_at["not known"]
        assert (
            await told(tmp_path / "b", None, state, restarted=False, turns=17) == told_at["not known, 3 looks and 30 s"]
        )

    anyio.run(test)


@pytest.mark.parametrize("state", COLUMNS)
def test_could_not_ask(tmp_path: Path, state: RunState) -> None:
    async def test() -> None:
        scene = Scene(top=tmp_path)
        crew = scene.crew(living("w1"))
        await reach(scene, crew, state)
        with scene.transport.away():
            await scene.pass_time(crew, turns=100)
        assert scene.runs.states("r") == []

    anyio.run(test)


def test_the_page_says_what_a_death_says() -> None:
    """Each row by its state: what the run's message holds, whatever SLURM adds."""
    where = Whereabouts(job="12:/d", log="/d/output")
    said: set[JobState] = set()
    for answer, words, advice in (row if len(row) == 3 else [*row, ""] for row in rows("SLURM says")):
        state = JobState(answer.split("`")[1])
        said.add(state)
        killed = 9 if state is JobState.FAILED else None
        report = JobReport(state=state, node="n1", signal=killed, by="alice" if "alice" in words else "")
        proposal = next_proposal(RunState.RUNNING, "Running", report, lost=False, where=where)
        assert proposal is not None
        assert proposal.state is RunState.CRASHED
        assert words.partition(" (")[0] in proposal.message
        assert advice.strip("| ") in proposal.message
        assert proposal.message.endswith("Its log is /d/output")
    assert said == {state for state in JobState if state.phase is Phase.OVER} - {JobState.COMPLETED}


def test_the_page_names_the_transports() -> None:
    assert [row[0].strip("`") for row in rows("transport")] == ["auto", "sbatch", "slurmrestd", "local"]
    assert {row[0].strip("`") for row in rows("transport")} == set(NAMES)
