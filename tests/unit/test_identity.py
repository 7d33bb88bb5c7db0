"""Who is this process, and has another one ended?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from stages.engine import identity
from stages.engine.identity import Identity, Process
from stages.engine.records import parse_taken

PROCESS = Process(boot_id="boot", pid_namespace="pid:[1]", pid=4711, started_ticks=1)


def test_a_register_names_token_host_pid_and_job() -> None:
    me = identity.current({"SLURM_JOB_ID": "123", "SLURM_RESTART_COUNT": "2", "SLURM_ARRAY_TASK_ID": "7"})
    owner = parse_taken(me.claims("ab9c6d45"))
    assert (owner.token, owner.pid, owner.job, me.array_task) == ("ab9c6d45", os.getpid(), "123.2", "7")
    assert parse_taken(identity.current({"SLURM_JOB_ID": "123"}).claims("ab9c6d45")).job == "123.0"
    assert parse_taken(identity.current({}).claims("ab9c6d45")).job == "-"


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("node17.cluster.example", "node17"),
        ("a-very-long-name-of-a-compute-node", "a-very-long-name-of-a-co"),
        ("we:ird_host", "we-ird-host"),
        ("", "-"),
    ],
)
def test_a_hosts_label_fits_into_a_register(host: str, label: str) -> None:
    assert parse_taken(Identity(host=host, process=PROCESS).claims("ab9c6d45")).host == label


def test_tokens_are_eight_hex_digits_and_differ() -> None:
    me = Identity(host="node1", process=PROCESS)
    tokens = {me.token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch("[0-9a-f]{8}", token) for token in tokens)


def test_a_process_is_gone_once_it_ended_and_not_before() -> None:
    here = identity.current({}).process
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        ticks = identity.started_ticks(child.pid)
        assert ticks is not None
        other = replace(here, pid=child.pid, started_ticks=ticks)
        assert not identity.is_gone(other, here)
        assert identity.is_gone(replace(other, started_ticks=ticks - 1), here)
        for unknown in (replace(other, boot_id="another"), replace(other, pid_namespace="pid:[1]")):
            assert not identity.is_gone(replace(unknown, started_ticks=ticks - 1), here)
        child.communicate(b"\n")
    assert identity.is_gone(other, here)
    assert identity.started_ticks(child.pid) != ticks
