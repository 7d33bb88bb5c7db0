"""Errors of the private cluster that a person reads: what, where, and what to type next."""

from __future__ import annotations

from pathlib import Path

from infra.stack.errors import last_lines

LOG_LINES = 8


class ClusterError(Exception):
    """The cluster cannot go on; the text says why and what to do."""


def with_log(what: str, log: Path) -> ClusterError:
    """Return an error that names a daemon's log and shows its last lines."""
    return ClusterError("\n    ".join([f"{what}; {log} ends with:", *(last_lines(log, LOG_LINES) or ["(nothing)"])]))
