"""What SLURM's tools print of jobs, read: squeue's lines, scontrol's paragraphs, sacct's rows. Pure, 22.05 to 26.05."""

from __future__ import annotations

import pwd
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from infra.slurm.endings import exit_of
from infra.slurm.states import JobState, Phase, UnknownStateError, parse_state
from infra.slurm.transport import JobReport

# squeue -O. Fields of ours come first: what another job's comment holds cannot get into them.
QUEUE_FIELDS = ("JobID", "State", "RestartCnt", "NodeList", "Reason", "Comment")
QUEUE_WIDTHS = (12, 16, 8, 64, 128, 128)
QUEUE_FORMAT = ",".join(f"{name}:{width}" for name, width in zip(QUEUE_FIELDS, QUEUE_WIDTHS, strict=True))
ACCOUNT_FORMAT = "JobIDRaw,State,ExitCode,NodeList"
COMMENT_FORMAT = "JobIDRaw,Comment"
NOTHING = frozenset({"", "(null)", "None", "N/A", "None assigned"})

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.\d+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A job that SLURM knows, in its words: `tag` is the comment that it was handed in with."""

    number: int
    tag: str
    state: str
    reason: str = ""
    node: str = ""
    restarts: int = 0
    code: int = 0
    signal: int = 0

    def is_of(self, tag: str) -> bool:
        """False for a job of another tag with the same number: a cluster that was set up anew counts from 1 again."""
        return self.tag == tag or not _TAG.match(self.tag)

    @property
    def report(self) -> JobReport:
        """Raises UnknownStateError: only where somebody wants to know, as the queue holds jobs of others too."""
        report = JobReport(state=parse_state(self.state), reason=self.reason, node=self.node, restarts=self.restarts)
        return with_end(report, self.code, self.signal)


def read_queue(text: str) -> Mapping[int, Listed]:
    """Return the jobs of `squeue -h -O QUEUE_FORMAT` by their numbers."""
    listed: dict[int, Listed] = {}
    for line in text.splitlines():
        words: list[str] = []
        start = 0
        for width in QUEUE_WIDTHS:
            words.append(_some(line[start : start + width].strip()))
            start += width
        number, state, restarts, node, reason, tag = words
        if number.isdecimal():
            listed[int(number)] = Listed(
                number=int(number), tag=tag, state=state, reason=reason, node=node, restarts=_count(restarts)
            )
    return listed


def read_job(text: str) -> Listed | None:
    """Return the job of `scontrol show job N`, None for none.

    Each line begins with a word of SLURM's own, so that a job's name or path cannot say how it ended.
    """
    said: dict[str, str] = {}
    for line in text.splitlines():
        first, _, rest = line.strip().partition("=")
        if first in {"JobId", "NodeList", "Comment"}:
            said[first] = rest.split(" ", 1)[0]
        elif first in {"JobState", "Requeue"}:
            said |= dict(word.split("=", 1) for word in line.split() if "=" in word)
    if not said.get("JobId", "").isdecimal() or "JobState" not in said:
        return None
    code, _, signal = said.get("ExitCode", "").partition(":")
    return Listed(
        number=int(said["JobId"]),
        tag=_some(said.get("Comment", "")),
        state=said["JobState"],
        reason=_some(said.get("Reason", "")),
        node=_some(said.get("NodeList", "")) or _some(said.get("FailedNode", "")),
        restarts=_count(said.get("Restarts", "")),
        code=_count(code),
        signal=_count(signal),
    )


def read_accounts(text: str) -> Mapping[int, JobReport]:
    """Return what `sacct -n -P -X -o ACCOUNT_FORMAT` says of ends, by job number; the last start of each."""
    reports: dict[int, JobReport] = {}
    for line in text.splitlines():
        number, state, ended, nodes = [*line.split("|"), "", "", ""][:4]
        if not number.isdecimal():
            continue
        code, _, signal = ended.partition(":")
        try:
            report = JobReport(state=parse_state(state), node=_some(nodes), by=_who(state))
        except UnknownStateError:
            continue
        if report.state.phase is Phase.OVER:  # what is running there is what the controller knows better
            reports[int(number)] = with_end(report, _count(code), _count(signal))
    return reports


def read_comments(text: str, tags: Collection[str]) -> Mapping[str, int]:
    """Return the numbers of jobs with these tags of `sacct -n -P -X -o COMMENT_FORMAT`."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        number, _, comment = line.partition("|")
        if comment in tags and number.isdecimal():
            found.setdefault(comment, int(number))
    return found


def with_end(report: JobReport, code: int, signal: int) -> JobReport:
    """Return the report with how the job ended, if it has; one that never had a node has no exit code."""
    if report.state.phase is not Phase.OVER or (not report.node and report.state is not JobState.COMPLETED):
        return report
    if report.state in _UNSEEN and not code:
        return report
    exit_code, number = exit_of(code, signal)
    return replace(report, exit_code=exit_code, signal=number)


# Nobody saw the command end: its exit code of 0 is none.
_UNSEEN = frozenset({JobState.NODE_FAIL, JobState.BOOT_FAIL, JobState.REVOKED})


def _some(word: str) -> str:
    return "" if word in NOTHING else word


def _count(word: str) -> int:
    return int(word) if word.isdecimal() else 0


def _who(state: str) -> str:
    """Return the name of the user in `CANCELLED by 1000`, the number where it has none here."""
    _, by, user = state.partition(" by ")
    if not by or not user.strip().isdecimal():
        return ""
    try:
        return pwd.getpwuid(int(user)).pw_name
    except KeyError:
        return f"user {user.strip()}"
