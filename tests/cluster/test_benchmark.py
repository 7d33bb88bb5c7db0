"""Does the benchmark on SLURM measure what it says? No time is asserted here: `make bench-slurm` measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import slurm, slurm_questions
from infra.cluster.cluster import Cluster

pytestmark = pytest.mark.cluster
DATASETS = 4


def test_both_ways_carry_all_datasets(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)
    before = slurm_questions.asked(cluster)
    seconds, jobs = slurm.by_pollers(str(tmp_path / "pollers"), DATASETS)
    assert seconds > 0
    assert jobs == slurm.STAGES * slurm.POLLERS_OF_A_STAGE <= slurm.JOBS_MAX
    assert slurm_questions.asked(cluster) >= before + jobs
    assert slurm.by_jobs(cluster, str(tmp_path / "jobs"), DATASETS) > 0
    assert list(tmp_path.iterdir()) == []
