"""The base job templates as they should be: what each worker's variables say, with our defaults.

python -m tests.repository.work_pools writes them anew, after the worker's variables have changed.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Protocol, TypedDict, cast

from prefect.workers.process import ProcessWorker

from infra.slurm.worker import SlurmWorker
from tests.repository.checkout import ROOT

POOLS = ROOT / "work-pools"
DEFAULTS: dict[str, dict[str, object]] = {
    # One process instead of three: nothing is to be fetched or prepared for a flow that is imported.
    "control": {"command": "python -m prefect.engine"},
    "slurm-cpu": {"memory_mb": 4096, "time_limit_minutes": 240},
    "slurm-gpu": {"memory_mb": 4096, "time_limit_minutes": 240, "gpus": 1},
}


class Worker(Protocol):
    """What we need of a worker's class."""

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, object]:
        """Return the template that its variables make."""
        ...


WORKERS: dict[str, type[Worker]] = {"process": ProcessWorker, "slurm": SlurmWorker}


class Pool(TypedDict):
    """What pools.toml says of one."""

    type: str
    concurrency_limit: int


class Schema(TypedDict):
    """The job variables that a pool knows, by name."""

    type: str
    properties: dict[str, dict[str, object]]


class Template(TypedDict):
    """A base job template."""

    job_configuration: dict[str, object]
    variables: Schema


def pools() -> dict[str, Pool]:
    """Return the pools by their names."""
    return cast("dict[str, Pool]", tomllib.loads((POOLS / "pools.toml").read_text()))


def written(pool: str) -> Template:
    """Return a pool's template as it stands in its file."""
    return cast("Template", json.loads(path(pool).read_text()))


def path(pool: str) -> Path:
    """Return where a pool's template stands."""
    return POOLS / f"{pool}.json"


def due(pool: str) -> Template:
    """Return a pool's template as it should stand in its file."""
    found = cast("Template", WORKERS[pools()[pool]["type"]].get_default_base_job_template())
    properties = found["variables"]["properties"]
    for name, default in DEFAULTS[pool].items():
        properties[name]["default"] = default
    return found


if __name__ == "__main__":
    for name in pools():
        path(name).write_text(json.dumps(due(name), indent=2) + "\n")
