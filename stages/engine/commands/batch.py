"""The batch system, as an installed package knows how to ask it about jobs: entry points `phaseline.jobs_ended`.

An entry point names a callable that is given the root's path. It returns None where no batch system is set up, else
what answers for jobs (`123.0`, number and restart count), all of them at once: True for one that certainly ended (or a
word, where the cluster took it away: `preempted`, `requeued`), False for one that has not; it leaves out what it cannot
tell, and raises anything where it could not ask.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import cast

from loguru import logger

from stages.engine.holders import Ask, Bulletin

GROUP = "phaseline.jobs_ended"


def bulletin(root: str) -> Bulletin:
    """Return what answers for jobs of this root; it knows of none where nothing is installed or set up that does."""
    for entry in metadata.entry_points(group=GROUP):
        try:
            connect = cast("Callable[[str], Ask | None]", entry.load())
        except ModuleNotFoundError:
            continue  # an image has the engine, and nothing of those who know SLURM
        try:
            ask = connect(root)
        except Exception as error:  # noqa: BLE001 - a package of somebody's: without it, leases decide
            logger.error("the batch system cannot be asked ({}: {}): leases alone decide", entry.value, error)
            continue
        if ask is not None:
            return Bulletin(ask)
    return Bulletin()
