"""When is a process known to be gone, and when is nothing known?"""

from __future__ import annotations

import os
import subprocess

import pytest

from infra.slurm.machine import host_of, is_gone, machine, machine_of, pid_of, process, start_ticks

HERE = machine()
ME = process(os.getpid())


def changed(name: str, part: int, value: str) -> str:
    parts = name.split(":")
    parts[part] = value
    return ":".join(parts)


def test_a_process_has_a_name() -> None:
    assert (machine_of(ME), host_of(ME), pid_of(ME)) == (HERE, os.uname().nodename, os.getpid())


@pytest.mark.parametrize(
    ("part", "value", "gone"),
    [(0, "elsewhere", False), (1, "another-boot", True), (2, "another-namespace", False), (4, "1", True)],
)
def test_only_what_is_known_is_said(part: int, value: str, gone: bool) -> None:
    assert not is_gone(ME, HERE)
    assert is_gone(changed(ME, part, value), HERE) is gone


def test_a_process_that_is_over_is_gone_reaped_or_not() -> None:
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    name = process(child.pid)
    assert not is_gone(name, HERE)
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(name, HERE)
    child.wait()
    assert is_gone(name, HERE)
    assert start_ticks(child.pid) is None
