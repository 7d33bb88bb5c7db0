"""Does everything that the author's code started end with the attempt, the poller or its signal?

A driver process stands for the poller: only a subreaper inherits orphans.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest

from stages.engine.work.descendants import Descendants, children, children_by_scan
from tests.unit.work.site import Site

ROOT = Path(__file__).parents[3]
GONE_SECONDS = 20.0

Facts = dict[str, object]

DAEMON = """
    import os, time
    def process(attempt):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            print(f"pid={os.getpid()}", flush=True)
            os.write(writer, b"up")
            while True:
                with open(attempt.output / "more", "a") as more:
                    more.write("x")
        os.wait()
        os.close(writer)
        assert os.read(reader, 2) == b"up"
        LAST
"""


@contextmanager
def driver(site: Site, **facts: object) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.work.driver", json.dumps({"root": str(site.root), **facts})],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def lines(process: subprocess.Popen[str]) -> Iterator[Facts]:
    assert process.stdout is not None
    return (json.loads(line) for line in process.stdout)


def outcomes(site: Site, **facts: object) -> list[Facts]:
    """Every outcome of a driver that ends by itself."""
    with driver(site, **facts) as process:
        found = outcomes_of(process)
        assert process.wait() == 0
    return found


def outcomes_of(process: subprocess.Popen[str]) -> list[Facts]:
    return [line for line in lines(process) if "outcome" in line]


def kinds(found: list[Facts]) -> list[str]:
    return [cast("dict[str, str]", facts["outcome"])["kind"] for facts in found]


def pid_said(process: subprocess.Popen[str]) -> int:
    for line in lines(process):
        said = str(line.get("log", ""))
        if "pid=" in said:
            return int(said.partition("pid=")[2].split()[0])
    raise AssertionError("the driver ended early")


def test_a_daemon_that_left_its_session_is_ended(site: Site) -> None:
    site.stage(DAEMON.replace("LAST", "pass"))
    found = outcomes(site, orders=2)
    assert kinds(found) == ["publish", "publish"]
    assert all(len(cast("list[int]", facts["pids"])) == 1 and facts["living"] == [] for facts in found)


@pytest.mark.parametrize("last", ["raise ValueError", "os._exit(3)", "time.sleep(60)"])
def test_a_daemon_is_ended_however_the_attempt_does(last: str, site: Site) -> None:
    site.stage(DAEMON.replace("LAST", last))
    (facts,) = outcomes(site, timeout=1.0)
    assert kinds([facts]) == ["fail"]
    assert len(cast("list[int]", facts["pids"])) == 1
    assert facts["living"] == []


def test_a_tree_in_many_sessions_is_ended(site: Site) -> None:
    site.stage("""
        import subprocess
        SHELL = 'echo pid=$$; [ "$1" -gt 0 ] && setsid sh -c "$0" "$0" $(($1 - 1)) & setsid sleep 60 & '
        def process(attempt):
            subprocess.run(["sh", "-c", SHELL + "wait $!", SHELL, "5"], timeout=0.5)
    """)
    (facts,) = outcomes(site)
    assert len(cast("list[int]", facts["pids"])) >= 2
    assert facts["living"] == []


def test_a_command_leaves_nothing_behind(site: Site) -> None:
    site.stage_directory.mkdir()
    script = """
        mkfifo "$STAGE_SCRATCH/up"
        setsid sh -c 'echo pid=$$; echo up > "$STAGE_SCRATCH/up"; exec sleep 60' &
        sleep 60 & echo "pid=$!"
        read up < "$STAGE_SCRATCH/up"
    """
    found = outcomes(site, command=["sh", "-c", script], orders=2)
    assert kinds(found) == ["publish", "publish"]
    assert all(len(cast("list[int]", facts["pids"])) == 2 and facts["living"] == [] for facts in found)


def test_children_are_found_without_help_of_the_kernel() -> None:
    """CONFIG_PROC_CHILDREN is not set everywhere."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            assert process.pid in children_by_scan(os.getpid())
            assert set(children_by_scan(os.getpid())) == set(children(os.getpid(), is_threaded=True))
        finally:
            process.kill()
    assert children(process.pid) == []


def test_what_is_spared_keeps_its_exit_status() -> None:
    with subprocess.Popen(["sh", "-c", "read line; exit 7"], stdin=subprocess.PIPE) as before:
        descendants = Descendants()
        with subprocess.Popen(["sleep", "60"]) as kept, subprocess.Popen(["sleep", "60"]) as stray:
            assert descendants.end(keep=[kept.pid])
            assert kept.poll() is None
            assert not Path(f"/proc/{stray.pid}").exists()
            kept.kill()
    assert before.returncode == 7


def test_a_talkative_author_costs_no_memory(site: Site) -> None:
    site.stage("""
        import os
        def process(attempt):
            for _ in range(200):
                os.write(1, b"x" * 1_000_000)
    """)
    (facts,) = outcomes(site)
    assert facts["bytes"] == 200_000_000
    assert cast("int", facts["grown_kb"]) < 20_000


WAITING = """
    import os, subprocess, threading
    def process(attempt):
        print(f"pid={os.getpid()}")
        LINE
"""


@pytest.mark.parametrize(
    "line", ["threading.Event().wait()", "subprocess.run(['sleep', '60'], check=True)"], ids=["itself", "its program"]
)
def test_a_signal_wakes_the_poller_at_once(line: str, site: Site) -> None:
    """The driver's order is to be watched once a minute."""
    site.stage(WAITING.replace("LINE", line))
    with driver(site) as process:
        pid = pid_said(process)
        process.send_signal(signal.SIGTERM)
        assert kinds(outcomes_of(process)) == ["stopped"]
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("first", ["author", "poller"])
def test_the_batch_systems_signal_to_all_is_no_failure(first: str, site: Site) -> None:
    """SLURM sends SIGTERM to every process of a job, in any order."""
    site.stage_directory.mkdir()
    with driver(site, command=["sh", "-c", "echo pid=$$; exec sleep 60"]) as process:
        pids = [pid_said(process), process.pid]
        for pid in pids if first == "author" else reversed(pids):
            with suppress(ProcessLookupError):  # ended by the other already
                os.kill(pid, signal.SIGTERM)
        assert kinds(outcomes_of(process)) == ["stopped"]


@pytest.mark.parametrize("kind", ["callable", "command"])
def test_the_author_dies_with_a_poller_that_is_killed(kind: str, site: Site) -> None:
    """With its programs, too: those in its process group at least."""
    site.stage("""
        import subprocess
        def process(attempt):
            subprocess.run(["sh", "-c", "echo pid=$$; exec sleep 60"])
    """)
    facts: Facts = {"command": ["sh", "-c", "sh -c 'echo pid=$$; exec sleep 60'; true"]} if kind == "command" else {}
    with driver(site, **facts) as process:
        author = os.pidfd_open(pid_said(process))
        if kind == "command":  # guarded once it has lasted a moment
            assert not select.select([author], [], [], 0.2)[0]
        process.kill()
        with os.fdopen(author):
            assert select.select([author], [], [], GONE_SECONDS)[0]
