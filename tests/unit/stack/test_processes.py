"""Processes that outlive whoever starts them, and are not mistaken for others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from infra.stack import processes
from infra.stack.record import Process
from tests.waiting import wait_until

READY = "import signal, sys; print('ready', flush=True); "
ENDS = READY + "signal.pause()"
STAYS = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY + "\nwhile True: signal.pause()"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Process]]:
    all_of_them: list[Process] = []
    yield all_of_them
    for process in all_of_them:
        processes.kill(process)
    processes.wait(all_of_them, 10)


def start(started: list[Process], tmp_path: Path, program: str) -> Process:
    log = tmp_path / "it.log"
    process = processes.start([sys.executable, "-c", program], environment=os.environ, directory=tmp_path, log=log)
    started.append(process)
    wait_until(lambda: "ready" in log.read_text(), 10, "ready")
    return process


def test_it_lives_until_it_is_asked_to_end(started: list[Process], tmp_path: Path) -> None:
    process = start(started, tmp_path, ENDS)
    assert processes.is_alive(process)
    assert os.getsid(process.pid) == process.pid
    processes.send(process, signal.SIGTERM)
    assert processes.wait([process], 10) == []
    assert not processes.is_alive(process)


def test_whoever_does_not_end_when_asked_is_named_and_can_be_killed(started: list[Process], tmp_path: Path) -> None:
    process = start(started, tmp_path, STAYS)
    processes.send(process, signal.SIGTERM)
    assert processes.wait([process], 0.2) == [process]
    processes.kill(process)
    assert processes.wait([process], 10) == []


def test_a_number_that_another_process_got_is_not_taken_for_it(started: list[Process], tmp_path: Path) -> None:
    process = start(started, tmp_path, ENDS)
    for other in (
        replace(process, started_ticks=process.started_ticks - 1),
        replace(process, boot_id="the boot before"),
    ):
        assert not processes.is_alive(other)
        processes.send(other, signal.SIGKILL)
        processes.kill(other)
    assert processes.is_alive(process)


def test_signals_that_were_ignored_where_it_was_started_are_not_for_it(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from infra.stack import processes; "
        "print(processes.start([sys.executable, '-c', sys.argv[1]], environment=os.environ, "
        "directory=Path(sys.argv[2]), log=Path(sys.argv[2], 'it.log')).pid)"
    )
    shown = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, signal.pthread_sigmask(0, []))"
    outer = ["/bin/sh", "-c", 'trap "" INT HUP; exec "$@"', "sh", sys.executable, "-c", program, shown, str(tmp_path)]
    subprocess.run(outer, check=True, capture_output=True)
    wait_until(lambda: (tmp_path / "it.log").read_text() == "False set()\n", 10, "its word")


def test_a_long_log_is_put_aside_when_its_process_comes_back(
    started: list[Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOG_BYTES_MAX", 10)
    (tmp_path / "it.log").write_text("said long ago\n")
    start(started, tmp_path, ENDS)
    assert (tmp_path / "it.log").read_text() == "ready\n"
    assert (tmp_path / "it.log.1").read_text() == "said long ago\n"


def test_what_a_process_left_in_its_group_ends_after_it(started: list[Process], tmp_path: Path) -> None:
    child = "import signal, sys; print('ready', flush=True); signal.pause()"
    process = start(
        started, tmp_path, f"import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}])"
    )
    processes.wait([process], 10)
    assert group_exists(process.pid)
    processes.end_group(process)
    wait_until(lambda: not group_exists(process.pid), 10, "the group's end")


def test_the_group_of_a_process_that_lives_is_left_alone(started: list[Process], tmp_path: Path) -> None:
    process = start(started, tmp_path, ENDS)
    processes.end_group(process)
    processes.end_group(replace(process, started_ticks=process.started_ticks - 1))
    assert processes.is_alive(process)


def group_exists(number: int) -> bool:
    """Tell whether anybody of a group is there; orphans come to this process if a test before made it their reaper."""
    with suppress(ChildProcessError):
        os.waitpid(-number, os.WNOHANG)
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True
