"""Does a command get its facts, and is its exit code understood?"""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.engine.errors import StageSetupError
from stages.engine.work.command_work import CommandWork
from stages.engine.work.order import unwatched
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind, Stop, stopped
from tests.unit.work.conftest import MakeCommand
from tests.unit.work.site import Log, Site, StopWhenSaid


def test_facts_come_as_arguments_and_environment(site: Site, log: Log, command_work: MakeCommand) -> None:
    script = """
        test -d "$STAGE_SCRATCH" && test "$1 $2" = "$STAGE_INPUT $STAGE_OUTPUT" && cp "$1/a.txt" "$2" || exit 1
        echo "$STAGE_DATASET $STAGE_ATTEMPT $STAGE_NAME" && test "$STAGE_DIRECTORY" = "$PWD" && echo error >&2
        test -n "$PATH" && cat
    """
    work = command_work("sh", "-c", script, "name", "{input}", "{output}")
    order = site.order()
    assert work.run(order, unwatched, log) == PUBLISHED
    assert (Path(order.output) / "a.txt").read_text() == "hello"
    assert log.text == "ds1 1 phase9\nerror\n"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", PUBLISHED),
        ("echo no rows; exit 65", Outcome(kind=OutcomeKind.REJECT, why="no rows")),
        ("echo busy; exit 75", Outcome(kind=OutcomeKind.LATER, why="busy")),
        (
            "echo first; echo; echo last; echo; exit 3",
            Outcome(kind=OutcomeKind.FAIL, why="exit code 3: last", signature="exit code 3"),
        ),
        ("exit 143", Outcome(kind=OutcomeKind.FAIL, why="exit code 143", signature="exit code 143")),
        (
            "kill -11 $$",
            Outcome(
                kind=OutcomeKind.FAIL,
                why="killed by signal 11 (SIGSEGV): the stage's code crashed",
                signature="signal 11",
            ),
        ),
    ],
)
def test_how_it_ended(script: str, expected: Outcome, site: Site, log: Log, command_work: MakeCommand) -> None:
    assert command_work("sh", "-c", script).run(site.order(), unwatched, log) == expected


def test_a_program_of_the_stages_own(site: Site, log: Log, command_work: MakeCommand) -> None:
    work = command_work("./tool", "{dataset}")
    tool = site.stage_directory / "tool"
    tool.write_text("#!/bin/sh\necho own $1\n")
    with pytest.raises(StageSetupError, match="chmod"):
        work.prepare()
    tool.chmod(0o755)
    work.prepare()
    assert work.run(site.order(), unwatched, log) == PUBLISHED
    assert log.text == "own ds1\n"


@pytest.mark.parametrize("program", ["no-such-program-at-all", "./missing", "/nowhere/tool"])
def test_a_program_that_is_not_there(program: str, command_work: MakeCommand) -> None:
    with pytest.raises(StageSetupError, match=f"cannot start its command: no such program.*{program}"):
        command_work(program).prepare()


def test_a_program_that_cannot_be_started_is_the_stages_fault(site: Site, log: Log, command_work: MakeCommand) -> None:
    work = command_work("./tool")
    tool = site.stage_directory / "tool"
    tool.write_text("#!/nowhere/interpreter\n")
    tool.chmod(0o755)
    work.prepare()
    with pytest.raises(StageSetupError, match="cannot start its command"):
        work.run(site.order(), unwatched, log)


def test_an_unknown_placeholder_is_refused(site: Site) -> None:
    with pytest.raises(ValueError, match="unknown placeholder"):
        CommandWork(stage_directory=site.root, command=["x", "{inptu}"], timeout_seconds=1)


def test_a_timeout(site: Site, log: Log, command_work: MakeCommand) -> None:
    outcome = command_work("sh", "-c", "echo begun; sleep 60", timeout=0.3).run(site.order(), unwatched, log)
    assert outcome.why == "took longer than timeout_seconds = 0.3"
    assert log.text == "begun\n"


@pytest.mark.parametrize("stop", Stop)
def test_it_is_stopped_in_the_middle(stop: Stop, site: Site, log: Log, command_work: MakeCommand) -> None:
    work = command_work("sh", "-c", "echo begun; sleep 60")
    watch = StopWhenSaid(log, "begun", stop)
    assert work.run(site.order(watch_seconds=0.01), watch, log) == stopped(stop)


def test_endless_output(site: Site, log: Log, command_work: MakeCommand) -> None:
    outcome = command_work("yes", timeout=0.3).run(site.order(), unwatched, log)
    assert outcome.signature == "timeout"
    assert len(log.chunks) > 1


def test_what_the_log_raises_comes_through_and_nothing_goes_on(site: Site, command_work: MakeCommand) -> None:
    pids: list[int] = []

    def broken_log(chunk: bytes) -> None:
        pids.append(int(chunk))
        raise LookupError

    with pytest.raises(LookupError):
        command_work("sh", "-c", "echo $$; exec sleep 60").run(site.order(), unwatched, broken_log)
    assert not Path(f"/proc/{pids[0]}").exists()
