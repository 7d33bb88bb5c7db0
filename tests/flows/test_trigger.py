"""Does one run of the trigger ask for what all stages need, at a bounded cost, and say what it did?"""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelled, Completed, Crashed, Failed, Running

from flows import facts
from flows.trigger import trigger
from stages.engine import sightings
from stages.engine.posix import Posix
from stages.engine.sightings import BackingOff, Sightings
from tests.flows.pipeline import Pipeline

LATER = 4_000_000_000


@pytest.fixture
def pipeline(client: SyncPrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    found = Pipeline(client, tmp_path)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


def pull() -> tuple[StateType, str]:
    state = trigger(return_state=True)
    return state.type, state.message or ""


def names(pipeline: Pipeline, *stages: str) -> list[str]:
    return [run.name for run in pipeline.runs(*stages)]


def test_it_asks_for_what_the_backlogs_call_for(pipeline: Pipeline) -> None:
    pipeline.deploy(limit=0)
    pipeline.add(101)
    kind, said = pull()
    assert kind is StateType.COMPLETED
    assert said == (
        f"{pipeline.first}: 3 asked, 101 claimable, 0 of 4 pollers; {pipeline.second}: 0 claimable, 0 of 4 pollers"
    )
    runs = pipeline.runs()
    assert all(
        re.fullmatch(rf"{pipeline.first} poller \d\d:\d\d:\d\d \({n} of 3\)", run.name) for n, run in enumerate(runs, 1)
    )
    assert [run.tags for run in runs] == [[f"stage:{pipeline.first}"]] * 3
    assert [run.parameters for run in runs] == [{"stage": pipeline.first}] * 3
    assert [run.parent_task_run_id for run in runs] == [None] * 3
    assert [run.work_pool_name for run in runs] == [pipeline.pool] * 3


def test_whoever_was_asked_for_is_not_asked_for_again(pipeline: Pipeline) -> None:
    pipeline.deploy()
    pipeline.add(101)
    pull()
    before = names(pipeline)
    assert pull()[1].startswith(f"{pipeline.first}: 101 claimable, 3 of 4 pollers")
    assert names(pipeline) == before


def test_a_free_slot_goes_to_the_stage_behind(pipeline: Pipeline) -> None:
    pipeline.deploy(limit=2)
    pipeline.add(1)
    pull()
    assert [len(names(pipeline, stage)) for stage in (pipeline.first, pipeline.second)] == [1, 1]


def test_where_one_waits_for_a_slot_none_is_free(pipeline: Pipeline) -> None:
    pipeline.deploy()
    pipeline.add(1)
    pipeline.client.create_flow_run_from_deployment(pipeline.deployment(pipeline.first))
    pull()
    assert names(pipeline, pipeline.second) == []


def test_slots_that_are_taken_are_not_free(pipeline: Pipeline) -> None:
    pipeline.deploy(limit=1)
    pipeline.add(1)
    pipeline.end(pipeline.first, [Running()])
    pull()
    assert names(pipeline, pipeline.second) == []


def test_what_backs_off_needs_no_poller(pipeline: Pipeline) -> None:
    pipeline.deploy()
    pipeline.add(2)
    seen = Sightings(backing_off={f"ds{number}": BackingOff(1, LATER) for number in range(2)})
    sightings.save(seen, Posix(), pipeline.root.sightings("boot", pipeline.first), boot_id="boot", now=1.0)
    assert names(pipeline) == []
    pull()
    assert names(pipeline) == []


def test_a_stage_that_keeps_failing_is_left_alone_and_that_is_said(pipeline: Pipeline) -> None:
    pipeline.deploy(limit=0)
    pipeline.add(101)
    pipeline.end(pipeline.first, [Completed(), *[Crashed(message="exit code 78: no module 'tpyo'")] * 5, Cancelled()])
    kind, said = pull()
    assert re.match(f"{pipeline.first}: paused until .{{19}}, 5 in a row failed: exit code 78: no module 'tpyo';", said)
    assert kind is StateType.COMPLETED
    assert names(pipeline) == ["of old"] * 7
    hint = json.loads(Path(pipeline.root.pause(pipeline.first)).read_text())
    assert (hint["failures"], hint["why"]) == (5, "exit code 78: no module 'tpyo'")


def test_one_that_ends_well_lifts_the_pause_and_the_hint(pipeline: Pipeline) -> None:
    pipeline.deploy(limit=0)
    pipeline.add(101)
    pipeline.end(pipeline.first, [Failed(message="boom")] * 6)
    pull()
    assert os.listdir(pipeline.root.trigger) == [f"{pipeline.first}.json"]
    pipeline.end(pipeline.first, [Completed()])
    pull()
    assert os.listdir(pipeline.root.trigger) == []
    assert len(names(pipeline)) == 7 + 3


def test_a_pause_of_one_stage_is_not_the_others(pipeline: Pipeline) -> None:
    pipeline.deploy(limit=0)
    pipeline.add(1)
    pipeline.add(1, "MID")
    pipeline.end(pipeline.first, [Failed()] * 5)
    pull()
    assert len(names(pipeline, pipeline.second)) == 1


def test_a_paused_deployment_gets_no_pollers(pipeline: Pipeline) -> None:
    pipeline.deploy(limit=0)
    pipeline.add(1)
    pipeline.client.pause_deployment(pipeline.deployment(pipeline.first))
    _, said = pull()
    assert f"its deployment is paused: without `paused` in prefect.yaml, prefect deploy -n {pipeline.first}" in said
    assert names(pipeline) == []
    pipeline.client.resume_deployment(pipeline.deployment(pipeline.first))
    pull()
    assert len(names(pipeline)) == 1


def test_a_paused_pool_gets_no_pollers(pipeline: Pipeline) -> None:
    pipeline.deploy()
    pipeline.add(1)
    pipeline.client.update_work_pool(pipeline.pool, WorkPoolUpdate(is_paused=True))
    _, said = pull()
    assert f"its work pool is paused: prefect work-pool resume {pipeline.pool}" in said
    assert names(pipeline) == []


def test_a_stage_without_a_deployment_is_named_and_the_others_get_theirs(pipeline: Pipeline) -> None:
    pipeline.deploy(pipeline.second, limit=0)
    pipeline.add(1)
    pipeline.add(1, "MID")
    kind, said = pull()
    assert kind is StateType.FAILED
    assert f"{pipeline.first}: it has no deployment: prefect deploy --all" in said
    assert len(names(pipeline)) == 1


def test_a_stage_that_cannot_be_looked_at_is_named_and_the_others_get_theirs(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing that fails only now and then: an own file system in place of the real one."""
    pipeline.deploy(limit=0)
    pipeline.add(1, "MID")
    found = facts.opened()

    class Broken(Posix):
        def listdir(self, place: str | int) -> list[str]:
            if str(place).endswith("/IN"):
                raise OSError(errno.EIO, "Input/output error", place)
            return super().listdir(place)

    monkeypatch.setattr(facts, "opened", lambda: replace(found, fs=Broken()))
    kind, said = pull()
    assert kind is StateType.FAILED
    assert "Input/output error" in said
    assert len(names(pipeline, pipeline.second)) == 1


@pytest.mark.parametrize("where", ["nowhere", "stages"])
def test_a_root_that_is_none_is_said(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("PHASELINE_ROOT", str(pipeline.top / where))
    kind, said = pull()
    assert kind is StateType.FAILED
    assert f"phaseline init --root {pipeline.top / where}" in said


def test_without_a_root_it_says_what_to_set(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHASELINE_ROOT")
    assert pull()[1] == "no data root is given; say --root DIR, or set PHASELINE_ROOT"


def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put down each request that is answered from now on, but for those by which a client gets to know its server.

    A busy server has some asked again. What it is and whether it wants a token is asked when Prefect's caches say so.
    """
    sent: list[str] = []

    class Counted(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if not response.is_server_error and not request.url.path.startswith(("/api/admin/", "/api/csrf-token")):
                sent.append(f"{request.method} {re.sub('[0-9a-f-]{36}', 'ID', request.url.path)}")
            return response

    monkeypatch.setattr(httpx, "HTTPTransport", Counted)
    monkeypatch.setattr("httpx._client.HTTPTransport", Counted)
    return sent


def test_requests_depend_on_pollers_not_on_datasets(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.deploy(limit=0)
    pipeline.end(pipeline.first, [Running()] * 4)
    pipeline.add(10)
    sent = requests(monkeypatch)
    pull()
    few = [*sent]
    for number in range(10, 1000):
        os.mkdir(f"{pipeline.root.path}/IN/ds{number}")
    sent.clear()
    pull()
    assert sorted(sent) == sorted(few)
    ours = [one for one in few if "filter" in one and "/logs" not in one]
    assert sorted(ours) == [
        "POST /api/deployments/filter",
        "POST /api/flow_runs/filter",
        "POST /api/flow_runs/filter",
        "POST /api/work_pools/filter",
    ]
