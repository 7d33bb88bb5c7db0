"""What the deployments of a clone ask of the cluster: their pollers' jobs, as a worker would make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from uuid import UUID

import yaml
from prefect.client.schemas.objects import FlowRun

from infra.slurm.spec import JobSpec
from infra.slurm.transport import SubmissionRefusedError
from infra.slurm.transports import AUTO
from infra.slurm.variables import SlurmConfiguration
from infra.stack import pools
from infra.stack.errors import StackError

DEPLOYMENTS = "prefect.yaml"
TYPE = "slurm"
NAME = "phaseline-doctor"
EXAMINED = ("doctor", "--json")  # what its command does on a node instead of `poll`
_NOBODY = UUID(int=0)


class WishError(Exception):
    """The deployments cannot be read, or no job can be made of one; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A deployment of pollers: its own job variables, and `values`, its pool's defaults among them."""

    name: str
    own: Mapping[str, object]
    values: Mapping[str, object]

    @property
    def transport(self) -> str:
        """What is to carry its jobs, as the deployment says."""
        return str(self.values.get("transport") or AUTO)

    def job(self, tag: str, words: Sequence[str] = EXAMINED) -> JobSpec:
        """Return the job that a worker of this environment would hand in; its command does `words` instead of polling.

        Raises WishError.
        """
        made = SlurmConfiguration.model_validate({**self.values, "name": NAME})
        made.prepare_for_flow_run(FlowRun(flow_id=_NOBODY, name=NAME, job_variables=dict(self.own)))
        if made.problems:
            raise WishError("; ".join(made.problems))
        made.command = [*made.command[:1], *words]
        try:
            return made.spec(tag)
        except (SubmissionRefusedError, OSError) as error:
            raise WishError(str(error)) from error


def read_wishes(clone: Path) -> list[Wish]:
    """Return what the deployments in pools of type slurm ask for. Raises WishError."""
    try:
        there = {pool.name: pool for pool in pools.read(clone)}
        said = cast("dict[str, list[dict[str, object]]]", yaml.safe_load((clone / DEPLOYMENTS).read_text("utf-8")))
        wishes = [_wish(one, there) for one in said["deployments"]]
    except (StackError, OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise WishError(f"{clone / DEPLOYMENTS} cannot be read: {type(error).__name__} {error}") from error
    return [wish for wish in wishes if wish is not None]


def _wish(deployment: Mapping[str, object], there: Mapping[str, pools.Pool]) -> Wish | None:
    """Merge as Prefect does: the pool's defaults, and what the deployment says instead."""
    work_pool = cast("dict[str, object]", deployment["work_pool"])
    pool = there[str(work_pool["name"])]
    if pool.type != TYPE:
        return None
    own = cast("dict[str, object]", work_pool.get("job_variables") or {})
    schema = cast("dict[str, dict[str, dict[str, object]]]", pool.template["variables"])
    defaults = {name: about["default"] for name, about in schema["properties"].items() if "default" in about}
    values = {name: value for name, value in {**defaults, **own}.items() if name in SlurmConfiguration.model_fields}
    return Wish(name=f"poll/{deployment['name']}", own=own, values=values)
