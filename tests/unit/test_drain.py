"""Does a signal ask to stop, and wake whoever waits?"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from stages.engine.drain import Drain, DrainableClock

WAITS = """
import sys, time
from stages.engine.drain import Drain, DrainableClock
drain = Drain()
drain.install()
print("ready", flush=True)
begun = time.monotonic()
DrainableClock(drain).sleep(600)
print(drain.is_requested, drain.times, time.monotonic() - begun < 300)
"""


@pytest.mark.parametrize(("number", "times"), [(signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGUSR1, 0)])
def test_a_signal_ends_a_wait_early(number: signal.Signals, times: int) -> None:
    """All of them ask for an end; a warning alone does not count as being asked to hurry."""
    command = [sys.executable, "-c", WAITS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.communicate()[0] == f"True {times} True\n"
    assert process.returncode == 0


def test_a_request_needs_no_signal() -> None:
    drain = Drain()
    assert not drain.is_requested
    drain.request()
    assert (drain.is_requested, drain.times) == (True, 1)


def test_a_warning_is_a_request_that_leaves_time() -> None:
    drain = Drain()
    drain.warn()
    assert (drain.is_requested, drain.times) == (True, 0)


WAKES = """
import os, select, signal
from stages.engine.drain import Drain
drain = Drain()
drain.install()
for _ in range(100):
    os.kill(os.getpid(), signal.SIGTERM)
drain.wait(600)
print(drain.times, select.select([drain.fd], [], [], 0)[0])
"""


def test_wake_ups_are_taken_once() -> None:
    """And a burst is one request: SLURM and a container runtime say the same."""
    found = subprocess.run([sys.executable, "-c", WAKES], capture_output=True, text=True, check=True)
    assert found.stdout == "1 []\n"


AGAIN = """
import os, signal, time
from stages.engine import drain as module
drain = module.Drain()
drain.install()
for _ in range(2):
    os.kill(os.getpid(), signal.SIGTERM)
    until = time.monotonic() + module.ECHO_SECONDS
    while time.monotonic() < until:
        drain.wait(until - time.monotonic())
print(drain.times)
"""


def test_who_asks_again_later_means_it() -> None:
    found = subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True, check=True)
    assert found.stdout == "2\n"


def test_the_clock_of_a_poller_is_the_real_one() -> None:
    clock = DrainableClock(Drain())
    before = clock.monotonic()
    clock.sleep(-1)
    assert clock.monotonic() >= before
    assert clock.now() > 1_700_000_000
