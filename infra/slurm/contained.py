"""A job in a container: the runtime's command around its own, and what passes of its environment. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace

from infra.containers.image import Image
from infra.containers.runtime import Bind, Container, Runtime, argument_list, binds_of, parse_bind
from infra.slurm.spec import JobSpec

# What the batch system and the job's script say, beside what the job's environment holds.
OF_THE_NODE = (
    "CUDA_VISIBLE_DEVICES",
    "LANG",
    "PHASELINE_ENDS_AT",
    "SLURMD_NODENAME",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_CPUS_PER_TASK",
    "SLURM_JOB_ID",
    "SLURM_RESTART_COUNT",
    "USER",
)
# The worker's own business: how it reaches SLURM, and what it starts jobs in.
_WORKERS_OWN = ("PHASELINE_CONTAINER_RUNTIME", "PHASELINE_IMAGES", "PHASELINE_LOCAL_SLOTS", "PHASELINE_STACK")
_OF_THE_SYSTEM = ("PHASELINE_STAGES",)  # a path of the node's; the image has its own stages


def passed_on(environment: Mapping[str, str], *, is_contained: bool) -> dict[str, str]:
    """Return what a worker's environment gives to its jobs."""
    kept_back = (*_WORKERS_OWN, *(_OF_THE_SYSTEM if is_contained else ()))
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("PHASELINE_") and not is_secret(name) and name not in kept_back
    }


def is_secret(name: str) -> bool:
    """Tell whether a variable is how the worker speaks with SLURM: no job may do so in its name."""
    return name.startswith("PHASELINE_SLURMRESTD_")


def contained(spec: JobSpec, runtime: Runtime, image: Image, binds: Sequence[str]) -> JobSpec:
    """Return the job that runs the same command in the image. Raises ContainerError.

    It sees the data root, its own directory, /tmp and `binds`, all at the paths that they have on the node.
    """
    root = spec.environment.get("PHASELINE_ROOT", "")
    seen = [posixpath.normpath(path) for path in (root, spec.directory) if path]
    environment = {**spec.environment, "PHASELINE_IMAGE": image.described}
    container = Container(
        runtime=runtime,
        image=image.place,
        command=spec.command,
        working_directory=spec.working_directory,
        binds=binds_of([*(Bind(source=path, target=path) for path in seen), *map(parse_bind, binds)]),
        environment=tuple(sorted({*environment, *OF_THE_NODE})),
        has_gpus=spec.gpus > 0 or any(one.partition(":")[0] == "gpu" for one in spec.gres),
    )
    return replace(spec, command=argument_list(container), environment=environment, working_directory=spec.directory)
