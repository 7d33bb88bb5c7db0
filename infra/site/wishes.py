"""What the deployments of a clone ask of the cluster: their pollers' jobs, as a worker would make them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import yaml
from pydantic import ValidationError

from infra.slurm.spec import JobSpec
from infra.slurm.variables import SlurmConfiguration, SlurmVariables
from infra.stack import pools
from infra.stack.errors import StackError

DEPLOYMENTS = "prefect.yaml"
TYPE = "slurm"
EXAMINED = ("doctor", "--json")  # what its command does on a node instead of `poll`


class WishesError(Exception):
    """The deployments cannot be read; the text says which file and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Deployments that ask for the same. `problem`: why no job can be made of them, else `configuration` makes one."""

    names: tuple[str, ...]
    problem: str = ""
    configuration: SlurmConfiguration = field(default_factory=SlurmConfiguration)

    @property
    def check(self) -> str:
        """What its findings are called."""
        return ", ".join(f"poll/{name}" for name in self.names)

    def job(self, tag: str, directory: str, environment: Mapping[str, str]) -> JobSpec:
        """Return the job, its command being to examine what it finds. Raises ValueError, OSError."""
        own = {name: value for name, value in self.configuration.env.items() if value is not None}
        said = self.configuration.model_copy(
            update={
                "name": "phaseline-doctor",
                "jobs_directory": directory,
                "env": {**environment, **own},
                "command": [*self.configuration.command[:1], *EXAMINED],
            }
        )
        return replace(said.spec(tag), name="phaseline-doctor")


def read_wishes(clone: Path) -> list[Wish]:
    """Return what the deployments in pools of type slurm ask for, each different wish once. Raises WishesError."""
    try:
        there = {pool.name: pool for pool in pools.read(clone)}
        said = cast("dict[str, list[dict[str, object]]]", yaml.safe_load((clone / DEPLOYMENTS).read_text("utf-8")))
        deployments = [_Deployment.read(one) for one in said["deployments"]]
    except (StackError, OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise WishesError(f"{clone / DEPLOYMENTS} cannot be read: {error}") from error
    found: dict[str, Wish] = {}
    for one in deployments:
        pool = there.get(one.pool)
        if pool is None:
            found[one.name] = Wish(names=(one.name,), problem=f"there is no work pool {one.pool!r} in work-pools/")
        elif pool.type == TYPE:
            wish = _wish(one, pool)
            key = _key(wish)
            found[key] = replace(wish, names=(*found[key].names, *wish.names)) if key in found else wish
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deployment:
    name: str
    pool: str
    variables: Mapping[str, object]

    @classmethod
    def read(cls, said: Mapping[str, object]) -> _Deployment:
        pool = cast("dict[str, object]", said["work_pool"])
        variables = cast("dict[str, object]", pool.get("job_variables") or {})
        return cls(name=str(said["name"]), pool=str(pool["name"]), variables=variables)


def _wish(deployment: _Deployment, pool: pools.Pool) -> Wish:
    """Prefect's merge: the pool's defaults, and what the deployment says instead."""
    schema = cast("dict[str, dict[str, dict[str, object]]]", pool.template.get("variables") or {})
    properties = schema.get("properties") or {}
    values = {name: about["default"] for name, about in properties.items() if "default" in about}
    values |= {name: value for name, value in deployment.variables.items() if value is not None or name not in values}
    names = (deployment.name,)
    unknown = sorted(set(deployment.variables) - set(properties or SlurmVariables.model_fields))
    if unknown:
        return Wish(names=names, problem=f"there is no job variable {', '.join(unknown)}")
    try:
        SlurmVariables.model_validate(values)
        known = {name: value for name, value in values.items() if name in SlurmConfiguration.model_fields}
        return Wish(names=names, configuration=SlurmConfiguration.model_validate(known))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return Wish(names=names, problem=f"job variable {'.'.join(map(str, first['loc']))}: {first['msg']}")


def _key(wish: Wish) -> str:
    """What two deployments have in common that ask for the same; what they poll is not asked of the cluster."""
    said = wish.configuration.model_dump(exclude={"name", "labels"}, mode="json")
    return repr((wish.problem, {**said, "command": said["command"][:1]}))


def environment(root: str, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what a worker of this environment would give its jobs."""
    own = {name: value for name, value in base.items() if name.startswith("PHASELINE_")}
    return {**own, "PHASELINE_ROOT": root}


def jobs(wishes: Sequence[Wish]) -> list[Wish]:
    """Return the wishes of which a job can be made."""
    return [wish for wish in wishes if not wish.problem]
