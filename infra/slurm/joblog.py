"""A job's output as lines of its run's log: what is whole, which level and time each has. Pure.

Times of one job strictly rise, so that they order the lines, and name each of them when an answer was lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from infra.slurm.runs import LogLine

CHUNK_BYTES = 64 * 1024  # what is read at once; a line without an end is cut there
# Times of lines that are believed: a job may have been away for long, but hosts of a cluster agree on what time it is.
PAST_US_MAX = 400 * 24 * 3600 * 1_000_000
FUTURE_US_MAX = 300 * 1_000_000

LEVELS = {
    "TRACE": 5,
    "DEBUG": 10,
    "INFO": 20,
    "SUCCESS": 25,
    "WARNING": 30,
    "WARN": 30,
    "ERROR": 40,
    "CRITICAL": 50,
    "FATAL": 50,
}
_INFO = LEVELS["INFO"]
_WARNING = LEVELS["WARNING"]
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)[.,](\d{3,6}) +\[?([A-Z]+)\]? +(.*)", re.DOTALL)
_LEVELLED = re.compile(r"\[?(" + "|".join(LEVELS) + r")\b[\]: ]")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a job's output is in the log: bytes, lines, and the time of the last line."""

    offset: int = 0
    lines: int = 0
    last_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Whose output it is, where all of it stands, and how many of its lines become log."""

    run_id: str
    path: str
    lines_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Lines, and the position after them."""

    lines: tuple[LogLine, ...]
    after: Position


def read_lines(source: Source, chunk: bytes, position: Position, *, at_us: int, final: bool, count_max: int) -> Excerpt:
    """Return at most `count_max` lines of what stands in the output from `position` on.

    The same arguments give the same lines. Lines that say no time get `at_us`, or that of the line before them in this
    chunk. A last line without an end waits, unless it is `final` or as long as a chunk may be.
    """
    lines: list[LogLine] = []
    offset, count, last_us, assumed_us = position.offset, position.lines, position.last_us, at_us
    for raw in _split(chunk):
        whole = raw.endswith(b"\n") or final or len(raw) >= CHUNK_BYTES
        if not whole or len(lines) >= count_max or is_capped(source, count):
            break
        offset += len(raw)
        text = _clean(raw)
        if not text:
            continue
        level, stamp_us, message = _parse(text)
        if stamp_us is not None and at_us - PAST_US_MAX < stamp_us < at_us + FUTURE_US_MAX:
            assumed_us = stamp_us
        if count == source.lines_max:
            level, message = (
                _WARNING,
                f"More lines than {source.lines_max} are not shown here; all stand in {source.path}",
            )
        last_us = max(assumed_us, last_us + 1)
        lines.append(LogLine(run_id=source.run_id, at_us=last_us, level=level, text=message))
        count += 1
    return Excerpt(lines=tuple(lines), after=Position(offset=offset, lines=count, last_us=last_us))


def is_capped(source: Source, lines: int) -> bool:
    """True once the line that names the whole file was the last one."""
    return lines > source.lines_max


def _split(chunk: bytes) -> list[bytes]:
    """Split at line feeds only, keeping them."""
    parts = chunk.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _clean(raw: bytes) -> str:
    """Return what a terminal would show of a line: no colours, and of a progress bar its last look."""
    text = raw.decode("utf-8", errors="replace").rstrip("\r\n")
    return _ESCAPES.sub("", text.rsplit("\r", 1)[-1]).rstrip()


def _parse(text: str) -> tuple[int, int | None, str]:
    """Return a line's level, its own time in microseconds since the epoch, if any, and what it says."""
    stamped = _STAMPED.fullmatch(text)
    if stamped is not None and stamped[3] in LEVELS:
        try:
            seconds = datetime.fromisoformat(stamped[1]).astimezone().timestamp()
        except (ValueError, OverflowError, OSError):
            return _INFO, None, text
        return LEVELS[stamped[3]], int(seconds) * 1_000_000 + int(stamped[2].ljust(6, "0")), stamped[4]
    levelled = _LEVELLED.match(text)
    return (LEVELS[levelled[1]] if levelled is not None else _INFO), None, text
