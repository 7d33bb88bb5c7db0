"""Is the poller told what happens beside it, in the right order?"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from stages.engine.work.attendance import Attendance, Died, Reported, Stopped, TimedOut
from stages.engine.work.order import Watch, unwatched
from stages.engine.work.outcome import Stop
from stages.engine.work.output import Output
from stages.engine.work.process import Process
from tests.unit.work.site import Log


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """A pipe, for signals."""
    reader, writer = os.pipe2(os.O_NONBLOCK)
    yield reader, writer
    os.close(reader)
    os.close(writer)


@pytest.fixture
def waiting() -> Iterator[Process]:
    """A process that goes on until it is killed."""
    process = Process(["sleep", "60"], cwd="/", output=2)
    yield process
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    process.close()


def attendance(
    process: Process,
    *,
    watch: Watch = unwatched,
    watch_seconds: float = 10.0,
    output: Output | None = None,
    channel: socket.socket | None = None,
    wakeup_fd: int | None = None,
) -> Attendance:
    """Patient, unless told otherwise."""
    return Attendance(
        process, watch=watch, watch_seconds=watch_seconds, output=output, channel=channel, wakeup_fd=wakeup_fd
    )


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_a_death_is_noticed(has_pidfd: bool) -> None:
    process = Process(["sh", "-c", "exit 3"], cwd="/", output=2)
    if not has_pidfd and process.pidfd is not None:  # before Linux 5.3
        os.close(process.pidfd)
        process.pidfd = None
    assert attendance(process).wait(10) == Died(code=3)
    process.close()


def test_a_message_goes_before_the_death_that_follows() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = Process(["sh", "-c", "exit 3"], cwd="/", output=2)
        process.wait(10)
        theirs.send(b"done")
        assert attendance(process, channel=ours).wait(10) == Reported(message=b"done")
        process.close()


def test_a_closed_channel_is_not_a_death_yet(waiting: Process) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with ours:
        assert attendance(waiting, channel=ours).wait(0.05) == TimedOut()


def test_output_is_passed_on_while_waiting(waiting: Process) -> None:
    log = Log()
    output = Output(log)
    os.write(output.writer, b"first\nlast\n\n")
    assert attendance(waiting, output=output).wait(0.05) == TimedOut()
    assert log.text == "first\nlast\n\n"
    assert output.last_line == "last"
    assert not output.drain(0.01)  # somebody still holds the pipe
    output.release()
    assert output.drain()
    output.close()


def test_the_watch_is_asked_in_time_over_several_waits(waiting: Process) -> None:
    asked: list[None] = []
    beside = attendance(waiting, watch=lambda: asked.append(None), watch_seconds=0.05)
    for _ in range(4):
        assert beside.wait(0.04) == TimedOut()
    assert len(asked) >= 2


def test_a_signal_has_the_watch_asked_at_once(waiting: Process, ends: tuple[int, int]) -> None:
    reader, writer = ends
    os.write(writer, b"\x0f")
    beside = attendance(waiting, watch=lambda: Stop.DRAIN, watch_seconds=60.0, wakeup_fd=reader)
    assert beside.wait(60) == Stopped(stop=Stop.DRAIN)


def test_a_failure_after_a_signal_proves_nothing_even_to_a_patient_poller(
    waiting: Process, ends: tuple[int, int]
) -> None:
    reader, writer = ends
    beside = attendance(waiting, wakeup_fd=reader)
    assert beside.asked() is None
    os.write(writer, b"\x0f")
    assert beside.wait(0.05) == TimedOut()
    assert beside.asked() is Stop.DRAIN


def test_no_limit_is_a_limit_too() -> None:
    process = Process(["true"], cwd="/", output=2)
    assert attendance(process, watch_seconds=float("inf")).wait(float("inf")) == Died(code=0)
    process.close()
