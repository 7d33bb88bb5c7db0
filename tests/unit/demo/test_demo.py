"""The demo's own decisions: which trees, and what a moment of progress says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.demo import corpus, progress
from infra.demo.corpus import TREE_BYTES_MAX, Tree

STAGES = ("one", "two")


def package(site: Path, name: str, size_bytes: int) -> None:
    (site / name).mkdir()
    (site / name / "__init__.py").write_text("x" * size_bytes)


def line(published: int, *, waiting: int = 0, in_flight: int = 0, quarantined: int = 0, paused: object = None) -> str:
    counts = dict.fromkeys((*progress.READY, *progress.STUCK), 0)
    counts |= {"waiting": waiting, "in_flight": in_flight, "quarantined": quarantined}
    counted = [("one", counts), ("two", dict.fromkeys(counts, 0))]
    stages: list[dict[str, object]] = [
        {"stage": stage, "needs_a_person": [], "paused": paused if stage == "two" else None, **count}
        for stage, count in counted
    ]
    return json.dumps({"stages": stages, "results": {"location": "C", "published": published}})


def test_packages_are_found_smallest_first_and_nothing_else_is(tmp_path: Path) -> None:
    package(tmp_path, "big", 200)
    package(tmp_path, "small", 10)
    package(tmp_path, "_private", 5)
    (tmp_path / "data_only").mkdir()
    assert [tree.name for tree in corpus.installed_trees(tmp_path)] == ["small", "big"]


def test_the_tree_without_text_is_the_smallest_folder_of_libraries(tmp_path: Path) -> None:
    for name, size in (("numpy.libs", 30), ("pillow.libs", 20)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lib.so").write_bytes(b"\0" * size)
    assert [tree.name for tree in corpus.without_text(tmp_path)] == ["pillow.libs"]


@pytest.mark.parametrize("count", [2, 5, 30, 99])
def test_trees_are_spread_over_all_sizes_without_repetition(count: int) -> None:
    trees = [Tree(name=f"t{size}", path=Path(), size_bytes=size) for size in range(60)]
    giant = Tree(name="giant", path=Path(), size_bytes=TREE_BYTES_MAX + 1)
    chosen = corpus.spread([*trees, giant], count)
    assert len(chosen) == len(set(chosen)) == min(count, 60)
    assert (chosen[0], chosen[-1]) == (trees[0], trees[-1])


def test_it_is_over_once_nothing_waits_anywhere_quarantined_or_not() -> None:
    assert not progress.parse(line(3, waiting=1)).is_over
    assert not progress.parse(line(3, in_flight=1)).is_over
    assert progress.parse(line(3, quarantined=2)).is_over


def test_a_stage_whose_pollers_all_fail_is_told() -> None:
    assert progress.parse(line(3)).paused == ""
    pause = {"until": 1.0, "failures": 5, "why": "no module named numpy"}
    found = progress.parse(line(3, paused=pause)).paused
    assert found == "the latest 5 pollers of two all failed: no module named numpy"


def test_a_line_of_progress_counts_from_where_the_demo_began() -> None:
    before = progress.parse(line(10, quarantined=1))
    now = progress.parse(line(14, waiting=1, in_flight=1, quarantined=2))
    shown = progress.render(now, before=before, datasets=8, seconds=60)
    assert "5/8" in shown
    assert "one 1+1  two 0+0  published 4  quarantined 1  5/min" in shown


def test_datasets_of_ones_own_go_through_all_stages_and_a_second_time(tmp_path: Path) -> None:
    words = " ".join(f"word{number % 97} follows word{number % 89}" for number in range(4000))
    for name in ("letters", "novels"):
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"chapter{number}.txt").write_text(
                "\n".join(f"{number} {words[start : start + 70]}" for start in range(0, len(words), 70))
            )
    environment = {**os.environ, "PHASELINE_ROOT": str(tmp_path / "root")}
    command = [sys.executable, "-m", "stages.engine", "demo", "--no-prefect"]
    command += [str(tmp_path / "letters"), str(tmp_path / "novels")]
    for turn in ("", "turn 2"):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert turn in done.stdout
        assert done.stdout.splitlines()[-1].startswith("demo: 2 published, 0 quarantined in ")
