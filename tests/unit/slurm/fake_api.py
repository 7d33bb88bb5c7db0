"""Prefect's API in respx, as far as the worker uses it: the same FakeRuns behind it that tests use without HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import respx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State, StateDetails, StateType

from infra.slurm.prefect_runs import PrefectRuns
from infra.slurm.runs import LogLine, Place, Proposal, RunGoneError, RunNow, RunsRefusedError, RunState
from tests.fakes_runs import FakeRuns

API = "http://prefect.invalid/api"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNAVAILABLE: dict[str, Callable[[], httpx.Response]] = {
    "503": lambda: httpx.Response(503, headers={"Retry-After": "0"}),  # else Prefect's client waits, to give up then
    "500": lambda: httpx.Response(500, text="Internal Server Error"),
    "409": lambda: httpx.Response(409, json={"detail": "conflict"}),
    "429": lambda: httpx.Response(429, headers={"Retry-After": "0"}),
    "no sense": lambda: httpx.Response(200, text="<html>the proxy is being upgraded</html>"),
    "timeout": lambda: _raise(httpx.ReadTimeout("nothing came")),
    "no route": lambda: _raise(httpx.ConnectError("connection refused")),
    "cut off": lambda: _raise(httpx.RemoteProtocolError("the server hung up")),
}


class FakeApi:
    """Routes of Prefect's API over `model`. `fail` sets what the next call of a method answers instead."""

    def __init__(self, model: FakeRuns, router: respx.MockRouter) -> None:
        self.model = model
        self._fails: dict[str, tuple[str, bool]] = {}
        router.post("/flow_runs/filter").mock(side_effect=self._filter)
        router.post(path__regex=r"/flow_runs/(?P<run_id>[^/]+)/set_state").mock(side_effect=self._set_state)
        router.get(path__regex=r"/flow_runs/(?P<run_id>[^/]+)$").mock(side_effect=self._read)
        router.post("/logs/filter").mock(side_effect=self._read_logs)
        router.post("/logs/").mock(side_effect=self._logs)
        router.post(path__regex=r"/v2/concurrency_limits/leases/(?P<lease>[^/]+)/renew").mock(side_effect=self._renew)
        router.post("/work_pools/pool/workers/filter").mock(side_effect=self._workers)

    def fail(self, method: str, how: str, *, after: bool = False) -> None:
        """Let the next call of the method fail, before or `after` it has done its work."""
        self._fails[method] = (how, after)

    def runs(self, client: PrefectClient) -> PrefectRuns:
        async def describe(flow_run: FlowRun) -> Place:
            return await self.model.place(str(flow_run.id))

        return PrefectRuns(client=client, pool="pool", queues=frozenset(), describe=describe)

    def _answer(self, method: str, call: Callable[[], Coroutine[Any, Any, httpx.Response]]) -> httpx.Response:
        how, after = self._fails.pop(method, ("", False))
        if how and not after:
            return UNAVAILABLE[how]()
        try:
            answer = _now(call())
        except RunGoneError:
            return httpx.Response(404, json={"detail": "Flow run not found"})
        except RunsRefusedError:
            return httpx.Response(422, json={"exception_message": "no"})
        return UNAVAILABLE[how]() if how else answer

    def _filter(self, request: httpx.Request) -> httpx.Response:
        asked = _body(request)
        kinds = cast("list[str]", asked["flow_runs"]["state"]["type"]["any_"])
        method = "to_cancel" if kinds == ["CANCELLING"] else "unfinished"

        async def call() -> httpx.Response:
            found = await (self.model.to_cancel() if method == "to_cancel" else self.model.unfinished())
            page = sorted(found, key=lambda run: run.run_id)[asked["offset"] : asked["offset"] + asked["limit"]]
            return httpx.Response(200, json=[_flow_run(run) for run in page])

        return self._answer(method, call)

    def _read(self, request: httpx.Request, run_id: str) -> httpx.Response:
        del request

        async def call() -> httpx.Response:
            return httpx.Response(200, json=_flow_run(await self.model.read(run_id)))

        return self._answer("read", call)

    def _set_state(self, request: httpx.Request, run_id: str) -> httpx.Response:
        said = _body(request)["state"]

        async def call() -> httpx.Response:
            proposal = Proposal(state=RunState(said["type"]), name=said["name"], message=said["message"] or "")
            before = len(self.model.proposals)
            run = await self.model.propose(run_id, proposal)
            if len(self.model.proposals) == before:
                details = {"type": "abort_details", "reason": "This run has moved on."}
                return httpx.Response(200, json={"state": None, "status": "ABORT", "details": details})
            details = {"type": "accept_details"}
            return httpx.Response(201, json={"state": _flow_run(run)["state"], "status": "ACCEPT", "details": details})

        return self._answer("propose", call)

    def _logs(self, request: httpx.Request) -> httpx.Response:
        lines = [
            LogLine(
                run_id=said["flow_run_id"],
                at_us=(datetime.fromisoformat(said["timestamp"]) - EPOCH) // timedelta(microseconds=1),
                level=said["level"],
                text=said["message"],
            )
            for said in cast("list[dict[str, Any]]", json.loads(request.content))
        ]

        async def call() -> httpx.Response:
            await self.model.send_logs(lines)
            return httpx.Response(201)

        return self._answer("send_logs", call)

    def _read_logs(self, request: httpx.Request) -> httpx.Response:
        asked = _body(request)
        wanted = asked["logs"]
        run_id = wanted["flow_run_id"]["any_"][0]
        first, last = (datetime.fromisoformat(wanted["timestamp"][key]) for key in ("after_", "before_"))

        async def call() -> httpx.Response:
            await self.model.last_sent(run_id, 0, 0)
            found = sorted(self.model.logs, key=lambda line: -line.at_us)
            logs = [
                {
                    "id": str(uuid4()),
                    "name": "job",
                    "level": line.level,
                    "message": line.text,
                    "timestamp": (EPOCH + timedelta(microseconds=line.at_us)).isoformat(),
                    "flow_run_id": line.run_id,
                }
                for line in found
                if line.run_id == run_id and first <= EPOCH + timedelta(microseconds=line.at_us) <= last
            ]
            return httpx.Response(200, json=logs[asked["offset"] : asked["offset"] + asked["limit"]])

        return self._answer("last_sent", call)

    def _renew(self, request: httpx.Request, lease: str) -> httpx.Response:
        seconds = _body(request)["lease_duration"]

        async def call() -> httpx.Response:
            return httpx.Response(204 if await self.model.renew(lease, int(seconds)) else 410)

        return self._answer("renew", call)

    def _workers(self, request: httpx.Request) -> httpx.Response:
        del request

        async def call() -> httpx.Response:
            names = await self.model.living_workers()
            pool = str(uuid4())
            return httpx.Response(
                200, json=[{"id": str(uuid4()), "name": n, "work_pool_id": pool, "status": "ONLINE"} for n in names]
            )

        return self._answer("living_workers", call)


def _now(call: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
    """Run a coroutine that waits for nothing to its end."""
    try:
        call.send(None)
    except StopIteration as end:
        return cast("httpx.Response", end.value)
    raise AssertionError("FakeRuns waits for something")


def _flow_run(run: RunNow) -> dict[str, Any]:
    details = StateDetails(deployment_concurrency_lease_id=UUID(run.lease) if run.lease else None)
    flow_run = FlowRun(
        id=UUID(run.run_id),
        flow_id=uuid4(),
        name="tiny-tern",
        run_count=run.run_count,
        labels={"prefect.worker.name": run.worker} if run.worker else {},
        state=State(type=StateType(run.state.value), name=run.state_name, state_details=details),
    )
    return flow_run.model_dump(mode="json")


def _body(request: httpx.Request) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(request.content))


def _raise(error: Exception) -> httpx.Response:
    raise error
