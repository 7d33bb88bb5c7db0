"""The demo on a private SLURM: the cluster comes up, the workers of the stack hand jobs in there, all goes down."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.cluster.cluster import Cluster
from infra.cluster.errors import ClusterError
from infra.cluster.place import place_of
from infra.demo import show
from infra.demo.show import DemoError
from infra.stack import place

NAME = "demo-slurm"


@contextmanager
def slurm(*, keep: bool) -> Generator[Mapping[str, str]]:
    """Bring a cluster up; gives what its clients need in their environment. Raises DemoError.

    It is down again at the end unless it was up before or is to be kept.
    """
    try:
        directory, is_passing = _directory()
        cluster = Cluster(directory)
        is_kept = keep or (cluster.place.record.exists() and cluster.status().is_up)
        try:
            cluster.up()
            show.say(f"SLURM is up; to look at it: export SLURM_CONF={cluster.place.configuration}; squeue; sinfo")
            yield cluster.environment()
        finally:
            if not is_kept:
                cluster.down()
                show.say("SLURM is down")
            if is_passing and not is_kept:
                shutil.rmtree(directory, ignore_errors=True)
    except ClusterError as error:
        raise DemoError(str(error)) from None


def _directory() -> tuple[Path, bool]:
    """Return the cluster's directory in the stack's, or, where SLURM cannot name that, a passing one."""
    own = place.find().directory / NAME
    try:
        place_of(own)
    except ClusterError:
        return Path(tempfile.mkdtemp(prefix=f"{NAME}-", dir="/tmp")), True
    own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return own, False
