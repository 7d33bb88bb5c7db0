"""Errors that a person reads: what, where, and what to type next."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command of phaseline ends (sysexits.h where there is a name for it)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REJECTED = 65  # EX_DATAERR, from a stage's own command
    STORAGE = 75  # EX_TEMPFAIL
    CONFIGURATION = 78  # EX_CONFIG
    ALWAYS_FAILS = 79


class PhaselineError(Exception):
    """Something that a person has to know, in one line.

    `str(error)` is that line: what is wrong, where (a path), and the next thing to type.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, what: str, *, where: object = None, todo: str | None = None) -> None:
        self.what, self.where, self.todo = what, where, todo
        line = what if where is None else f"{what}: {where}"
        super().__init__(_printable(line if todo is None else f"{line}; {todo}"))


class UsageError(PhaselineError):
    """The words typed cannot be carried out; nothing was changed."""

    exit_code = ExitCode.USAGE


class NameNotAllowedError(UsageError):
    """A dataset or stage may not be called that."""


class CatalogError(PhaselineError):
    """A stage.toml, or all of them together, cannot be used."""

    exit_code = ExitCode.CONFIGURATION


class NotARootError(UsageError):
    """The directory given as root is none."""


class StageSetupError(PhaselineError):
    """The stage's own code cannot be imported, found or set up: nothing was claimed."""

    exit_code = ExitCode.CONFIGURATION


class StageAlwaysFailsError(PhaselineError):
    """Several datasets in a row failed in the same way: it is the stage, not the data."""

    exit_code = ExitCode.ALWAYS_FAILS


class StorageError(PhaselineError):
    """The shared storage is full, read-only, gone or does not answer."""

    exit_code = ExitCode.STORAGE


class NoAnswerError(StorageError):
    """A call failed in a way that does not tell whether it was carried out (PROTOCOL 3, COMPLETE)."""


class DamagedRegisterError(PhaselineError):
    """A name that should be a register is none, or says what nobody writes."""


class RevokedError(Exception):
    """This attempt was ended by somebody else; its owner stops and leaves everything as it is."""


class RejectDataset(Exception):  # noqa: N818 - an author raises it as a verdict, not as an error
    """Raised by a stage: this dataset can never be processed; it is quarantined at once, with this reason."""


class TryLater(Exception):  # noqa: N818 - an author raises it as a verdict, not as an error
    """Raised by a stage: not now. The dataset comes back later and no attempt is counted.

    `after_seconds`: how long to wait at least; None lets the engine choose (60 s, doubling up to an hour).
    """

    def __init__(self, why: str = "", *, after_seconds: float | None = None) -> None:
        super().__init__(why)
        self.after_seconds = after_seconds


def _printable(text: str) -> str:
    """One line, whatever file names it quotes."""
    return "".join(c if c.isprintable() else "?" for c in text)
