"""Job variables: what a deployment may say, what is refused, and what a job gets in its environment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, StateType, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.plugins import load_prefect_collections
from prefect.workers.base import BaseWorker

from infra.containers.image import Image, save
from infra.slurm.runs import RunState
from infra.slurm.transport import SubmissionRefusedError
from infra.slurm.transports import local_slots
from infra.slurm.variables import SlurmConfiguration, SlurmVariables, unknown_names
from infra.slurm.worker import SlurmWorker

NOWHERE = "http://prefect.invalid/api"
SCHEMA = {"type": "object", "properties": {"stage": {"type": "string"}}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELINE_ROOT", "/shared/data")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:secret")


def configure(
    job_variables: Mapping[str, Any] | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    of_run: Mapping[str, Any] | None = None,
) -> SlurmConfiguration:
    """Return what the worker makes of a deployment's job variables and a run's parameters."""
    values = {"command": ["phaseline", "poll", "phase4"], **(job_variables or {})}
    template = SlurmWorker.get_default_base_job_template()
    pool = WorkPool(name="pool", type="slurm", base_job_template=template, default_queue_id=uuid4())
    deployment = DeploymentResponse(
        name="phase4", flow_id=uuid4(), job_variables=values, parameter_openapi_schema=SCHEMA, labels={}
    )
    flow_run = FlowRun(
        id=uuid4(),
        flow_id=uuid4(),
        name="phase4 poller",
        parameters=dict(parameters or {}),
        job_variables=dict(of_run or {}),
    )

    async def make() -> SlurmConfiguration:
        return await SlurmConfiguration.from_template_and_values(template, values, client=PrefectClient(NOWHERE))

    configuration = anyio.run(make)
    configuration.prepare_for_flow_run(flow_run, deployment, None, pool, "w1")
    return configuration


def test_prefect_finds_the_worker() -> None:
    load_prefect_collections()
    assert BaseWorker.get_worker_class_from_type("slurm") is SlurmWorker


def test_every_variable_is_described_and_reaches_the_job() -> None:
    properties = SlurmVariables.model_json_schema()["properties"]
    assert all(properties[name].get("description") for name in properties)
    assert set(SlurmVariables.model_fields) == set(SlurmConfiguration.model_fields)


def test_a_job_is_what_the_job_variables_say() -> None:
    spec = configure(
        {"cpus": 4, "memory_mb": 2000, "gpus": 1, "time_limit_minutes": 90, "partition": "gpu", "grace_seconds": 5}
    ).spec("r.0")
    assert spec.command == ("phaseline", "poll", "phase4")
    assert (spec.cpus, spec.memory_mb, spec.gpus, spec.time_limit_seconds) == (4, 2000, 1, 5400)
    assert (spec.partition, spec.account, spec.grace_seconds, spec.name) == ("gpu", "", 5, "phase4 poller")
    assert spec.directory == spec.working_directory == "/shared/data/_jobs/r.0"


def test_the_environment_is_ours_and_the_deployments_and_nothing_of_prefects() -> None:
    configuration = configure(
        {"env": {"PHASELINE_STAGES": "/s", "PHASELINE_ROOT": "/elsewhere", "X": "1"}, "image": "phaseline-phase4"},
        parameters={"stage": "phase4"},
    )
    assert configuration.problems == []
    environment = configuration.spec("r.0").environment
    assert {name: value for name, value in environment.items() if name != "PHASELINE_PARAMETERS"} == {
        "PHASELINE_ROOT": "/elsewhere",
        "PHASELINE_STAGES": "/s",
        "X": "1",
    }
    assert json.loads(environment["PHASELINE_PARAMETERS"]) == {"stage": "phase4"}


def test_how_the_worker_reaches_slurm_is_no_jobs_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELINE_SLURMRESTD_TOKEN_FILE", "/secret")
    monkeypatch.setenv("PHASELINE_LOCAL_SLOTS", "3")
    configuration = configure({"env": {"PHASELINE_SLURMRESTD_URL": "http://x"}})
    assert configuration.problems == ["env PHASELINE_SLURMRESTD_URL: jobs do not learn how the worker reaches SLURM"]
    assert set(configuration.spec("r.0").environment) == {"PHASELINE_ROOT", "PHASELINE_PARAMETERS"}


def test_settings_of_prefect_are_refused_in_a_job() -> None:
    configuration = configure({"env": {"PREFECT_API_URL": "http://x"}})
    assert configuration.problems == ["env PREFECT_API_URL: jobs get nothing of Prefect's"]
    assert not [name for name in configuration.spec("r.0").environment if name.startswith("PREFECT")]


EVERYTHING: dict[str, Any] = {
    "gres": ["shard:2"],
    "warning_seconds": 120,
    "requeue": False,
    "account": "a",
    "qos": "q",
    "constraint": "c",
    "reservation": "r",
    "exclude": "n[1-2]",
    "directives": ["licenses=matlab:1"],
    "working_directory": "/w",
}


def test_what_is_asked_of_the_cluster_reaches_it() -> None:
    configuration = configure(EVERYTHING)
    assert configuration.problems == []
    spec = configuration.spec("r.0")
    lists = ("gres", "directives")
    found = {name: list(getattr(spec, name)) if name in lists else getattr(spec, name) for name in EVERYTHING}
    assert found == EVERYTHING


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"cpus": 0}, "job variable 'cpus' is 0: it should be greater than or equal to 1"),
        ({"gpus": "many"}, "job variable 'gpus' is 'many': it should be a valid integer, unable to parse string"),
        ({"command": ["a", 1]}, "job variable 'command' is 1 at 1: it should be a valid string"),
        ({"container_runtime": "docker"}, "job variable 'container_runtime' is 'docker': it should be 'none', 'app"),
        ({"working_directory": "here"}, "job variable 'working_directory' is 'here': "),
        ({"requeue": "perhaps"}, "job variable 'requeue' is 'perhaps': it should be a valid boolean"),
    ],
)
def test_what_a_job_variable_cannot_be_is_said_by_its_name(said: dict[str, Any], problem: str) -> None:
    problems = configure(said).problems
    assert [line[: len(problem)] for line in problems] == [problem]


def test_what_a_run_says_goes_before_the_deployment() -> None:
    """`prefect deployment run -jv cpus=4` arrives as JSON, or as text."""
    assert configure({"cpus": "4", "requeue": "false"}).spec("r.0").cpus == 4


IMAGE = Image(name="phaseline-phase4", place="/images/phaseline-phase4-3f", digest="sha256:3f")


def test_an_image_goes_around_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(IMAGE, str(tmp_path))
    monkeypatch.setenv("PHASELINE_STAGES", "/of/the/node")
    monkeypatch.setenv("PHASELINE_IMAGES", str(tmp_path))
    monkeypatch.setenv("PHASELINE_CONTAINER_RUNTIME", "charliecloud")
    said = {"image": "phaseline-phase4", "env": {"X": "1"}, "binds": ["/ref", "/jobs"], "jobs_directory": "/jobs"}
    configuration = configure(said)
    assert configuration.problems == []
    spec = configuration.spec("r.0")
    assert "ch-run" in spec.command
    assert spec.command[-3:] == ("phaseline", "poll", "phase4")
    assert [word for word in spec.command if "--bind" in word] == [
        *("--bind=/jobs:/jobs", "--bind=/ref:/ref", "--bind=/shared/data:/shared/data")
    ]
    assert spec.environment.keys() == {"PHASELINE_IMAGE", "PHASELINE_PARAMETERS", "PHASELINE_ROOT", "X"}
    assert spec.environment["PHASELINE_IMAGE"] == "phaseline-phase4@sha256:3f"
    [kept] = [word for word in spec.command if word.startswith("--unset-env")]
    assert {*spec.environment, "SLURM_JOB_ID", "PHASELINE_ENDS_AT"} <= set(re.split(r"[(|)]", kept))
    assert "/shared/data" not in kept, "no value stands where everybody can read it"
    plain = configure({**said, "container_runtime": "none"}).spec("r.0")
    assert plain.command == ("phaseline", "poll", "phase4")
    assert plain.environment["PHASELINE_STAGES"] == "/of/the/node"


def test_gpus_of_either_kind_are_passed_through() -> None:
    said = {"image": "/i.sif", "container_runtime": "apptainer"}
    for asked, has in (
        ({}, False),
        ({"gpus": 1}, True),
        ({"gres": ["gpu:a100:2"]}, True),
        ({"gres": ["shard:1"]}, False),
    ):
        assert ("--nv" in configure({**said, **asked}).spec("r.0").command) == has


def test_an_image_that_is_not_there_is_said_before_a_job_is_handed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASELINE_IMAGES", str(tmp_path))
    with pytest.raises(SubmissionRefusedError, match="type: phaseline image build phase4"):
        configure({"image": "phaseline-phase4", "container_runtime": "podman"}).spec("r.0")
    with pytest.raises(SubmissionRefusedError, match="no bind: 'here'"):
        configure({"image": "/i", "container_runtime": "podman", "binds": ["here"]}).spec("r.0")
    assert configure({"container_runtime": "podman"}).problems == [
        "container_runtime is podman, and no image is named: set 'image'"
    ]


def test_the_sites_runtime_is_one_that_exists_and_needs_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELINE_CONTAINER_RUNTIME", "docker")
    [problem] = configure({"image": "x"}).problems
    assert problem.startswith("PHASELINE_CONTAINER_RUNTIME of the worker is 'docker'; there are: none, apptainer")
    monkeypatch.setenv("PHASELINE_CONTAINER_RUNTIME", "podman")
    configuration = configure({})
    assert (configuration.problems, configuration.spec("r.0").command) == ([], ("phaseline", "poll", "phase4"))


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    problems = configure({"cpu": 3}, parameters={"stge": "x"}, of_run={"env.X": "1"}).problems
    assert len(problems) == 2
    assert problems[0].startswith(
        "job variable 'cpu' does not exist; did you mean 'cpus'? there are: account, binds, command"
    )
    assert problems[1] == "parameter 'stge' does not exist; did you mean 'stage'? there are: stage"
    assert unknown_names("parameter", ["zzz"], []) == ["parameter 'zzz' does not exist; there are: none"]


def test_a_command_and_a_place_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHASELINE_ROOT")
    assert [problem.split(";")[0].split(":")[0] for problem in configure({"command": []}).problems] == [
        "job variable 'command' is empty",
        "no directory for jobs",
    ]
    assert configure({"jobs_directory": "/jobs"}).problems == []


def test_slots_are_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_slots() >= 1
    monkeypatch.setenv("PHASELINE_LOCAL_SLOTS", "3")
    assert local_slots() == 3
    for text in ("0", "-1", "many"):
        monkeypatch.setenv("PHASELINE_LOCAL_SLOTS", text)
        with pytest.raises(SystemExit, match="PHASELINE_LOCAL_SLOTS"):
            local_slots()


def test_states_have_prefects_names() -> None:

    assert {state.value for state in RunState} == {state.value for state in StateType}
