"""In process: the author's function called here, without a child: for benchmarks, simulation and tests."""

from __future__ import annotations

from stages.engine.work.order import Log, Order, Watch, unwatched
from stages.engine.work.outcome import Outcome, settled, stopped
from stages.engine.work.performance import Function, perform


class InProcessWork:
    """Calls a function. There is no time limit, and what it prints is not logged, its traceback is.

    `watch` is asked before and after.
    """

    def __init__(self, function: Function, *, stage_directory: str = "/") -> None:
        self._function, self._stage_directory = function, stage_directory

    def prepare(self, watch: Watch = unwatched) -> None:
        del watch

    def run(self, order: Order, watch: Watch, log: Log) -> Outcome:
        stop = watch()
        if stop is not None:
            return stopped(stop)
        outcome, trace = perform(self._function, order, self._stage_directory)
        if trace:
            log(trace.encode(errors="backslashreplace"))
        return settled(outcome, watch())

    def close(self) -> None:
        """Nothing is there to end."""
