"""Does a reader of README who has SLURM's packages see what it shows?"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.cluster.cluster import Cluster
from tests.cluster.clusters import SHORT, need_slurm
from tests.repository.checkout import ROOT
from tests.repository.transcripts import ON_SLURM, difference, execute, steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]


@pytest.fixture
def home() -> Iterator[Path]:
    """A reader's home, in which a cluster may be: it is down at the end."""
    need_slurm()
    found = Path(tempfile.mkdtemp(prefix="phaseline-home-", dir=SHORT))
    yield found
    Cluster(found / "slurm").down()
    shutil.rmtree(found)


def test_slurm_on_your_laptop(home: Path) -> None:
    transcript = steps((ROOT / "README.md").read_text(encoding="utf-8"), ON_SLURM)
    assert transcript
    printed = execute([step.command for step in transcript], home, timeout_seconds=300)
    differences = [
        f"README.md:{step.line}: $ {step.command}\n{found}"
        for step, seen in zip(transcript, printed, strict=True)
        if (found := difference("\n".join(step.shown), seen, home))
    ]
    assert differences == [], "\n\n".join(differences)
