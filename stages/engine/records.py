"""What a register says: its value, to and from text (PROTOCOL 2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stages.engine.errors import DamagedRegisterError

ADMIN = "admin"  # the token of a virtual attempt, put by a sweeper for an operator
VALUE_BYTES_MAX = 200


class EndKind(StrEnum):
    """How an attempt ended."""

    PUBLISH = "publish"
    RETRY = "retry"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Who owns an attempt: `token:host:pid:job.restart`, or `-` where there is no job."""

    token: str
    host: str
    pid: int
    job: str

    @property
    def value(self) -> str:
        """The register's value."""
        return f"{self.token}:{self.host}:{self.pid}:{self.job}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an attempt ended: `kind:token:failures:lost:not-before:why`.

    `failures` and `lost` count all attempts up to this one since an operator last reset them;
    `not_before` is in whole seconds since the epoch, 0 for at once.
    """

    kind: EndKind
    token: str = "-"
    failures: int = 0
    lost: int = 0
    not_before: int = 0
    why: str

    @property
    def value(self) -> str:
        """The register's value: printable ASCII, at most 200 bytes; `why` is cut."""
        head = f"{self.kind}:{self.token}:{self.failures}:{self.lost}:{self.not_before}:"
        return head + printable(self.why)[: VALUE_BYTES_MAX - len(head)]


def is_earlier_start(job: str, of: str) -> bool:
    """Tell whether `job` (`123.0`) is an earlier start of the job `of` (`123.1`): SLURM ends one before the next."""
    number, _, start = job.rpartition(".")
    same, _, latest = of.rpartition(".")
    return number == same != "" and start.isdecimal() and latest.isdecimal() and int(start) < int(latest)


def is_first_start(job: str) -> bool:
    """Tell whether a job (`123.0`), or what is none (`-`), was never requeued."""
    start = job.rpartition(".")[2]
    return not start.isdecimal() or int(start) == 0


def printable(text: str) -> str:
    """Return `text` on one line of printable ASCII, anything else as `?`."""
    text = text.strip()
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def parse_taken(value: str, where: object = None) -> Taken:
    """Read a `taken` register; raises DamagedRegisterError."""
    parts = value.split(":", 3)
    try:
        token, host, pid, job = parts
        return Taken(token=token, host=host, pid=int(pid), job=job)
    except ValueError:
        raise _damaged(value, where) from None


def parse_ended(value: str, where: object = None) -> Ended:
    """Read an `ended` register; an unknown kind raises DamagedRegisterError."""
    parts = value.split(":", 5)
    try:
        kind, token, failures, lost, not_before, why = parts
        return Ended(
            kind=EndKind(kind),
            token=token,
            failures=int(failures),
            lost=int(lost),
            not_before=int(not_before),
            why=why,
        )
    except ValueError:
        raise _damaged(value, where) from None


def _damaged(value: str, where: object) -> DamagedRegisterError:
    return DamagedRegisterError(
        f"a register holds {value!r}, which phaseline never writes",
        where=where,
        todo="look who made it with `ls -l`, then remove that one name",
    )
