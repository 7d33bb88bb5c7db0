"""Performance: one call of the author's function, and what to make of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from stages.engine.attempt import Attempt
from stages.engine.work.order import Order
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind
from stages.engine.work.verdict import of_exception

Function = Callable[[Attempt], object]


def perform(function: Function, order: Order, stage_directory: str) -> tuple[Outcome, str]:
    """Return the outcome, and for a failure the traceback to show, from the author's first line on.

    SystemExit and KeyboardInterrupt, too, end the attempt and nothing else.
    """
    try:
        function(order.attempt())
    except BaseException as error:  # noqa: BLE001 - see above
        paths = (order.input, order.output, order.scratch)
        outcome = of_exception(error, stage_directory=stage_directory, attempt_paths=paths)
        shown = outcome.kind in (OutcomeKind.FAIL, OutcomeKind.STORAGE)
        return outcome, _trace(error) if shown else ""
    return PUBLISHED, ""


def _trace(error: BaseException) -> str:
    frames = error.__traceback__ and error.__traceback__.tb_next  # the first is our own
    try:
        return "".join(traceback.format_exception(type(error), error, frames))
    except Exception:  # noqa: BLE001 - out of memory, or an author's __str__
        return ""
