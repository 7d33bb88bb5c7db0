"""Does the real bash hand over everything as it is, pass signals on, and leave a result behind?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.slurm.job import NO_DIRECTORY, NO_STORAGE, JobSpec, render_script
from infra.slurm.result import Result, read_result
from infra.slurm.states import JobState
from tests.contract.clusters import is_pending
from tests.waiting import wait_until

LIMIT_SECONDS = 30.0
HOSTILE = st.one_of(
    st.binary(max_size=40).map(lambda some: os.fsdecode(some.replace(b"\0", b""))),
    st.text("'\"\\`$(){}[]*?!#&|;<>~ \n\t\r=%-\x7f\u00e9", max_size=20),
    st.sampled_from(
        ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "a\nEOF\ntouch pwned\n", "-n", "--", "!!", "~"]
    ),
)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True).map(lambda name: f"T_{name}")
REPORT = (
    "import os, sys, json, signal\n"
    "json.dump({'arguments': sys.argv[2:], 'environment': dict(os.environ), 'directory': os.getcwd(),\n"
    "  'signals': [str(signal.getsignal(s)) for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGQUIT)],\n"
    "  'interrupts': signal.getsignal(signal.SIGINT) is signal.default_int_handler}, open(sys.argv[1], 'w'))\n"
)
ANSWERING = (
    "import signal, sys\n"
    "for number in (signal.SIGTERM, signal.SIGUSR1):\n"
    "    signal.signal(number, lambda number, _: print('got', signal.Signals(number).name, flush=True))\n"
    "print('ready', flush=True)\n"
    "for line in open(sys.argv[1]):\n"
    "    sys.exit(int(line))\n"
)


class Report(TypedDict):
    """What the command saw of itself."""

    arguments: list[str]
    environment: dict[str, str]
    directory: str
    signals: list[str]
    interrupts: bool


def read_report(path: Path) -> Report:
    return cast("Report", json.loads(path.read_text()))


def spec(top: Path, *command: str) -> JobSpec:
    return JobSpec(tag="a.1", name="a", directory=str(top), command=command, working_directory=str(top))


def write_script(top: Path, one: JobSpec) -> str:
    path = top / "script"
    path.write_bytes(os.fsencode(render_script(one)))
    return str(path)


def carry_out(top: Path, one: JobSpec, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", write_script(top, one)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=LIMIT_SECONDS,
    )


@contextmanager
def answering(top: Path, **environment: str) -> Generator[tuple[subprocess.Popen[str], Path]]:
    """A script whose command says what signals it got until its pipe says with what to exit."""
    pipe = top / "pipe"
    os.mkfifo(pipe)
    script = write_script(top, spec(top, sys.executable, "-c", ANSWERING, str(pipe)))
    output = top / "output"
    with (
        output.open("w") as file,
        subprocess.Popen(
            ["/bin/bash", script],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=file,
            text=True,
            start_new_session=True,
        ) as bash,
    ):
        try:
            wait_until(lambda: "ready" in output.read_text(), LIMIT_SECONDS, "the command")
            yield bash, output
            bash.wait(LIMIT_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(bash.pid, signal.SIGKILL)


@settings(max_examples=25)
@given(
    arguments=st.lists(HOSTILE, max_size=5),
    environment=st.dictionaries(NAMES, HOSTILE, max_size=4),
    name=HOSTILE,
    place=st.text("'\"`$(){}[]*?!#&|;<>~ =%-\u00e9", min_size=1, max_size=20),
)
def test_everything_arrives_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, arguments: list[str], environment: dict[str, str], name: str, place: str
) -> None:
    top = tmp_path_factory.mktemp("top")
    there = top / f"x{place}"
    there.mkdir()
    said, program = top / "said", top / "program"
    program.write_text(REPORT)
    one = spec(top, sys.executable, "-I", str(program), str(said), *arguments)
    one = replace(one, name=name, environment=environment, working_directory=str(there))
    done = carry_out(top, one, PREFECT_API_KEY="secret", PREFECT_LOGGING_LEVEL="x", KEPT="yes")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    report = read_report(said)
    assert report["arguments"] == arguments
    assert report["directory"] == str(there)
    got = report["environment"]
    assert {key: got[key] for key in environment} == environment
    assert got.keys() - environment.keys() - {"PATH", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"} == {"KEPT"}
    assert sorted(os.listdir(top)) == sorted(["program", "said", "script", there.name])


def test_the_command_begins_with_signals_as_they_should_be(tmp_path: Path) -> None:
    """What bash starts in the background ignores SIGINT; no command expects that."""
    (tmp_path / "program").write_text(REPORT)
    carry_out(tmp_path, spec(tmp_path, sys.executable, "-I", str(tmp_path / "program"), str(tmp_path / "said")))
    report = read_report(tmp_path / "said")
    assert report["signals"] == [str(signal.SIG_DFL)] * 3
    assert report["interrupts"] is True


@pytest.mark.parametrize("name", ["TERM", "USR1"])
def test_a_signal_to_the_script_reaches_the_command_once(tmp_path: Path, name: str) -> None:
    with answering(tmp_path) as (bash, output):
        bash.send_signal(signal.Signals[f"SIG{name}"])
        wait_until(lambda: f"got SIG{name}" in output.read_text(), LIMIT_SECONDS, "the signal")
        (tmp_path / "pipe").write_text("7\n")
    assert bash.returncode == 7
    assert output.read_text() == f"ready\ngot SIG{name}\n"


def test_under_slurm_a_term_to_all_is_not_doubled(tmp_path: Path) -> None:
    """And USR1, which the script alone is sent, is passed on there too; the script waits for the command's own end."""
    with answering(tmp_path, SLURM_JOB_ID="12") as (bash, output):
        bash.terminate()
        wait_until(lambda: not is_pending(bash.pid, signal.SIGTERM), LIMIT_SECONDS, "bash to take TERM")
        bash.send_signal(signal.SIGUSR1)
        wait_until(lambda: "got SIGUSR1" in output.read_text(), LIMIT_SECONDS, "the signal")
        (tmp_path / "pipe").write_text("0\n")
    assert bash.returncode == 0
    assert output.read_text() == "ready\ngot SIGUSR1\n"
    result = read_result(str(tmp_path), "result.12.0")
    assert result is not None
    assert (result.state, result.exit_code) == (JobState.CANCELLED, 0), (
        "who sends TERM knows why, the exit code does not"
    )


