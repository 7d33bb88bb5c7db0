"""Does a poll run do what the poller's command does, for who sends it to a process pool?"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ParameterTypeError

from flows.poll import command, poll
from tests.flows.pipeline import Pipeline


@pytest.fixture(autouse=True)
def closed_pipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """prefect-shell leaves its process's pipes open: the flow's own process ends then, this one does not."""
    started: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - what Popen takes
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Kept)
    yield
    for pipe in (pipe for process in started for pipe in (process.stdout, process.stderr) if pipe is not None):
        pipe.close()


@pytest.fixture
def pipeline(client: SyncPrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    found = Pipeline(client, tmp_path)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


def test_it_carries_datasets_on(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    pipeline.add(3)
    state = poll(pipeline.first, until_idle=True, return_state=True)
    assert state.type is StateType.COMPLETED
    assert len(os.listdir(pipeline.root.location("IN").done)) == 3
    assert "poller ended: idle" in caplog.text


def test_it_ends_after_so_many(pipeline: Pipeline) -> None:
    pipeline.add(3)
    poll(pipeline.first, datasets=1)
    assert len(os.listdir(pipeline.root.location("IN").done)) == 1


def test_its_failure_is_the_runs(pipeline: Pipeline) -> None:
    toml = pipeline.top / "stages" / pipeline.first / "stage.toml"
    toml.write_text(toml.read_text().replace('command = ["true"]', 'callable = "stage:process"'))
    state = poll(pipeline.first, until_idle=True, return_state=True)
    assert state.type is StateType.FAILED
    assert "failed with return code 78" in (state.message or "")


def test_a_stage_that_there_is_not_is_refused_with_those_that_there_are(pipeline: Pipeline) -> None:
    state = poll("pahse4", return_state=True)
    assert state.type is StateType.FAILED
    assert "there is no stage 'pahse4'" in (state.message or "")
    assert f"stages here: {pipeline.first}, {pipeline.second}" in (state.message or "")


def test_a_parameter_that_makes_no_sense_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(ParameterTypeError, match="greater than or equal to 1"):
        poll(pipeline.first, datasets=0)


def test_the_command_is_this_installations() -> None:
    assert command("phase4") == [sys.executable, "-m", "stages.engine", "poll", "phase4"]
    assert command("phase4", until_idle=True, datasets=7)[-3:] == ["--until-idle", "--datasets", "7"]
