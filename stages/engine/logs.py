"""Log lines of pollers and sweepers: to stderr, one readable line for each event."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send log lines of `level` and above to `stream` (default: stderr), coloured on a terminal only."""
    logger.remove()
    logger.add(
        sys.stderr if stream is None else stream,
        level=level,
        format=_line,
        backtrace=False,
        diagnose=False,
    )


def _line(record: Record) -> str:
    """Return the template of one line; what an event is bound to stands last, as key=value."""
    bound = "".join(f" <dim>{key}=</dim>{{extra[{key}]}}" for key in record["extra"])
    return f"<dim>{{time:YYYY-MM-DD HH:mm:ss.SSS}}</dim> <level>{{level: <7}}</level> {{message}}{bound}\n{{exception}}"
