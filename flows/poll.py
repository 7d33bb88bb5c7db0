"""The flow whose deployments are pollers: a slurm pool's job is the poller, in a process pool the body starts one."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Protocol, cast

from prefect import flow
from pydantic import Field


class _Started(Protocol):
    """A process that prefect-shell has started, as synchronous code sees it."""

    def wait_for_completion(self) -> object:
        """Forward its output as logs until it ends; raises RuntimeError unless it ends with 0."""
        ...


@flow(name="poll")
def poll(stage: str, *, until_idle: bool = False, datasets: Annotated[int, Field(ge=1)] | None = None) -> None:
    """Claim the datasets of a stage, one after the other, and work on them.

    Args:
        stage: The stage, as its folder is called.
        until_idle: End as soon as nothing is left that could be claimed.
        datasets: End after so many datasets (default: the stage's datasets_per_poller).

    """
    from prefect_shell import ShellOperation  # noqa: PLC0415 - only a process pool comes here

    from flows import facts  # noqa: PLC0415 - loads the engine: only a run pays for that

    facts.opened().catalog.stage(stage)
    words = shlex.join(command(stage, until_idle=until_idle, datasets=datasets))
    with ShellOperation(commands=[f"exec {words}"], log_prefix=None) as operation:
        cast("_Started", operation.trigger()).wait_for_completion()


def command(stage: str, *, until_idle: bool = False, datasets: int | None = None) -> list[str]:
    """Return the words that start a poller of this installation, whatever PATH says."""
    words = [sys.executable, "-m", "stages.engine", "poll", stage]
    if until_idle:
        words.append("--until-idle")
    return words if datasets is None else [*words, "--datasets", str(datasets)]
