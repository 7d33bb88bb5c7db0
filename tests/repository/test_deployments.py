"""Do prefect.yaml, work-pools/ and the stages say the same?"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import pytest
import yaml
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.flows import Flow
from prefect.utilities.callables import parameter_schema

from stages.engine import catalog
from stages.engine.spec import StageSpec
from tests.repository import work_pools
from tests.repository.checkout import ROOT

DEPLOYED = catalog.load(str(ROOT / "stages"))


class WorkPool(TypedDict):
    """Where a deployment's runs go, and as what."""

    name: str
    job_variables: NotRequired[dict[str, object]]


class Limit(TypedDict):
    """How many runs at once, and what becomes of one too many."""

    limit: int
    collision_strategy: str


class Deployment(TypedDict):
    """What prefect.yaml says of one, anchors resolved."""

    name: str
    entrypoint: str
    description: str
    work_pool: WorkPool
    parameters: NotRequired[dict[str, object]]
    tags: NotRequired[list[str]]
    schedules: NotRequired[list[dict[str, object]]]
    concurrency_limit: NotRequired[Limit]


class File(TypedDict):
    """prefect.yaml."""

    deployments: list[Deployment]
    build: None
    push: None
    pull: list[object]


FILE = cast("File", yaml.safe_load((ROOT / "prefect.yaml").read_text()))
DEPLOYMENTS = {deployment["name"]: deployment for deployment in FILE["deployments"]}
POLLERS = {name: one for name, one in DEPLOYMENTS.items() if one["entrypoint"] == "flows.poll.poll"}
OTHERS = {"trigger": 60.0, "sweep": 300.0, "rerun": None}


def flow(deployment: Deployment) -> Flow[..., object]:
    module, _, name = deployment["entrypoint"].rpartition(".")
    return cast("Flow[..., object]", getattr(importlib.import_module(module), name))


def test_each_stage_has_one_deployment_and_each_deployment_its_stage() -> None:
    assert list(POLLERS) == list(DEPLOYED.names)
    assert sorted(DEPLOYMENTS) == sorted([*DEPLOYED.names, *OTHERS])
    assert len(FILE["deployments"]) == len(DEPLOYMENTS)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_names_a_flow_a_pool_and_parameters_that_exist(name: str) -> None:
    deployment = DEPLOYMENTS[name]
    found = flow(deployment)
    assert isinstance(found, Flow)
    assert found.name == (name if name in OTHERS else "poll")
    assert deployment["work_pool"]["name"] in work_pools.pools()
    assert deployment.get("parameters", {}).keys() <= parameter_schema(found).properties.keys()
    assert deployment["description"].endswith(".")
    assert [found.retries, found.timeout_seconds] == [0, None]
    assert [*found.on_failure_hooks, *found.on_crashed_hooks] == []


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_its_job_variables_are_known_to_its_pool(name: str) -> None:
    pool = DEPLOYMENTS[name]["work_pool"]
    given = pool.get("job_variables", {})
    assert given.keys() <= work_pools.written(pool["name"])["variables"]["properties"].keys()


@pytest.mark.parametrize("spec", DEPLOYED.stages, ids=DEPLOYED.names)
def test_a_poller_polls_its_stage_and_may_live_long_enough(spec: StageSpec) -> None:
    deployment = POLLERS[spec.name]
    job_variables = deployment["work_pool"].get("job_variables", {})
    assert job_variables["command"] == ["phaseline", "poll", spec.name]
    assert deployment.get("parameters") == {"stage": spec.name}
    assert deployment.get("tags") == [f"stage:{spec.name}"]
    limit_seconds = 60 * cast("int", job_variables["time_limit_minutes"])
    assert limit_seconds >= spec.work.setup_seconds + spec.work.timeout_seconds


def test_what_needs_a_gpu_goes_where_they_are() -> None:
    for name, deployment in POLLERS.items():
        pool = deployment["work_pool"]
        assert (pool["name"] == "slurm-gpu") == bool(pool.get("job_variables", {}).get("gpus")), name


@pytest.mark.parametrize("name", OTHERS)
def test_what_runs_by_the_clock_runs_one_at_a_time(name: str) -> None:
    deployment, seconds = DEPLOYMENTS[name], OTHERS[name]
    assert deployment["work_pool"]["name"] == "control"
    schedules = [
        IntervalSchedule.model_validate({"interval": one["interval"]}) for one in deployment.get("schedules", [])
    ]
    assert [schedule.interval.total_seconds() for schedule in schedules] == ([] if seconds is None else [seconds])
    limit = {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert deployment.get("concurrency_limit") == (None if seconds is None else limit)


def test_nothing_is_built_pushed_or_pulled() -> None:
    """`pull: []` is said, else Prefect makes steps of its own, and warns of them where an image is named."""
    assert (FILE["build"], FILE["push"], FILE["pull"]) == (None, None, [])
    assert all("pull" not in deployment for deployment in DEPLOYMENTS.values())


@pytest.mark.parametrize("pool", work_pools.pools())
def test_a_pools_template_is_what_its_worker_says_with_our_defaults(pool: str) -> None:
    assert work_pools.written(pool) == work_pools.due(pool), "python -m tests.repository.work_pools"


def test_each_pool_has_a_template_a_limit_and_a_use() -> None:
    assert {path.stem for path in work_pools.POOLS.glob("*.json")} == set(work_pools.pools())
    assert {deployment["work_pool"]["name"] for deployment in DEPLOYMENTS.values()} == set(work_pools.pools())
    assert all(pool["concurrency_limit"] > 0 for pool in work_pools.pools().values())


def test_the_commands_in_the_readme_are_those_of_the_table() -> None:
    said = Path(work_pools.POOLS, "README.md").read_text()
    created = re.findall(r"work-pool create (\S+) --type (\S+) --base-job-template work-pools/(\S+)\.json", said)
    limits = re.findall(r"set-concurrency-limit (\S+) (\d+)", said)
    pools = work_pools.pools()
    assert created == [(name, pool["type"], name) for name, pool in pools.items()]
    assert limits == [(name, str(pool["concurrency_limit"])) for name, pool in pools.items()]
