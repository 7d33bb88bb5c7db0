"""Verdict: from an exception, an exit code or a signal to an outcome, in words. Pure."""

from __future__ import annotations

import errno
import math
import signal
from collections.abc import Iterator
from types import TracebackType
from typing import cast

from stages.engine.errors import ExitCode, RejectDataset, TryLater
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind

WHY_CHARACTERS_MAX = 150

_STORAGE = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "disk quota exceeded",
    errno.EROFS: "read-only file system",
    errno.EIO: "input/output error",
    errno.ESTALE: "stale file handle",
}
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS}
_ASKED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
_SHELL_SIGNAL = 128  # a shell says 128 + n when what it started was ended by signal n


def of_exception(error: BaseException, *, stage_directory: str, attempt_paths: tuple[str, ...] = ()) -> Outcome:
    """Return the outcome of a callable that raised `error`.

    `stage_directory`: whose files count as the author's own. `attempt_paths`: where the dataset lies; a read-only file
    system anywhere else is the stage's mistake (an image is read-only), not the storage's.
    """
    place = _place(error, stage_directory)
    if isinstance(error, TryLater):
        why = _text(error) or "the stage asked to come back later"
        return Outcome(kind=OutcomeKind.LATER, why=_cut(why), after_seconds=_seconds(error.after_seconds))
    if (storage := _storage(error, attempt_paths)) is not None:
        return Outcome(kind=OutcomeKind.STORAGE, why=_cut(storage, place), signature="storage")
    if isinstance(error, RejectDataset):
        return Outcome(kind=OutcomeKind.REJECT, why=_cut(_text(error) or "rejected by the stage"))
    name = type(error).__name__
    return Outcome(kind=OutcomeKind.FAIL, why=_cut(_words(error), place), signature=f"{name} {place}".rstrip())


def of_exit(code: int, last_line: str) -> Outcome:
    """Return the outcome of a command that ended by itself; `last_line` is the last that it said."""
    said = _one_line(last_line)
    if code == ExitCode.OK:
        return PUBLISHED
    if code == ExitCode.REJECTED:
        return Outcome(kind=OutcomeKind.REJECT, why=_cut(said or "rejected by the stage (exit code 65)"))
    if code == ExitCode.STORAGE:  # EX_TEMPFAIL
        return Outcome(kind=OutcomeKind.LATER, why=_cut(said or "the stage asked to come back later (exit code 75)"))
    words = f"exit code {code}"
    return Outcome(kind=OutcomeKind.FAIL, why=_cut(f"{words}: {said}" if said else words), signature=words)


def of_death(code: int, *, out_of_memory: bool) -> Outcome:
    """Return the outcome of a process that ended with `code` (as subprocess has it) before its work did."""
    if code >= 0:
        return Outcome(kind=OutcomeKind.FAIL, why=f"ended with exit code {code}", signature=f"exit code {code}")
    number = -code
    words = f"killed by {_signal(number)}"
    if number == signal.SIGKILL:
        words += (
            ", out of memory: the cgroup's OOM killer ended it, so the stage needs more memory"
            if out_of_memory
            else ": most likely out of memory, or killed by hand"
        )
    elif number in _CRASHES:
        words += ": the stage's code crashed"
    return Outcome(kind=OutcomeKind.FAIL, why=words, signature=f"signal {number}")


def of_timeout(timeout_seconds: float) -> Outcome:
    """Return the outcome of work that had its full time."""
    return Outcome(
        kind=OutcomeKind.FAIL, why=f"took longer than timeout_seconds = {timeout_seconds:g}", signature="timeout"
    )


def was_asked_to_end(code: int) -> bool:
    """Tell whether an exit code (as subprocess has it) is what a signal that asks for an end leaves behind."""
    return -code in _ASKED or code - _SHELL_SIGNAL in _ASKED


def _words(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory (MemoryError)"
    if isinstance(error, SystemExit):
        return f"sys.exit({error.code!r}) instead of a return"
    text = _text(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return _one_line(str(error))
    except Exception:  # noqa: BLE001 - an author's __str__ may do anything
        return ""


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in text).split())


def _cut(text: str, place: str = "") -> str:
    """Return `text (place)`; too long, it is the text that is cut, never the place."""
    where = f" ({place})" if place else ""
    room = WHY_CHARACTERS_MAX - len(where)
    return (text if len(text) <= room else text[: room - 3] + "...") + where


def _place(error: BaseException, stage_directory: str) -> str:
    """Return `stage.py:12`, the innermost frame in a file of the author's, or nothing."""
    place = ""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(stage_directory.rstrip("/") + "/"):
            place = f"{file.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _storage(error: BaseException, attempt_paths: tuple[str, ...]) -> str | None:
    for link in _chain(error):
        if isinstance(link, OSError) and link.errno in _STORAGE:
            name = link.filename if isinstance(link.filename, str) else ""
            elsewhere = attempt_paths and name.startswith("/") and not name.startswith(attempt_paths)
            if link.errno != errno.EROFS or not elsewhere:
                return _one_line(_STORAGE[link.errno] + (f": {name}" if name else ""))
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what led to it, as a traceback shows it: `raise ... from None` hides the rest."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        link = waiting.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            waiting.extend(cast("BaseExceptionGroup[BaseException]", link).exceptions)
        before = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if before is not None:
            waiting.append(before)


def _seconds(after_seconds: object) -> float | None:
    if not isinstance(after_seconds, int | float) or not math.isfinite(after_seconds) or after_seconds < 0:
        return None
    return float(after_seconds)


def _signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
