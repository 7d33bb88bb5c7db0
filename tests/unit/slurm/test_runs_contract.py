"""Whoever keeps the runs' states: the fake that other tests use, and Prefect's client against an API in respx."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import anyio
import pytest
import respx
from prefect.client.orchestration import PrefectClient
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from infra.slurm.runs import (
    LogLine,
    Place,
    Proposal,
    RunGoneError,
    Runs,
    RunsRefusedError,
    RunState,
    RunsUnavailableError,
)
from tests.fakes_runs import FakeRuns, Trouble
from tests.unit.slurm.fake_api import API, UNAVAILABLE, FakeApi

RUN = "6c2f8ef3-6b4e-4a1c-8c1e-0c2f8ef36b4e"
PLACE = Place(jobs_directory="/shared/_jobs", transport="local", log_lines_max=10)
RUNNING = Proposal(state=RunState.RUNNING, name="Running", message="on n1")
LINE = LogLine(run_id=RUN, at_us=1_800_000_000_123_456, level=30, text="beware")


@dataclass(kw_only=True)
class Desk:
    """`runs` is what the test talks to, `model` what stands behind it; `fail` lets the next call of a method fail."""

    runs: Runs
    model: FakeRuns
    fail: Callable[[str, str, bool], None]


@asynccontextmanager
async def fake_desk() -> AsyncGenerator[Desk]:
    model = FakeRuns(PLACE)

    def fail(method: str, how: str, after: bool) -> None:
        del how
        model.trouble(method, Trouble.LOST if after else Trouble.AWAY)

    yield Desk(runs=model, model=model, fail=fail)


@asynccontextmanager
async def real_desk() -> AsyncGenerator[Desk]:
    model = FakeRuns(PLACE)
    with (
        respx.mock(base_url=API, assert_all_called=False) as router,
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
    ):
        api = FakeApi(model, router)
        router.get("/csrf-token").respond(422, json={"detail": "CSRF protection is disabled."})
        async with PrefectClient(API) as client:
            yield Desk(
                runs=api.runs(client), model=model, fail=lambda method, how, after: api.fail(method, how, after=after)
            )


KINDS = {"fake": fake_desk, "prefect": real_desk}
both = pytest.mark.parametrize("kind", KINDS)


def at_desk(kind: str, test: Callable[[Desk], Awaitable[None]]) -> None:
    async def run() -> None:
        async with KINDS[kind]() as desk:
            await test(desk)

    anyio.run(run)


@both
def test_a_run_is_read_with_all_that_the_worker_needs(kind: str) -> None:
    async def test(desk: Desk) -> None:
        run = desk.model.add(RUN, RunState.RUNNING, run_count=2, lease=str(uuid4()), worker="w1")
        assert await desk.runs.read(RUN) == run
        assert list(await desk.runs.unfinished()) == [run]
        assert list(await desk.runs.to_cancel()) == []

    at_desk(kind, test)


@both
def test_all_unfinished_runs_are_listed_whatever_a_page_holds(kind: str) -> None:
    async def test(desk: Desk) -> None:
        for number in range(401):
            desk.model.add(f"00000000-0000-0000-0000-{number:012}", list(RunState)[number % 9])
        listed = {run.run_id for run in await desk.runs.unfinished()}
        unfinished = {RunState.PENDING, RunState.RUNNING, RunState.CANCELLING}
        assert listed == {run.run_id for run in desk.model.runs.values() if run.state in unfinished}

    at_desk(kind, test)


@both
def test_a_proposal_is_answered_with_what_the_api_holds(kind: str) -> None:
    async def test(desk: Desk) -> None:
        desk.model.add(RUN)
        run = await desk.runs.propose(RUN, RUNNING)
        assert (run.state, run.state_name) == (RunState.RUNNING, "Running")
        assert desk.model.proposals == [(RUN, RUNNING)]
        desk.model.set_state(RUN, RunState.CANCELLING)
        run = await desk.runs.propose(RUN, Proposal(state=RunState.COMPLETED, name="Completed", message="done"))
        assert run.state is RunState.CANCELLING

    at_desk(kind, test)


@both
def test_a_run_may_go_back_to_the_queue(kind: str) -> None:
    async def test(desk: Desk) -> None:
        desk.model.add(RUN)
        run = await desk.runs.propose(RUN, Proposal(state=RunState.SCHEDULED, name="Scheduled", message="again"))
        assert run.state is RunState.SCHEDULED

    at_desk(kind, test)


@both
def test_lines_arrive_as_they_were_sent_and_can_be_asked_for(kind: str) -> None:
    async def test(desk: Desk) -> None:
        desk.model.add(RUN)
        await desk.runs.send_logs([LINE])
        assert desk.model.logs == [LINE]
        assert await desk.runs.last_sent(RUN, LINE.at_us - 5, LINE.at_us + 5) == LINE.at_us
        assert await desk.runs.last_sent(RUN, LINE.at_us + 1, LINE.at_us + 5) is None

    at_desk(kind, test)


@both
def test_a_slot_is_kept_or_lost(kind: str) -> None:
    async def test(desk: Desk) -> None:
        lease = str(uuid4())
        desk.model.add(RUN, RunState.RUNNING, lease=lease)
        assert await desk.runs.renew(lease, 900)
        assert desk.model.renewed == [(lease, 900)]
        assert not await desk.runs.renew(str(uuid4()), 900)

    at_desk(kind, test)


@both
def test_workers_that_live_are_known(kind: str) -> None:
    async def test(desk: Desk) -> None:
        desk.model.workers = frozenset({"w1", "w2"})
        assert await desk.runs.living_workers() == {"w1", "w2"}

    at_desk(kind, test)


@both
def test_a_run_that_was_deleted_is_gone(kind: str) -> None:
    async def test(desk: Desk) -> None:
        for call in (desk.runs.read(RUN), desk.runs.propose(RUN, RUNNING), desk.runs.place(RUN)):
            with pytest.raises(RunGoneError):
                await call

    at_desk(kind, test)


@both
def test_what_is_refused_is_told_from_what_could_not_be_asked(kind: str) -> None:
    async def test(desk: Desk) -> None:
        desk.model.add(RUN)
        desk.model.trouble("send_logs", Trouble.REFUSED)
        with pytest.raises(RunsRefusedError):
            await desk.runs.send_logs([LINE])

    at_desk(kind, test)


CALLS: dict[str, Callable[[Runs], Awaitable[object]]] = {
    "to_cancel": lambda runs: runs.to_cancel(),
    "unfinished": lambda runs: runs.unfinished(),
    "read": lambda runs: runs.read(RUN),
    "propose": lambda runs: runs.propose(RUN, RUNNING),
    "send_logs": lambda runs: runs.send_logs([LINE]),
    "last_sent": lambda runs: runs.last_sent(RUN, 0, LINE.at_us),
    "renew": lambda runs: runs.renew(str(uuid4()), 900),
    "living_workers": lambda runs: runs.living_workers(),
}


@both
@pytest.mark.parametrize("how", UNAVAILABLE)
def test_no_failure_is_taken_for_an_answer(kind: str, how: str) -> None:
    async def test(desk: Desk) -> None:
        desk.model.add(RUN)
        for method, call in CALLS.items():
            if how == "no sense" and method in {"send_logs", "renew"}:
                continue  # these have no answer but the code
            desk.fail(method, how, False)
            with pytest.raises(RunsUnavailableError):
                await call(desk.runs)
        assert desk.model.proposals == []
        assert await desk.runs.read(RUN) == desk.model.runs[RUN]

    at_desk(kind, test)


@both
@pytest.mark.parametrize("how", ["timeout", "cut off", "503"])
def test_an_answer_that_was_lost_leaves_open_what_was_done(kind: str, how: str) -> None:
    async def test(desk: Desk) -> None:
        desk.model.add(RUN)
        desk.fail("propose", how, True)
        with pytest.raises(RunsUnavailableError):
            await desk.runs.propose(RUN, RUNNING)
        assert (await desk.runs.read(RUN)).state is RunState.RUNNING
        desk.fail("send_logs", how, True)
        with pytest.raises(RunsUnavailableError):
            await desk.runs.send_logs([LINE])
        assert await desk.runs.last_sent(RUN, LINE.at_us, LINE.at_us) == LINE.at_us

    at_desk(kind, test)
