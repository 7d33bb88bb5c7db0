"""Does a poller do what the run that it is the job of was asked for?"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stages.engine.cli import main
from stages.engine.errors import ExitCode, UsageError
from stages.engine.settings import PollParameters, poll_parameters
from tests.unit.chain import Chain


def test_they_are_read_as_prefect_gives_them() -> None:
    assert poll_parameters("") == PollParameters()
    given = '{"datasets": null, "stage": "phase4", "until_idle": true}'
    assert poll_parameters(given) == PollParameters(stage="phase4", until_idle=True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"dataset": 3}', "parameter dataset = 3: there is no such parameter; parameters of poll: stage, until_idle,"),
        ('{"datasets": 0}', "parameter datasets = 0: Input should be greater than or equal to 1;"),
        ('{"until_idle": "perhaps"}', "parameter until_idle = 'perhaps': Input should be a valid boolean"),
        ("{", "parameter PHASELINE_PARAMETERS = '{': Invalid JSON"),
        ("[]", "parameter PHASELINE_PARAMETERS = []: "),
    ],
)
def test_what_cannot_be_used_is_named(given: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        poll_parameters(given)
    assert str(error.value).startswith(said)


def test_a_run_of_another_stage_is_refused(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`prefect deployment run poll/first -p stage=second` would poll the wrong one in silence."""
    monkeypatch.setenv("PHASELINE_PARAMETERS", '{"stage": "second"}')
    words = ["--root", chain.root.path, "--stages", str(chain.stages), "poll", "first"]
    assert main(words) == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "phaseline: the run is for stage 'second', its command polls 'first'; prefect deployment run poll/second\n"
    )


@pytest.mark.parametrize(("given", "left"), [('{"until_idle": true}', 0), ('{"stage": "first", "datasets": 1}', 2)])
def test_they_stand_for_options(chain: Chain, given: str, left: int) -> None:
    """Without them it would go on for the stage's idle_seconds."""
    for number in range(3):
        chain.path(f"IN/ds{number}").mkdir()
        chain.path(f"IN/ds{number}/a.txt").touch()
    words = [sys.executable, "-m", "stages.engine", "--root", chain.root.path, "--stages", str(chain.stages)]
    environment = {**os.environ, "PHASELINE_PARAMETERS": given}
    subprocess.run([*words, "poll", "first"], env=environment, check=True, timeout=60, capture_output=True)
    assert len(chain.ls("IN")) == left
