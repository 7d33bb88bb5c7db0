"""Command work: any program, started anew for each order."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from loguru import logger

from stages.engine.errors import StageSetupError
from stages.engine.work.attendance import Attendance, Died, Event, Reported, Stopped, TimedOut
from stages.engine.work.command import check_command, environment, render_command
from stages.engine.work.descendants import Descendants
from stages.engine.work.guard import Guard
from stages.engine.work.memory import oom_kills
from stages.engine.work.order import Log, Order, Watch, unwatched
from stages.engine.work.outcome import Outcome, OutcomeKind, settled, stopped
from stages.engine.work.output import Output
from stages.engine.work.process import Process
from stages.engine.work.verdict import of_death, of_exit, of_timeout

_GUARD_AFTER_SECONDS = 0.05  # what is over sooner needs no guard, and would pay for it
_NODE_IS_FULL = {errno.EAGAIN, errno.ENOMEM}


class CommandWork:
    """Starts `command` in the stage's folder and goes by its exit code: 0, 65, 75, anything else.

    `timeout_seconds` bounds each order. `wakeup_fd` is the reading end of what signal.set_wakeup_fd writes to. Raises
    ValueError for a command that `check_command` refuses.
    """

    def __init__(
        self,
        *,
        stage_directory: str | os.PathLike[str],
        command: Sequence[str],
        timeout_seconds: float,
        wakeup_fd: int | None = None,
    ) -> None:
        check_command(command)
        self._stage_directory, self._command = os.path.abspath(stage_directory), tuple(command)
        self._timeout_seconds, self._wakeup_fd = timeout_seconds, wakeup_fd
        self._descendants, self._guard = Descendants(), Guard()
        self._environment = dict(os.environb)
        self._oom_before = oom_kills()  # read again after each failure, not before each order
        self._is_ready = False
        self._executable: str | None = None
        self._process: Process | None = None

    def prepare(self, watch: Watch = unwatched) -> None:
        del watch
        if self._is_ready:
            return
        program = self._command[0]
        place = os.path.join(self._stage_directory, program) if "/" in program else program
        if "{" not in program:
            found = shutil.which(place)
            if found is None:
                raise self._cannot_start(f"no such program, or it is not executable: {program}")
            self._executable = found if os.path.isabs(found) else None  # else every start walks PATH once more
        guard = self._guard.start()
        if guard is not None:
            self._descendants.spare(guard)
        self._is_ready = True

    def run(self, order: Order, watch: Watch, log: Log) -> Outcome:
        self.prepare(watch)
        output = Output(log)
        try:
            process = self._start(order, output)
            if process is None:
                return Outcome(kind=OutcomeKind.LATER, why="the node cannot start another process now")
            attendance = Attendance(
                process,
                output=output,
                watch=watch,
                watch_seconds=order.watch_seconds,
                wakeup_fd=self._wakeup_fd,
            )
            event = attendance.wait(min(_GUARD_AFTER_SECONDS, self._timeout_seconds))
            if isinstance(event, TimedOut):
                self._guard.hold(process.pid)
                event = attendance.wait(self._timeout_seconds - _GUARD_AFTER_SECONDS)
            contained = self._end()
            if not output.drain():
                logger.warning("a process out of reach still holds the output of {}", order.dataset)
            outcome = self._outcome(event, output)
            if outcome.kind is OutcomeKind.FAIL:
                outcome = settled(outcome, attendance.asked())
                self._oom_before = oom_kills()
            return outcome if contained else replace(outcome, contained=False)
        except BaseException:
            self._end()
            raise
        finally:
            output.close()

    def _start(self, order: Order, output: Output) -> Process | None:
        """Start the command; None if the node has no room. Raises StageSetupError if it can never be started."""
        with suppress(FileExistsError):
            os.mkdir(order.scratch)
        try:
            process = self._process = Process(
                render_command(self._command, order),
                cwd=self._stage_directory,
                output=output.writer,
                executable=self._executable,
                environment={**self._environment, **environment(order, self._stage_directory)},
            )
        except OSError as error:
            if error.errno in _NODE_IS_FULL:
                return None
            raise self._cannot_start(f"{error.strerror}: {error.filename or self._command[0]}") from error
        output.release()
        return process

    def _outcome(self, event: Event, output: Output) -> Outcome:
        match event:
            case Died(code=code) if code >= 0:
                return of_exit(code, output.last_line)
            case Died(code=code):
                return of_death(code, out_of_memory=oom_kills() != self._oom_before)
            case TimedOut():
                return of_timeout(self._timeout_seconds)
            case Stopped(stop=stop):
                return stopped(stop)
            case Reported():
                raise AssertionError("a command has no channel to report on")
            case _:
                assert_never(event)

    def _end(self) -> bool:
        process, self._process = self._process, None
        contained = self._descendants.end()
        if process is not None:
            self._guard.hold(0)
            process.close()
        return contained

    def close(self) -> None:
        self._end()
        self._guard.close()
        self._descendants.close()
        self._is_ready = False

    def _cannot_start(self, why: str) -> StageSetupError:
        return StageSetupError(
            f"stage {os.path.basename(self._stage_directory)} cannot start its command: {why}",
            where=os.path.join(self._stage_directory, "stage.toml"),
            todo="mend [work] command, or make the program executable with `chmod +x`",
        )