def test_a_command_that_dies_while_term_is_caught_has_died_of_it(tmp_path: Path) -> None:
    """SLURM tells the command and the script in one moment: in a fifth of these bash loses how the command ended."""
    script = write_script(tmp_path, spec(tmp_path, "sleep", "60"))
    for restart in range(20):
        environment = {"PATH": os.environ["PATH"], "SLURM_JOB_ID": "12", "SLURM_RESTART_COUNT": str(restart)}
        with subprocess.Popen(["/bin/bash", script], env=environment) as bash:
            children = Path(f"/proc/{bash.pid}/task/{bash.pid}/children")
            wait_until(lambda found=children: b"sleep" in command_of(found), LIMIT_SECONDS, "the command")
            for pid in (bash.pid, int(children.read_text())):
                os.kill(pid, signal.SIGTERM)
            assert bash.wait(LIMIT_SECONDS) == 128 + signal.SIGTERM
        result = read_result(str(tmp_path), f"result.12.{restart}")
        assert result is not None
        assert (result.state, result.exit_code, result.signal) == (JobState.CANCELLED, None, signal.SIGTERM)


def command_of(children: Path) -> bytes:
    """Return the command line of the one child."""
    pid = children.read_text().strip()
    return Path(f"/proc/{pid}/cmdline").read_bytes() if pid else b""


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("bash", "-c", "exit 78"), 78),
        (("bash", "-c", "kill -KILL $$"), 137),
        (("no-such-program",), 127),
        (("/",), 126),
        (("cd", "/"), 127),
        (("-l",), 127),
    ],
)
def test_the_script_ends_as_the_command_did(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    """A name that bash knows is still a program's name."""
    assert carry_out(tmp_path, spec(tmp_path, *command)).returncode == code
    assert os.listdir(tmp_path) == ["script"]


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    done = carry_out(tmp_path, replace(spec(tmp_path, "true"), working_directory="/no/such/place"))
    assert done.returncode == NO_DIRECTORY
    assert "/no/such/place" in done.stderr


@pytest.mark.parametrize(
    ("code", "state", "exit_code", "number"),
    [
        ("exit 0", JobState.COMPLETED, 0, None),
        ("exit 79", JobState.FAILED, 79, None),
        ("exit 255", JobState.FAILED, 255, None),
        ("kill -SEGV $$", JobState.FAILED, None, signal.SIGSEGV),
    ],
)
def test_under_slurm_it_leaves_a_result_for_each_start(
    tmp_path: Path, code: str, state: JobState, exit_code: int | None, number: int | None
) -> None:
    top = tmp_path / 'it\'s "here" %j'
    top.mkdir()
    one = replace(spec(top, "bash", "-c", code), environment={"SECRET": "s3cret"})
    results: list[Result | None] = []
    for restart in ("", "1"):
        done = carry_out(top, one, SLURM_JOB_ID="12", SLURM_RESTART_COUNT=restart, SLURMD_NODENAME="n7")
        assert "s3cret" not in done.stderr
        results.append(read_result(str(top), f"result.12.{restart or 0}"))
    assert sorted(os.listdir(top)) == ["began.12.0", "began.12.1", "job", "result.12.0", "result.12.1", "script"]
    assert os.readlink(top / "job") == "12"
    for restarts, result in enumerate(results):
        assert result is not None
        assert (result.state, result.exit_code, result.signal) == (state, exit_code, number)
        assert (result.restarts, result.node) == (restarts, "n7")
        assert result.started is not None
        assert result.started <= result.ended


def test_one_tag_is_carried_out_by_one_job_which_may_be_put_back(tmp_path: Path) -> None:
    """The answer of the first submission was lost, so that there was a second one."""
    one = spec(tmp_path, "echo", "done")
    assert carry_out(tmp_path, one, SLURM_JOB_ID="12").stdout == "done\n"
    second = carry_out(tmp_path, one, SLURM_JOB_ID="13")
    assert (second.returncode, second.stdout) == (
        0,
        "phaseline: job 12 carries this out; job 13, submitted again, starts nothing\n",
    )
    assert carry_out(tmp_path, one, SLURM_JOB_ID="12", SLURM_RESTART_COUNT="1").stdout == "done\n"
    assert sorted(os.listdir(tmp_path)) == ["began.12.0", "began.12.1", "job", "result.12.0", "result.12.1", "script"]


def test_without_its_directory_nothing_is_started(tmp_path: Path) -> None:
    """Nobody could tell which of two submissions it is."""
    done = carry_out(tmp_path, replace(spec(tmp_path, "echo", "done"), directory="/no/such/place"), SLURM_JOB_ID="12")
    assert (done.returncode, done.stdout) == (NO_STORAGE, "")
    assert "cannot write to /no/such/place" in done.stderr


@pytest.mark.parametrize(
    ("limit_seconds", "said", "earliest", "latest"),
    [(600, "1893456000", 1893456000, 1893456000), (None, "1893456000", 1893456000, 1893456000), (600, "", 600, 660)],
)
def test_the_command_knows_when_it_will_be_ended(
    tmp_path: Path, limit_seconds: int | None, said: str, earliest: int, latest: int
) -> None:
    """SLURM knows best; else it is the limit, counted from now on. A worker's own end is not its jobs'."""
    one = replace(
        spec(tmp_path, "sh", "-c", "echo $PHASELINE_ENDS_AT"),
        time_limit_seconds=limit_seconds,
        environment={"PHASELINE_ENDS_AT": "17"},
    )
    begun = int(time.time())
    for job in ({"SLURM_JOB_ID": "12"}, {}):
        ends_at = int(carry_out(tmp_path, one, SLURM_JOB_END_TIME=said, **job).stdout)
        since = begun if not said else 0
        assert since + earliest <= ends_at <= since + latest


def test_without_a_limit_nobody_knows_when_it_ends(tmp_path: Path) -> None:
    one = spec(tmp_path, "sh", "-c", "echo ${PHASELINE_ENDS_AT-unknown}")
    assert carry_out(tmp_path, one, SLURM_JOB_ID="12", SLURM_JOB_END_TIME="Unknown").stdout == "unknown\n"
