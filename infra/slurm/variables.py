"""What a deployment says of its job (job variables), and the job configuration that a worker makes of it for a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.schemas.objects import Flow, FlowRun, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.workers.base import BaseJobConfiguration, BaseVariables
from pydantic import Field, PrivateAttr

from infra.slurm.job import JobSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXT = {
    "command": "The program and its arguments, an element of the list each; no shell reads it. Required.",
    "image": "Container image, in the job's environment as PHASELINE_IMAGE.",
    "env": "Environment variables of the job. The worker adds its own PHASELINE_* and PHASELINE_PARAMETERS (the run's"
    " parameters as JSON), never anything of Prefect's.",
    "working_directory": "Absolute path to start the command in; empty: the job's own directory.",
    "jobs_directory": "Absolute path on shared storage that holds a directory for each job;"
    " empty: $PHASELINE_ROOT/_jobs of the worker.",
    "transport": "What carries the job: local (this machine), or auto: sbatch where it is found, else local.",
    "cpus": "CPU cores for the command.",
    "memory_mb": "Memory for the command, in MiB; empty: the partition's default.",
    "gpus": "GPUs for the command.",
    "time_limit_minutes": "The job is ended after this long; empty: the partition's default.",
    "partition": "SLURM partition; empty: the cluster's default.",
    "account": "SLURM account; empty: the user's default.",
    "qos": "SLURM quality of service; empty: the default.",
    "constraint": "SLURM features that the node must have, such as a100&nvlink.",
    "grace_seconds": "How long the command may take to end when it is told to, before it is killed.",
    "log_lines_max": "How many lines of the output become the run's log; all of it stands in the job's directory.",
}


class SlurmConfiguration(BaseJobConfiguration):
    """A job as its job variables say; `spec` makes it one run's."""

    command: list[str] = Field(default_factory=list[str])  # pyright: ignore[reportIncompatibleVariableOverride]  # a list needs no quoting
    image: str | None = None
    working_directory: str | None = None
    jobs_directory: str | None = None
    transport: str = "auto"
    cpus: int = 1
    memory_mb: int | None = None
    gpus: int = 0
    time_limit_minutes: int | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    grace_seconds: int = 30
    log_lines_max: int = 10_000

    _problems: list[str] = PrivateAttr(default_factory=list[str])

    @property
    def problems(self) -> Sequence[str]:
        """Why no job can be made of this, each a line for people."""
        return self._problems

    @classmethod
    def _base_environment(cls) -> dict[str, str]:
        """Nothing: Prefect's settings hold the API's address and its password, which are no job's business."""
        return {}

    def prepare_for_flow_run(  # noqa: PLR0917  # the base class's
        self,
        flow_run: FlowRun,
        deployment: DeploymentResponse | None = None,
        flow: Flow | None = None,
        work_pool: WorkPool | None = None,
        worker_name: str | None = None,
        worker_id: UUID | None = None,
    ) -> None:
        """Complete the environment, and collect what is wrong. The base class's is not wanted: it adds Prefect's."""
        del worker_name, worker_id
        self._related_objects = {"deployment": deployment, "flow": flow, "flow-run": flow_run}
        self.name = self.name or flow_run.name
        self._problems = [
            *_unknown_variables(flow_run, deployment, work_pool),
            *_unknown_parameters(flow_run, deployment),
            *(f"env {name}: jobs get nothing of Prefect's" for name in self.env if name.startswith("PREFECT_")),
        ]
        if not self.command:
            self._problems.append("job variable 'command' is empty; say what to start, as a list")
        own = {name: value for name, value in os.environ.items() if name.startswith("PHASELINE_")}
        said = {name: value for name, value in self.env.items() if value is not None}
        ours = {"PHASELINE_PARAMETERS": json.dumps(flow_run.parameters, default=str, sort_keys=True)}
        if self.image:
            ours["PHASELINE_IMAGE"] = self.image
        env: dict[str, str | None] = {**own, **ours, **said}
        self.env = {name: value for name, value in env.items() if not name.startswith("PREFECT_")}
        if not self.jobs_path:
            self._problems.append(
                "no directory for jobs: start the worker with PHASELINE_ROOT, or set 'jobs_directory'"
            )

    @property
    def jobs_path(self) -> str:
        """The directory of all jobs; empty if nothing says which."""
        root = os.environ.get("PHASELINE_ROOT", "")
        return self.jobs_directory or (os.path.join(os.path.abspath(root), "_jobs") if root else "")

    def spec(self, tag: str) -> JobSpec:
        """Return the job to hand in by this tag."""
        directory = os.path.join(self.jobs_path, tag)
        return JobSpec(
            tag=tag,
            name=self.name or tag,
            directory=directory,
            command=tuple(self.command),
            working_directory=self.working_directory or directory,
            environment={name: value for name, value in self.env.items() if value is not None},
            time_limit_seconds=None if self.time_limit_minutes is None else self.time_limit_minutes * 60,
            grace_seconds=self.grace_seconds,
            cpus=self.cpus,
            memory_mb=self.memory_mb,
            gpus=self.gpus,
            partition=self.partition or "",
            account=self.account or "",
            qos=self.qos or "",
            constraint=self.constraint or "",
        )


