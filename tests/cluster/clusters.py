"""Private clusters for tests: each in a directory of its own, and nothing of it left at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from infra.cluster import programs
from infra.cluster.cluster import Cluster
from infra.cluster.errors import ClusterError
from infra.cluster.shape import Shape

# A machine with much to do may stand still for seconds: no node of a test is to be taken for dead then.
STEADY = Shape(kill_wait_seconds=3, node_silence_seconds=60)
IMPATIENT = replace(STEADY, node_silence_seconds=10)
# Not below TMPDIR, which may have a space in its name, or a long one: SLURM can have neither.
SHORT = "/tmp"


@contextmanager
def a_cluster(shape: Shape = STEADY) -> Generator[Cluster]:
    """Bring a cluster up, and down again; a test may stop, kill and start whatever it likes in between."""
    need_slurm()
    directory = Path(tempfile.mkdtemp(prefix="phaseline-slurm-", dir=SHORT))
    directory.chmod(0o755)
    found = Cluster(directory, shape=shape)
    try:
        found.up()
        yield found
    finally:
        found.down()
        shutil.rmtree(directory, ignore_errors=True)


def need_slurm() -> None:
    """Fail where SLURM is not installed, in CI or not: whoever asks for these tests wants them."""
    try:
        programs.check()
    except ClusterError as error:
        pytest.fail(f"these tests are on a real SLURM; {error}", pytrace=False)
