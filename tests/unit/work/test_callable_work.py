"""Does a warm child do what the author says, and cost no more than an attempt when it goes wrong?"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from stages.engine.errors import StageSetupError
from stages.engine.work.order import unwatched
from stages.engine.work.outcome import Outcome, OutcomeKind, Stop, stopped
from tests.unit.work.conftest import MakeCallable
from tests.unit.work.site import Log, Site, StopWhenSaid


def test_what_returns_is_published(site: Site, log: Log, callable_work: MakeCallable) -> None:
    work = callable_work("""
        import os, sys
        def process(attempt):
            (attempt.output / "copy").write_text(attempt.files[0].read_text())
            print("printed", attempt.dataset, os.getcwd() == os.path.dirname(__file__))
            os.system("echo from a child")
            attempt.log.info("logged")
            sys.stdout.write("no newline")
    """)
    order = site.order()
    outcome = work.run(order, unwatched, log)
    assert outcome.kind is OutcomeKind.PUBLISH
    assert (Path(order.output) / "copy").read_text() == "hello"
    assert "printed ds1 True\nfrom a child\n" in log.text
    assert "logged" in log.text
    assert log.text.endswith("no newline")


CASES = {
    "raise ValueError('bad')": (OutcomeKind.FAIL, r"ValueError: bad \(stage.py:4\)", "ValueError stage.py:4"),
    "raise RejectDataset('no text')": (OutcomeKind.REJECT, "no text", ""),
    "raise TryLater('busy', after_seconds=7)": (OutcomeKind.LATER, "busy", ""),
    "raise OSError(28, 'full')": (OutcomeKind.STORAGE, r"no space left \(stage.py:4\)", "storage"),
    "sys.exit(3)": (OutcomeKind.FAIL, r"sys.exit\(3\) instead of a return \(stage.py:4\)", "SystemExit stage.py:4"),
    "os._exit(3)": (OutcomeKind.FAIL, "ended with exit code 3", "exit code 3"),
    "os.kill(os.getpid(), 11)": (OutcomeKind.FAIL, r"killed by signal 11 \(SIGSEGV\): .*crashed", "signal 11"),
    "os.kill(os.getpid(), 9)": (OutcomeKind.FAIL, r"killed by signal 9 \(SIGKILL\): most likely.*", "signal 9"),
    "[0] * 10**18": (OutcomeKind.FAIL, r"out of memory \(MemoryError\) \(stage.py:4\)", "MemoryError stage.py:4"),
    "os.kill(os.getpid(), 15)": (OutcomeKind.PUBLISH, "done", ""),  # the poller alone decides what SIGTERM means
    "os.fork() or sys.exit(0)": (OutcomeKind.PUBLISH, "done", ""),  # what comes out of a fork reports nothing
    "os.closerange(3, 4096)": (OutcomeKind.FAIL, "ended with exit code 1", "exit code 1"),
    "sys.stdout.close()": (OutcomeKind.PUBLISH, "done", ""),
}


@pytest.mark.parametrize("line", CASES)
def test_what_becomes_of(line: str, site: Site, log: Log, callable_work: MakeCallable) -> None:
    work = callable_work(f"import os, sys\nfrom stages.engine.errors import *\ndef process(attempt):\n    {line}\n")
    outcome = work.run(site.order(), unwatched, log)
    kind, why, signature = CASES[line]
    assert outcome.kind is kind
    assert re.fullmatch(why, outcome.why)
    assert outcome.signature == signature
    assert outcome.after_seconds == (7 if kind is OutcomeKind.LATER else None)
    # and the next dataset is none the worse for it
    again = work.run(site.order("ds2"), unwatched, log)
    assert (again.kind, again.why) == (outcome.kind, outcome.why)


def test_the_log_says_where_it_went_wrong(site: Site, log: Log, callable_work: MakeCallable) -> None:
    work = callable_work("""
        import os
        def process(attempt):
            if attempt.dataset == "ds2":
                print("unflushed", end="")
                os.kill(os.getpid(), 11)
            {}["missing"]
    """)
    work.run(site.order(), unwatched, log)
    assert "line 7, in process" in log.text
    assert "KeyError: 'missing'" in log.text
    assert "performance.py" not in log.text
    work.run(site.order("ds2"), unwatched, log)
    assert "Segmentation fault" in log.text
    assert "line 6 in process" in log.text


COUNTING = """
    import os, threading, subprocess, mmap, time
    calls = 0
    def setup():
        global calls
        calls = 100
    def process(attempt):
        global calls
        calls += 1
        print(os.getpid(), calls)
        {line}
