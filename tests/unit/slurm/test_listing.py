"""Are SLURM's tools read rightly, as 22.05, 24.11 and 26.05 print? Whatever names, comments and paths hold."""

from __future__ import annotations

import os
import pwd

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.slurm.listing import (
    QUEUE_FORMAT,
    QUEUE_WIDTHS,
    Listed,
    read_accounts,
    read_comments,
    read_job,
    read_queue,
)
from infra.slurm.states import JobState, UnknownStateError
from infra.slurm.transport import JobReport

# What `scontrol show job` printed, shortened where nothing is read.
SHOWN_22_05 = """\
JobId=1 JobName=wrap
   UserId=root(0) GroupId=root(0) MCS_label=N/A
   Priority=4294901759 Nice=0 Account=(null) QOS=(null)
   JobState=RUNNING Reason=None Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0
   RunTime=00:00:01 TimeLimit=365-00:00:00 TimeMin=N/A
   Partition=cpu AllocNode:Sid=localhost:19823
   ReqNodeList=(null) ExcNodeList=(null)
   NodeList=n1
   BatchHost=n1
   WorkDir=/tmp/a
   Comment=0a1b-2c.1\x20
   StdErr=/dev/null
   Power=
"""
SHOWN_26_05 = """\
JobId=46 JobName=wrap
   UserId=hslurm(1001) GroupId=hslurm(1001) MCS_label=N/A
   Priority=1 Nice=0 Account=(null) QOS=(null)
   JobState=FAILED Reason=NonZeroExitCode Dependency=(null)
   Requeue=1 Restarts=2 BatchFlag=1 Reboot=0 ExitCode=3:0
   ReqNodeList=(null) ExcNodeList=(null)
   NodeList=n1
   BatchHost=n1
   OverSubscribe=NO Exclusive=NO Contiguous=0 Licenses=(null) LicensesAlloc=(null) Network=(null)
   SubmitLine=sbatch --parsable -D /tmp -o /dev/null --wrap exit 3
   WorkDir=/tmp
"""
LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=60)


def queue_line(*fields: object) -> str:
    return "".join(f"{field!s:{width}.{width}}" for field, width in zip(fields, QUEUE_WIDTHS, strict=True))


def test_the_queue_is_read() -> None:
    assert QUEUE_FORMAT == "JobID:12,State:16,RestartCnt:8,NodeList:64,Reason:128,Comment:128"
    lines = [
        queue_line(1, "RUNNING", 0, "n1", "None", "0a1b.1"),
        queue_line(2, "PENDING", 1, "", "BeginTime", "0a1b.2"),
        queue_line(3, "PENDING", 0, "", "ReqNodeNotAvail, UnavailableNodes:n[1-2]", "(null)"),
        "slurm says something else",
        "",
    ]
    assert read_queue("\n".join(lines)) == {
        1: Listed(number=1, tag="0a1b.1", state="RUNNING", node="n1"),
        2: Listed(number=2, tag="0a1b.2", state="PENDING", reason="BeginTime", restarts=1),
        3: Listed(number=3, tag="", state="PENDING", reason="ReqNodeNotAvail, UnavailableNodes:n[1-2]"),
    }


def test_a_state_that_nobody_knows_is_said_when_it_is_asked_for() -> None:
    """The queue holds the user's other jobs too, and they must not stand in the way."""
    one = read_queue(queue_line(1, "FROZEN", 0, "n1", "None", "a.1"))[1]
    with pytest.raises(UnknownStateError):
        _ = one.report


def test_a_job_is_read() -> None:
    assert read_job(SHOWN_22_05) == Listed(number=1, tag="0a1b-2c.1", state="RUNNING", node="n1")
    failed = read_job(SHOWN_26_05)
    assert failed is not None
    assert failed.report == JobReport(
        state=JobState.FAILED, reason="NonZeroExitCode", exit_code=3, node="n1", restarts=2
    )
    assert read_job("") is None
    assert read_job("slurm_load_jobs error: Invalid job id specified\n") is None


@pytest.mark.parametrize(
    ("state", "ended", "node", "exit_code", "signal"),
    [
        ("COMPLETED", "0:0", "n1", 0, None),
        ("FAILED", "0:9", "n1", None, 9),
        ("CANCELLED", "0:15", "n1", None, 15),
        ("CANCELLED", "0:0", "(null)", None, None),
        ("TIMEOUT", "0:15", "n1", None, 15),
        ("OUT_OF_MEMORY", "0:125", "n1", None, None),
        ("NODE_FAIL", "0:0", "n1", None, None),
        ("RUNNING", "0:0", "n1", None, None),
    ],
)
def test_an_end_is_read(state: str, ended: str, node: str, exit_code: int | None, signal: int | None) -> None:
    text = SHOWN_22_05.replace("RUNNING", state).replace("ExitCode=0:0", f"ExitCode={ended}")
    one = read_job(text.replace("   NodeList=n1", f"   NodeList={node}"))
    assert one is not None
    assert (one.report.exit_code, one.report.signal) == (exit_code, signal)


@given(name=LINE, path=LINE)
def test_no_name_or_path_says_how_a_job_ended(name: str, path: str) -> None:
    for evil in (name, "x JobState=COMPLETED", f"   JobState={name}"):
        text = SHOWN_26_05.replace("JobName=wrap", f"JobName={evil}").replace("WorkDir=/tmp", f"WorkDir=/{path}{evil}")
        one = read_job(text)
        assert one is not None
        assert (one.number, one.state, one.code, one.restarts) == (46, "FAILED", 3, 2)


def test_a_number_may_be_given_to_another_job() -> None:
    """A cluster that was set up anew counts from 1 again; a site's plugin may put words of its own into a comment."""
    assert Listed(number=1, tag="a.1", state="RUNNING").is_of("a.1")
    assert not Listed(number=1, tag="b.1", state="RUNNING").is_of("a.1")
    assert Listed(number=1, tag="", state="RUNNING").is_of("a.1")
    assert Listed(number=1, tag="project x", state="RUNNING").is_of("a.1")


def test_accounting_is_read() -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    text = (
        f"7|CANCELLED by {os.getuid()}|0:15|n1\n8|CANCELLED by 987654|0:0|None assigned\n9|RUNNING|0:0|n1\n"
        "10|REQUEUED|0:0|n1\n11|TIMEOUT|0:0|n2\n12|FROZEN|0:0|n2\n13.batch|FAILED|1:0|n1\nbroken\n"
    )
    assert read_accounts(text) == {
        7: JobReport(state=JobState.CANCELLED, signal=15, node="n1", by=me),
        8: JobReport(state=JobState.CANCELLED, by="user 987654"),
        11: JobReport(state=JobState.TIMEOUT, exit_code=0, node="n2"),
    }


def test_comments_are_read() -> None:
    assert read_comments("7|a.1\n8|a.1\n9|b.1\n10|\nx\n", ["a.1", "c.1"]) == {"a.1": 7}
