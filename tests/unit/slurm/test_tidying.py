"""What is removed of jobs that are long over, and what is kept."""

from __future__ import annotations

import os
from pathlib import Path

from infra.slurm.tidying import KEEP_SECONDS, tidy

NOW = 2_000_000_000


def made(path: Path, age_seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (NOW - age_seconds, NOW - age_seconds))


def test_only_what_was_reported_long_ago_goes_and_a_runs_directories_go_together(tmp_path: Path) -> None:
    made(tmp_path / "_workers" / "me", 0)
    made(tmp_path / "_workers" / "dead", 100_000)
    made(tmp_path / "_workers" / "stopped", 1000)
    for name, age in [("old.0", KEEP_SECONDS + 1), ("new.0", 5), ("again.0", KEEP_SECONDS + 1)]:
        made(tmp_path / name / "reported", age)
    made(tmp_path / "again.1" / "output", KEEP_SECONDS + 1)  # still runs, or nobody was told
    made(tmp_path / "notes.txt", KEEP_SECONDS + 1)
    assert tidy(str(tmp_path), str(tmp_path / "_workers" / "me")) == 1
    assert sorted(os.listdir(tmp_path)) == ["_workers", "again.0", "again.1", "new.0", "notes.txt"]
    assert sorted(os.listdir(tmp_path / "_workers")) == ["me", "stopped"]