"""


def pids_of_two(line: str, site: Site, callable_work: MakeCallable) -> tuple[str, str]:
    """Which child carried out each of two orders."""
    work = callable_work(COUNTING.format(line=line))
    pids: list[str] = []
    for dataset in ("ds1", "ds2"):
        log = Log()
        assert work.run(site.order(dataset), unwatched, log).kind is not OutcomeKind.STOPPED
        pids.append(log.text.split()[0])
    return pids[0], pids[1]


@pytest.mark.parametrize(
    "line",
    [
        "pass",
        "raise ValueError",
        "os.chdir(attempt.scratch)",
        "open(attempt.output / 'x', 'w').write('closed by its reference count')",
        "thread = threading.Thread(target=print); thread.start(); thread.join()",
        "subprocess.run(['true'], check=True)",
        "global kept; kept = bytearray(1 << 22)",
        "global kept; kept = mmap.mmap(-1, 1 << 20)",
    ],
)
def test_a_child_stays_warm(line: str, site: Site, callable_work: MakeCallable) -> None:
    first, second = pids_of_two(line, site, callable_work)
    assert first == second


@pytest.mark.parametrize(
    "line",
    [
        "threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "global kept; kept = open(attempt.output / 'x', 'w')",
        "global kept; kept = open(attempt.scratch / 'x', 'w')",
        "global kept; kept = os.open(attempt.input / 'a.txt', os.O_RDONLY)",
        "global kept; kept = os.open(attempt.output, os.O_RDONLY)",
        "global kept; kept = open(attempt.output / 'x', 'w'); os.unlink(attempt.output / 'x')",
        "global kept; f = os.open(attempt.output / 'x', 66); os.truncate(f, 9); kept = mmap.mmap(f, 9); os.close(f)",
        "global kept; kept = subprocess.Popen(['sleep', '60'])",
        "global kept; kept = os.dup(1)",
        "[os.close(n) for n in range(3, 4096) if 'pipe:' in os.path.realpath(f'/proc/self/fd/{n}')]",
    ],
)
def test_a_child_that_holds_on_is_replaced(line: str, site: Site, callable_work: MakeCallable) -> None:
    first, second = pids_of_two(line, site, callable_work)
    assert first != second


def test_a_data_root_behind_a_symlink_hides_no_open_file(site: Site, callable_work: MakeCallable) -> None:
    (site.root / "real").mkdir()
    (site.root / "IN").symlink_to(site.root / "real")
    first, second = pids_of_two("global kept; kept = open(attempt.output / 'x', 'w')", site, callable_work)
    assert first != second


def test_each_attempt_has_its_own_output_to_the_last_byte(site: Site, callable_work: MakeCallable) -> None:
    work = callable_work("""
        import fcntl, os
        def process(attempt):
            fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)  # more than the poller reads at once
            os.system("echo " + attempt.dataset)
            os.write(1, b"x" * 300_000 + attempt.dataset.encode())
    """)
    for dataset in ("ds1", "ds2", "ds3"):
        log = Log()
        assert work.run(site.order(dataset), unwatched, log).kind is OutcomeKind.PUBLISH
        assert log.text == f"{dataset}\n{'x' * 300_000}{dataset}"


def test_setup_happens_once_and_not_in_the_attempts_time(site: Site, callable_work: MakeCallable) -> None:
    work = callable_work(COUNTING.format(line="pass"))
    work.prepare()
    logs = [Log(), Log()]
    for number, log in enumerate(logs):
        work.run(site.order(f"ds{number}"), unwatched, log)
    assert [log.text.split()[1] for log in logs] == ["101", "102"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import numpyy\n", "ModuleNotFoundError: No module named 'numpyy' (stage.py:1)"),
        ("def process(attempt)\n", "SyntaxError: expected ':' (stage.py, line 1)"),
        ("x = 1\n", "no 'process'"),
        ("process = 1\n", "stage:process is no function"),
        ("async def process(attempt): ...\n", "coroutine or a generator"),
        ("def process(attempt): yield\n", "coroutine or a generator"),
        ("def process(attempt): ...\ndef setup(): raise OSError(28, 'full')\n", "no space left (stage.py:2)"),
        ("import os\nos._exit(4)\n", "import or setup() ended with exit code 4"),
        ("import os\nos.kill(os.getpid(), 11)\n", "import or setup() killed by signal 11 (SIGSEGV)"),
        ("import sys\nsys.exit(4)\n", "sys.exit(4) instead of a return (stage.py:2)"),
    ],
)
def test_what_cannot_be_set_up_says_so_in_one_line(text: str, says: str, callable_work: MakeCallable) -> None:
    with pytest.raises(StageSetupError) as refused:
        callable_work(text).prepare()
    assert says in str(refused.value)
    assert str(refused.value).startswith("stage phase9 cannot be set up: ")
    assert str(refused.value).isprintable()


def test_the_whole_traceback_of_a_setup_goes_to_standard_error(
    callable_work: MakeCallable, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StageSetupError):
        callable_work("print('importing')\nimport numpyy\n").prepare()
    said = capfd.readouterr().err
    assert "importing" in said
    assert "Traceback (most recent call last)" in said


def test_a_setup_has_its_own_time(callable_work: MakeCallable) -> None:
    work = callable_work("import threading\nthreading.Event().wait()\ndef process(a): ...\n", setup=0.3)
    with pytest.raises(StageSetupError, match=r"took longer than setup_seconds = 0\.3"):
        work.prepare()


def test_a_setup_is_given_up_when_the_poller_is_to_stop(site: Site, log: Log, callable_work: MakeCallable) -> None:
    work = callable_work("import threading\nthreading.Event().wait()\ndef process(a): ...\n")
    work.prepare(lambda: Stop.DRAIN)
    assert work.run(site.order(), lambda: Stop.DRAIN, log) == stopped(Stop.DRAIN)


HANGING = """
    import threading, time
    def setup(): print("set up")
    def process(attempt):
        if attempt.dataset == "slow":
            print("begun")
            threading.Event().wait()
