"""What a deployment says of its job (job variables), and the job configuration that a worker makes of it for a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Self, cast
from uuid import UUID

from prefect.client.schemas.objects import Flow, FlowRun, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.workers.base import BaseJobConfiguration, BaseVariables
from pydantic import BaseModel, Field, ModelWrapValidatorHandler, PrivateAttr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from infra.containers.image import DIRECTORY as IMAGES
from infra.containers.image import Image, ImageError, find_image
from infra.containers.runtime import ContainerError, Runtime
from infra.slurm.contained import contained, is_secret, passed_on
from infra.slurm.job import JobSpec
from infra.slurm.transport import SubmissionRefusedError

RUNTIME = "PHASELINE_CONTAINER_RUNTIME"  # the variable of the worker that says what this site's images run in

_TEXT = {
    "command": "The program and its arguments, an element of the list each; no shell reads it. Required.",
    "image": "Container image: a name below PHASELINE_IMAGES of the worker, or an absolute path (for podman a reference"
    " too). Needs a container runtime; without one the command runs in the node's own system.",
    "container_runtime": "What the image runs in; empty: PHASELINE_CONTAINER_RUNTIME of the worker, else none.",
    "binds": "What an image sees of the node besides the data root, the job's directory and /tmp: /there or"
    " /there:/inside, an element of the list each. One with the target /tmp replaces the node's /tmp.",
    "env": "Environment variables of the job. The worker adds its own PHASELINE_* and PHASELINE_PARAMETERS (the run's"
    " parameters as JSON), never anything of Prefect's.",
    "working_directory": "Absolute path to start the command in; empty: the job's own directory.",
    "jobs_directory": "Absolute path on shared storage that holds a directory for each job;"
    " empty: $PHASELINE_ROOT/_jobs of the worker.",
    "transport": "What carries the job: sbatch, slurmrestd, local (this machine), or auto: sbatch where it is found,"
    " else local.",
    "cpus": "CPU cores for the command.",
    "memory_mb": "Memory for the command, in MiB; empty: the partition's default.",
    "gpus": "GPUs for the command; an image gets them passed through.",
    "gres": "Generic resources of any kind besides gpus, such as shard:2, an element of the list each.",
    "time_limit_minutes": "The job is ended after this long; empty: the partition's default.",
    "warning_seconds": "How long before its time limit the command is told (USR1), so that it claims nothing more;"
    " empty: grace_seconds.",
    "grace_seconds": "How long the command may take to end when it is told to, before it is killed.",
    "requeue": "Whether SLURM may start the job again after a preemption or when its node fails.",
    "partition": "SLURM partition; empty: the cluster's default.",
    "account": "SLURM account; empty: the user's default.",
    "qos": "SLURM quality of service; empty: the default.",
    "constraint": "SLURM features that the node must have, such as a100&nvlink.",
    "reservation": "SLURM reservation to run in; empty: none.",
    "exclude": "Nodes not to run on, such as node[3-5].",
    "directives": "More options of sbatch, such as licenses=matlab:1, an element of the list each; none that phaseline"
    " sets itself.",
    "log_lines_max": "How many lines of the output become the run's log; all of it stands in the job's directory.",
}


class _JobVariables(BaseModel):
    """The job variables, for the two classes that Prefect wants of them."""

    command: list[str] = Field(default_factory=list[str], description=_TEXT["command"])
    image: str | None = Field(default=None, description=_TEXT["image"])
    container_runtime: Runtime | None = Field(default=None, description=_TEXT["container_runtime"])
    binds: list[str] = Field(default_factory=list[str], description=_TEXT["binds"])
    env: dict[str, str | None] = Field(
        default_factory=dict[str, "str | None"], title="Environment Variables", description=_TEXT["env"]
    )
    working_directory: str | None = Field(default=None, pattern="^/", description=_TEXT["working_directory"])
    jobs_directory: str | None = Field(default=None, pattern="^/", description=_TEXT["jobs_directory"])
    transport: str = Field(default="auto", description=_TEXT["transport"])
    cpus: int = Field(default=1, ge=1, description=_TEXT["cpus"])
    memory_mb: int | None = Field(default=None, ge=1, description=_TEXT["memory_mb"])
    gpus: int = Field(default=0, ge=0, description=_TEXT["gpus"])
    gres: list[str] = Field(default_factory=list[str], description=_TEXT["gres"])
    time_limit_minutes: int | None = Field(default=None, ge=1, description=_TEXT["time_limit_minutes"])
    warning_seconds: int | None = Field(default=None, ge=0, description=_TEXT["warning_seconds"])
    grace_seconds: int = Field(default=30, ge=0, description=_TEXT["grace_seconds"])
    requeue: bool = Field(default=True, description=_TEXT["requeue"])
    partition: str | None = Field(default=None, description=_TEXT["partition"])
    account: str | None = Field(default=None, description=_TEXT["account"])
    qos: str | None = Field(default=None, description=_TEXT["qos"])
    constraint: str | None = Field(default=None, description=_TEXT["constraint"])
    reservation: str | None = Field(default=None, description=_TEXT["reservation"])
    exclude: str | None = Field(default=None, description=_TEXT["exclude"])
    directives: list[str] = Field(default_factory=list[str], description=_TEXT["directives"])
    log_lines_max: int = Field(default=10_000, ge=0, description=_TEXT["log_lines_max"])


class SlurmVariables(_JobVariables, BaseVariables):  # pyright: ignore[reportIncompatibleVariableOverride]  # a list needs no quoting
    """The job variables that a deployment may set, as the UI shows them."""


class SlurmConfiguration(_JobVariables, BaseJobConfiguration):  # pyright: ignore[reportIncompatibleVariableOverride]  # the same
    """A job as its job variables say; `spec` makes it one run's."""

    _refused: list[str] = PrivateAttr(default_factory=list[str])
    _problems: list[str] = PrivateAttr(default_factory=list[str])
    _images: str = PrivateAttr(default="")

    @property
    def problems(self) -> Sequence[str]:
        """Why no job can be made of this, each a line for people."""
        return self._problems

    @model_validator(mode="wrap")
    @classmethod
    def _collect(cls, values: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """What no job variable can be becomes a problem like the others, instead of an error in Prefect's words."""
        try:
            return handler(values)
        except ValidationError as error:
            refused = {str(one["loc"][0]): _refusal(one) for one in error.errors(include_url=False) if one["loc"]}
            if not refused or not isinstance(values, Mapping):
                raise
            given = cast("Mapping[str, object]", values)
            made = handler({name: value for name, value in given.items() if name not in refused})
            made._refused = list(refused.values())  # noqa: SLF001  # its own
            return made

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
            *self._refused,
            *_unknown_variables(flow_run, deployment, work_pool),
            *_unknown_parameters(flow_run, deployment),
            *(f"env {name}: jobs get nothing of Prefect's" for name in self.env if name.startswith("PREFECT_")),
            *(f"env {name}: jobs do not learn how the worker reaches SLURM" for name in self.env if is_secret(name)),
        ]
        if not self.command and "command" not in {line.split("'")[1] for line in self._refused}:
            self._problems.append("job variable 'command' is empty; say what to start, as a list")
        self._choose_runtime()
        own = passed_on(os.environ, is_contained=self.container_runtime is not Runtime.NONE)
        said = {name: value for name, value in self.env.items() if value is not None}
        ours = {"PHASELINE_PARAMETERS": json.dumps(flow_run.parameters, default=str, sort_keys=True)}
        env: dict[str, str | None] = {**own, **ours, **said}
        self.env = {name: value for name, value in env.items() if not (name.startswith("PREFECT_") or is_secret(name))}
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
        """Return the job to hand in by this tag. Raises SubmissionRefusedError; OSError where images are out of reach.

        An image is chosen here, by its name: what is built later is for later jobs.
        """
        directory = os.path.join(self.jobs_path, tag)
        spec = JobSpec(
            tag=tag,
            name=self.name or tag,
            directory=directory,
            command=tuple(self.command),
            working_directory=self.working_directory or directory,
            environment={name: value for name, value in self.env.items() if value is not None},
            time_limit_seconds=None if self.time_limit_minutes is None else self.time_limit_minutes * 60,
            warning_seconds=self.warning_seconds,
            grace_seconds=self.grace_seconds,
            cpus=self.cpus,
            memory_mb=self.memory_mb,
            gpus=self.gpus,
            gres=tuple(self.gres),
            partition=self.partition or "",
            account=self.account or "",
            qos=self.qos or "",
            constraint=self.constraint or "",
            reservation=self.reservation or "",
            exclude=self.exclude or "",
            requeue=self.requeue,
            directives=tuple(self.directives),
        )
        runtime = self.container_runtime or Runtime.NONE
        if runtime is Runtime.NONE:
            return spec
        try:
            return contained(spec, runtime, self._image(), self.binds)
        except (ContainerError, ImageError) as error:
            raise SubmissionRefusedError(str(error)) from error

    def _image(self) -> Image:
        return find_image(self.image or "", self._images)

    def _choose_runtime(self) -> None:
        """Take the site's runtime where the deployment names none; an image without one is the laptop's case."""
        self._images = os.environ.get(IMAGES, "")
        wanted = os.environ.get(RUNTIME, "")
        if self.container_runtime is None:
            try:
                self.container_runtime = Runtime(wanted or Runtime.NONE)
            except ValueError:
                self.container_runtime = Runtime.NONE
                self._problems.append(f"{RUNTIME} of the worker is {wanted!r}; there are: {', '.join(Runtime)}")
            if not self.image:
                self.container_runtime = Runtime.NONE
        elif self.container_runtime is not Runtime.NONE and not self.image:
            self._problems.append(f"container_runtime is {self.container_runtime}, and no image is named: set 'image'")


def unknown_names(kind: str, given: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a line for each name that does not exist: the nearest one that does, and all of them."""
    names = sorted(known)
    lines: list[str] = []
    for name in sorted(set(given) - set(names)):
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        lines.append(f"{kind} {name!r} does not exist; {hint}there are: {', '.join(names) or 'none'}")
    return lines


def _refusal(error: ErrorDetails) -> str:
    """Say what is wrong with a job variable's value."""
    name, *rest = map(str, error["loc"])
    what = error["msg"].replace("Input should", "it should")
    return f"job variable {name!r} is {error['input']!r}{' at ' + '.'.join(rest) if rest else ''}: {what}"


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
