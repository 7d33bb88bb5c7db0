"""Are SLURM's programs and settings judged by what pollers need?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from infra.site.asking import Said, ask
from infra.site.programs import controller, programs, read_settings, settings

CONFIG = """\
Configuration data as of 2026-11-21T15:00:00
ClusterName             = mini
JobRequeue              = 1
KillWait                = 30 sec
MinJobAge               = 300 sec
AccountingStorageType   = (null)
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at vm is UP
"""


def lines(config: str, **environment: str) -> list[str]:
    return [found.line for found in settings(read_settings(config), environment)]


def test_programs_and_their_version() -> None:
    def version(words: Sequence[str]) -> Said:
        assert list(words) == ["sbatch", "--version"]
        return Said(code=0, output="slurm-wlm 22.05.8\n")

    (found,) = programs(version, lambda program: f"/usr/bin/{program}")
    assert found.line == "ok       SLURM commands: sbatch squeue scontrol scancel sinfo; slurm-wlm 22.05.8"
    (found,) = programs(version, lambda program: None if program in {"squeue", "scancel"} else program)
    assert found.line == (
        "fault    SLURM commands: not on PATH: squeue, scancel. "
        "load SLURM's module, or put its bin directory on PATH of the worker"
    )


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            Said(code=0, output="Slurmctld(primary) at vm is UP\n"),
            "ok       controller: Slurmctld(primary) at vm is UP",
        ),
        (
            Said(code=1, output="Slurmctld(primary) at vm is DOWN\n"),
            (
                "fault    controller: Slurmctld(primary) at vm is DOWN. "
                "ask the site; until it answers, workers wait and pollers go on"
            ),
        ),
        (
            Said(code=None, error="`scontrol` did not answer within 20 s"),
            (
                "fault    controller: `scontrol` did not answer within 20 s. "
                "ask the site; until it answers, workers wait and pollers go on"
            ),
        ),
    ],
)
def test_the_controller(said: Said, line: str) -> None:
    (found,) = controller(lambda words: said)
    assert found.line == line


def test_settings_that_do() -> None:
    assert lines(CONFIG) == [
        "ok       KillWait: 30 s from TERM to KILL; a poller lets go within 20 s",
        ("ok       accounting: none: what became of a job is known from its result file, and while SLURM remembers it"),
        "ok       cluster: mini, SLURM 22.05.8",
    ]


def test_a_job_that_is_killed_before_it_can_let_go_is_a_warning() -> None:
    short = CONFIG.replace("= 30 sec", "= 15 sec")
    assert lines(short)[0] == (
        "warning  KillWait: a job has 15 s from TERM to KILL, and a poller takes up to 20 s to let go. "
        "set PHASELINE_GRACE_SECONDS=10 in the worker's environment"
    )
    assert lines(short, PHASELINE_GRACE_SECONDS="10")[0].startswith("ok ")


def test_a_controller_that_forgets_quickly_is_a_warning() -> None:
    found = lines(CONFIG.replace("= 300 sec", "= 3 sec"))
    assert any(line.startswith("warning  MinJobAge: SLURM forgets a job 3 s after its end") for line in found)


def test_nothing_said_is_nothing_found() -> None:
    assert [line for line in lines("") if not line.startswith("ok ")] == []


def test_a_program_that_is_not_there_or_silent_has_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # a directory that nobody may read gives another error
    assert ask(["no-such-program-anywhere"]) == Said(
        code=None, error="`no-such-program-anywhere` cannot be started: No such file or directory"
    )
    assert ask(["sleep", "60"], seconds=0.1).error == "`sleep` did not answer within 0 s"
    assert ask(["sh", "-c", "cat; echo sbatch: error: no >&2; exit 3"], told="hello") == Said(
        code=3, output="hello", error="sbatch: error: no\n"
    )
    assert ask(["sh", "-c", "echo sbatch: error: no >&2; exit 3"]).why == "no"