class SlurmVariables(BaseVariables):
    """The job variables that a deployment may set, as the UI shows them."""

    command: list[str] = Field(default_factory=list[str], description=_TEXT["command"])  # pyright: ignore[reportIncompatibleVariableOverride]  # as above
    image: str | None = Field(default=None, description=_TEXT["image"])
    env: dict[str, str | None] = Field(
        default_factory=dict[str, "str | None"], title="Environment Variables", description=_TEXT["env"]
    )
    working_directory: str | None = Field(default=None, description=_TEXT["working_directory"])
    jobs_directory: str | None = Field(default=None, description=_TEXT["jobs_directory"])
    transport: str = Field(default="auto", description=_TEXT["transport"])
    cpus: int = Field(default=1, ge=1, description=_TEXT["cpus"])
    memory_mb: int | None = Field(default=None, ge=1, description=_TEXT["memory_mb"])
    gpus: int = Field(default=0, ge=0, description=_TEXT["gpus"])
    time_limit_minutes: int | None = Field(default=None, ge=1, description=_TEXT["time_limit_minutes"])
    partition: str | None = Field(default=None, description=_TEXT["partition"])
    account: str | None = Field(default=None, description=_TEXT["account"])
    qos: str | None = Field(default=None, description=_TEXT["qos"])
    constraint: str | None = Field(default=None, description=_TEXT["constraint"])
    grace_seconds: int = Field(default=30, ge=0, description=_TEXT["grace_seconds"])
    log_lines_max: int = Field(default=10_000, ge=0, description=_TEXT["log_lines_max"])


def unknown_names(kind: str, given: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a line for each name that does not exist: the nearest one that does, and all of them."""
    names = sorted(known)
    lines: list[str] = []
    for name in sorted(set(given) - set(names)):
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        lines.append(f"{kind} {name!r} does not exist; {hint}there are: {', '.join(names) or 'none'}")
    return lines


def _unknown_variables(
    flow_run: FlowRun, deployment: DeploymentResponse | None, work_pool: WorkPool | None
) -> list[str]:
    schema = _mapping(work_pool.base_job_template.get("variables") if work_pool is not None else None)
    known = _mapping(schema.get("properties")) or SlurmVariables.model_fields
    given = [*(flow_run.job_variables or {}), *(deployment.job_variables or {} if deployment is not None else {})]
    return unknown_names("job variable", (name.split(".", 1)[0] for name in given), known)


def _unknown_parameters(flow_run: FlowRun, deployment: DeploymentResponse | None) -> list[str]:
    schema = _mapping(deployment.parameter_openapi_schema if deployment is not None else None)
    if "properties" not in schema:
        return []
    return unknown_names("parameter", flow_run.parameters, _mapping(schema["properties"]))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]  # JSON
