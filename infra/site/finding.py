"""What one check of a site found, as a line for a ticket."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # it works, and somebody should know
    FAULT = "fault"  # pollers will not start, or lose work


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's answer. `todo` says what to change."""

    check: str
    verdict: Verdict = Verdict.OK
    detail: str = ""
    todo: str = ""

    @property
    def line(self) -> str:
        """One line: what was said of several is on it, too."""
        more = ". ".join(" ".join(part.split()) for part in (self.detail, self.todo) if part)
        return f"{self.verdict:<8} {self.check}" + (f": {more}" if more else "")


def ok(check: str, detail: str = "") -> Finding:
    return Finding(check=check, detail=detail)


def warning(check: str, detail: str, todo: str = "") -> Finding:
    return Finding(check=check, verdict=Verdict.WARNING, detail=detail, todo=todo)


def fault(check: str, detail: str, todo: str = "") -> Finding:
    return Finding(check=check, verdict=Verdict.FAULT, detail=detail, todo=todo)
