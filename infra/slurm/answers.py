"""What SLURM's error texts mean for whoever asked: one table, pure. The same words come from its tools and its REST.

The texts are those of slurm_errno.c from 22.05 to 26.05; a site's submission plugin may say anything else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an error is: `AWAY` and `LATER` pass by, the one with SLURM, the other with this user's other jobs."""

    AWAY = "away"
    LATER = "later"
    REFUSED = "refused"
    UNKNOWN_JOB = "unknown job"
    OVER = "over"
    NO_ACCOUNTING = "no accounting"
    STRANGE = "strange"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`text`: what SLURM said, and what to do about it, on one line."""

    kind: Kind
    text: str


def judge(text: str) -> Verdict:
    """Return what an error text means; STRANGE for words that are not in the table."""
    said = plain_words(text)
    for pattern, kind, advice in _TABLE:
        found = pattern.search(said)
        if found is not None:
            return Verdict(kind=kind, text=f"{said}: {advice}" if advice else said)
    return Verdict(kind=Kind.STRANGE, text=said or "SLURM gave no reason")


def plain_words(text: str) -> str:
    """Return an error text as one line, without the tool's name and what all of its errors begin with."""
    lines = [_PREFIX.sub("", line).strip() for line in text.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))[:500]


_PREFIX = re.compile(r"^(?:\w+: )?(?:error|fatal)?:? ?(?:Batch job submission failed: |slurm_\w+ error: )?", re.ASCII)
_SIZE = "lower the job variables 'cpus', 'memory_mb', 'gpus' or 'gres', or set 'partition' to one with larger nodes"
_POLICY = (
    "the job asks for more than the account or QOS allows: lower the job variables 'time_limit_minutes', 'cpus',"
    " 'memory_mb' or 'gpus', or set 'qos' or 'account' to another one"
)
_POLICY_OR_LATER = (
    "other jobs have to end first, or the job asks for more than the account and QOS allow"
    " (job variables 'account', 'qos', 'time_limit_minutes', 'cpus', 'memory_mb', 'gpus')"
)
_RESERVATION = "set the job variable 'reservation' to one that `scontrol show reservation` lists for you"

_ROWS: tuple[tuple[str, Kind, str], ...] = (
    # known of a job
    (r"Invalid job id specified", Kind.UNKNOWN_JOB, ""),
    (r"already completing or completed", Kind.OVER, ""),
    (r"accounting storage is disabled", Kind.NO_ACCOUNTING, ""),
    # SLURM cannot be asked
    (r"Socket timed out|Connection timed out|Connection refused|Connection reset", Kind.AWAY, ""),
    (r"Unable to contact slurm controller|Communication (connection|shutdown) failure", Kind.AWAY, ""),
    (r"Message (send|receive) failure|Zero Bytes were transmitted|Unexpected message received", Kind.AWAY, ""),
    (r"controller in standby mode|rate limit|Unable to establish control", Kind.AWAY, ""),
    (r"munge|Protocol authentication error|Unable to connect to database|database: ", Kind.AWAY, ""),
    (r"cannot stat file|establish a configuration source|fetch configuration|from_dns", Kind.AWAY, ""),
    (r"name resolution|No route to host|Network is unreachable|Transport endpoint", Kind.AWAY, ""),
    (r"Unable to create job record, try again|I/O error writing script|try again later", Kind.AWAY, ""),
    (r"cannot allocate memory|Too many open files|Stale file handle|Input/output error", Kind.AWAY, ""),
    # limits that pass by when other jobs end, and those that do not
    (r"Max(Submit)?Jobs?\w*Limit|GrpSubmitJobs\w*Limit|MaxSubmitJob", Kind.LATER, "other jobs have to end first"),
    (r"(QOS|Assoc)\w*(Cpu|Node|Mem|Wall|TRES|GRES|Min|Time)\w*", Kind.REFUSED, _POLICY),
    (r"violates accounting/QOS policy", Kind.LATER, _POLICY_OR_LATER),
    (r"temporarily unable to accept job|job queue full|Resource temporarily unavailable", Kind.LATER, ""),
    (r"partition not available \(inactive|Required node not available|Requested nodes are busy", Kind.LATER, ""),
    (r"reservation (is in use|not usable now)", Kind.LATER, ""),
    # what the job asks for and will not get
    (r"reservation", Kind.REFUSED, _RESERVATION),
    (
        r"invalid account|account/partition combination",
        Kind.REFUSED,
        "set the job variable 'account' to one that `sacctmgr show associations user=$USER` lists",
    ),
    (
        r"invalid qos",
        Kind.REFUSED,
        "set the job variable 'qos' to one that `sacctmgr show associations user=$USER` lists",
    ),
    (
        r"time limit|--time",
        Kind.REFUSED,
        "set the job variable 'time_limit_minutes' to what `sinfo -o '%P %l'` allows in the partition",
    ),
    (
        r"partition configuration not available|not in this partition",
        Kind.REFUSED,
        f"{_SIZE}; `sinfo -o '%P %l %c %m %G'` shows what there is",
    ),
    (r"partition", Kind.REFUSED, "set the job variable 'partition' to one that `sinfo -s` lists"),
    (r"feature", Kind.REFUSED, "set the job variable 'constraint' to features that `sinfo -o '%P %f'` lists"),
    (
        r"generic resource|\bgres\b",
        Kind.REFUSED,
        "set the job variable 'gpus' or 'gres' to what `sinfo -o '%P %G'` lists",
    ),
    (
        r"node count|processors requested|CPU count|node configuration|Memory|memory|Job size|--mem|cpus-per-task",
        Kind.REFUSED,
        f"{_SIZE}; `sinfo -o '%P %c %m %G %f'` shows what there is",
    ),
    (r"node name|--exclude|hostlist", Kind.REFUSED, "set the job variable 'exclude' to nodes that `sinfo -N` lists"),
    (
        r"license|dependency|burst.?buffer|wckey|unrecognized option|ambiguous|Invalid (option|argument|--)",
        Kind.REFUSED,
        "look at the job variable 'directives'",
    ),
    (
        r"permission denied|Invalid user id|User not found",
        Kind.REFUSED,
        "ask the site whether this user may submit jobs",
    ),
    (r"Pathname .* too long", Kind.REFUSED, "set the job variable 'jobs_directory' to a shorter path"),
)
_TABLE = tuple((re.compile(pattern, re.IGNORECASE), kind, advice) for pattern, kind, advice in _ROWS)