"""


def test_a_timeout_ends_it_and_shows_where_it_was(site: Site, log: Log, callable_work: MakeCallable) -> None:
    work = callable_work(HANGING, timeout=0.3)
    outcome = work.run(site.order("slow"), unwatched, log)
    assert outcome.kind is OutcomeKind.FAIL
    assert outcome.why == "took longer than timeout_seconds = 0.3"
    assert "line 7 in process" in log.text
    work.prepare()
    assert work.run(site.order("ds1"), unwatched, log).kind is OutcomeKind.PUBLISH


@pytest.mark.parametrize("stop", Stop)
def test_it_is_stopped_in_the_middle(stop: Stop, site: Site, log: Log, callable_work: MakeCallable) -> None:
    work = callable_work(HANGING)
    outcome = work.run(site.order("slow", watch_seconds=0.01), StopWhenSaid(log, "begun", stop), log)
    assert outcome == Outcome(kind=OutcomeKind.STOPPED, why=f"stopped by its poller: {stop}", stop=stop)


def test_endless_output_neither_starves_the_watch_nor_the_clock(
    site: Site, log: Log, callable_work: MakeCallable
) -> None:
    work = callable_work("def process(attempt):\n    while True: print('x' * 1000)\n", timeout=0.3)
    watched: list[None] = []
    outcome = work.run(site.order(watch_seconds=0.05), lambda: watched.append(None), log)
    assert outcome.signature == "timeout"
    assert len(watched) >= 3
    assert len(log.chunks) > 1


def test_what_the_watch_or_the_log_raises_comes_through(site: Site, log: Log, callable_work: MakeCallable) -> None:
    work = callable_work(HANGING)

    def broken_watch() -> Stop | None:
        raise LookupError("watch")

    def broken_log(chunk: bytes) -> None:
        raise LookupError("log")

    with pytest.raises(LookupError, match="watch"):
        work.run(site.order("slow", watch_seconds=0.01), broken_watch, log)
    with pytest.raises(LookupError, match="log"):
        work.run(replace(site.order("ds1"), dataset="slow"), unwatched, broken_log)


def test_stage_modules_of_one_name_are_told_apart(site: Site, log: Log, callable_work: MakeCallable) -> None:
    other = site.root / "phase8"
    other.mkdir()
    (other / "stage.py").write_text("raise RuntimeError\n")
    work = callable_work("import helper\ndef process(attempt): print(helper.__file__)\n")
    (site.stage_directory / "helper.py").write_text("")
    assert work.run(site.order(), unwatched, log).kind is OutcomeKind.PUBLISH
    assert log.text.strip() == str(site.stage_directory / "helper.py")


def test_a_dotted_function(site: Site, log: Log, callable_work: MakeCallable) -> None:
    work = callable_work("class Steps:\n    @staticmethod\n    def first(a): print('here')\n", name="stage:Steps.first")
    assert work.run(site.order(), unwatched, log).kind is OutcomeKind.PUBLISH
    assert log.text == "here\n"


def test_a_child_that_dies_while_nobody_looks_costs_no_attempt(
    site: Site, log: Log, callable_work: MakeCallable
) -> None:
    work = callable_work("import os\ndef process(attempt): print(os.getpid())\n")
    work.run(site.order(), unwatched, log)
    pid = int(log.text)
    watching = os.pidfd_open(pid)
    os.kill(pid, 9)
    with os.fdopen(watching):
        os.waitid(os.P_PIDFD, watching, os.WEXITED | os.WNOWAIT)
    assert work.run(site.order("ds2"), unwatched, log).kind is OutcomeKind.PUBLISH


def test_close_ends_the_child_and_may_be_called_again(site: Site, log: Log, callable_work: MakeCallable) -> None:
    work = callable_work("""
        import atexit, os, pathlib
        def process(attempt):
            atexit.register(pathlib.Path("ended").touch)
            print(os.getpid())
    """)
    work.run(site.order(), unwatched, log)
    work.close()
    assert not Path(f"/proc/{int(log.text)}").exists()
    assert (site.stage_directory / "ended").exists()
    work.close()
