"""Errors of the stack that a person reads: what, where, and what to type next."""

from __future__ import annotations

from pathlib import Path

LOG_LINES = 15
LOG_BYTES = 16_384


class StackError(Exception):
    """The stack cannot go on; its text says why and what to do."""


def with_log(what: str, log: Path) -> StackError:
    """Return an error that names the log file and shows its last lines."""
    lines = last_lines(log)
    said = "".join(f"\n    {line}" for line in lines) if lines else " (empty)"
    return StackError(f"{what}; its log, {log}, ends with:{said}" if lines else f"{what}; its log: {log}{said}")


def last_lines(log: Path, count: int = LOG_LINES) -> list[str]:
    """Return the last lines of a log that say something; none if it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]
