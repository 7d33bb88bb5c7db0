"""Callable work: the author's function in a warm child process."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import assert_never

from loguru import logger

from stages.engine.errors import StageSetupError
from stages.engine.work.attendance import Died, Event, Reported, Stopped, TimedOut
from stages.engine.work.descendants import Descendants
from stages.engine.work.guard import Guard
from stages.engine.work.memory import oom_kills
from stages.engine.work.order import Log, Order, Watch, unwatched
from stages.engine.work.outcome import Outcome, OutcomeKind, Stop, settled, stopped
from stages.engine.work.verdict import of_death, of_timeout
from stages.engine.work.warm_child import WarmChild
from stages.engine.work.wire import decode_outcome, decode_setup, has_opened

_SETUP_WATCH_SECONDS = 0.25
_STACK_SECONDS = 0.2
_CLOSE_SECONDS = 1.0


class CallableWork:
    """Calls `callable` ("module:function", found in `stage_directory` first) in a child that stays from order to order.

    `setup_seconds` bounds its import and `setup()`, `timeout_seconds` each order. `wakeup_fd` is the reading end of
    what signal.set_wakeup_fd writes to.
    """

    def __init__(
        self,
        *,
        stage_directory: str | os.PathLike[str],
        callable: str,  # noqa: A002 - what stage.toml calls it
        setup_seconds: float,
        timeout_seconds: float,
        wakeup_fd: int | None = None,
    ) -> None:
        self._stage_directory, self._function_name = os.path.abspath(stage_directory), callable
        self._setup_seconds, self._timeout_seconds = setup_seconds, timeout_seconds
        self._wakeup_fd = wakeup_fd
        self._descendants, self._guard = Descendants(), Guard()
        self._child: WarmChild | None = None
        self._oom_before: int | None = None  # read again after each failure, not before each order

    def prepare(self, watch: Watch = unwatched) -> None:
        if self._child is not None and self._child.is_alive():
            return
        self._end_child()
        try:
            why = self._set_up(watch)
        except BaseException:
            self._end_child()
            raise
        if why is not None:
            self._end_child()
            raise StageSetupError(
                f"stage {os.path.basename(self._stage_directory)} cannot be set up: {why}",
                where=self._stage_directory,
                todo="mend it and start the poller again; the whole traceback is above in the poller's log",
            )

    def _set_up(self, watch: Watch) -> str | None:
        """Start a child; return why it could not be set up."""
        guard = self._guard.start()
        if guard is not None:
            self._descendants.spare(guard)
        try:
            child = self._child = WarmChild(
                self._stage_directory,
                self._function_name,
                watch=watch,
                watch_seconds=_SETUP_WATCH_SECONDS,
                wakeup_fd=self._wakeup_fd,
            )
        except OSError as error:
            return f"cannot start Python: {error}"
        self._guard.hold(child.process.pid)
        self._oom_before = oom_kills()
        event = child.attendance.wait(self._setup_seconds)
        why = self._setup_error(event)
        if isinstance(event, Stopped) or (why is not None and child.attendance.asked() is not None):
            self._end_child()
            return None
        if why is None:
            child.set_up()
        return why

    def _setup_error(self, event: Event) -> str | None:
        match event:
            case Reported(message=message):
                return decode_setup(message)
            case Died(code=code):
                return f"import or setup() {of_death(code, out_of_memory=oom_kills() != self._oom_before).why}"
            case TimedOut():
                return f"import and setup() took longer than setup_seconds = {self._setup_seconds:g}"
            case Stopped():
                return None
            case _:
                assert_never(event)

    def run(self, order: Order, watch: Watch, log: Log) -> Outcome:
        self.prepare(watch)
        child = self._child
        if child is None:
            return stopped(watch() or Stop.DRAIN)
        try:
            child.give(order, watch, log)
            event = child.attendance.wait(self._timeout_seconds)
            if isinstance(event, TimedOut):
                child.show_stack()
                child.output.drain(_STACK_SECONDS)
            contained = self._clear_up(child, event, order)
            outcome = self._outcome(event)
            if outcome.kind is OutcomeKind.FAIL:
                outcome = settled(outcome, child.attendance.asked())
                self._oom_before = oom_kills()
            return outcome if contained else replace(outcome, contained=False)
        except BaseException:
            self._end_child()
            raise

    def _outcome(self, event: Event) -> Outcome:
        match event:
            case Reported(message=message):
                return decode_outcome(message)
            case Died(code=code):
                return of_death(code, out_of_memory=oom_kills() != self._oom_before)
            case TimedOut():
                return of_timeout(self._timeout_seconds)
            case Stopped(stop=stop):
                return stopped(stop)
            case _:
                assert_never(event)

    def _clear_up(self, child: WarmChild, event: Event, order: Order) -> bool:
        """End every descendant, and the child too unless it may stay; False if that was not possible.

        Then all that was said has reached the log.
        """
        if isinstance(event, Reported):
            contained = self._descendants.end(keep=[child.process.pid])
            leftovers = child.leftovers(order, has_opened=has_opened(event.message))
            if leftovers is None:
                child.output.catch_up()
                return contained
            logger.bind(dataset=order.dataset, stage=order.stage, attempt=order.number).info(
                "the child was replaced, it left behind {}", leftovers
            )
        return self._end_child(order)

    def _end_child(self, order: Order | None = None) -> bool:
        """End the child, once all that it said about `order` has reached the log."""
        child, self._child = self._child, None
        contained = self._descendants.end()
        if child is not None:
            self._guard.hold(0)
            try:
                if order is not None and not child.output.drain():
                    logger.warning("a process out of reach still holds the output of {}", order.dataset)
            finally:
                child.close()
        return contained

    def close(self) -> None:
        """End the child; what the author registered with atexit has a second to happen."""
        if self._child is not None:
            self._child.channel.close()
            self._child.process.wait(_CLOSE_SECONDS)
        self._end_child()
        self._guard.close()
        self._descendants.close()
