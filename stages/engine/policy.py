"""How an attempt ends: may the dataset be tried again, and when. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from stages.engine.records import Ended, EndKind

ATTEMPTS_IN_ALL = 1000  # k_max: no dataset is tried more often, whatever the reasons
LOST_MAX = 10
LATER_SECONDS = 60.0
LATER_SECONDS_MAX = 3600.0
_LATERS = re.compile(r"later x([0-9]+)\b")


class Cause(StrEnum):
    """Why an attempt ends without being published, and so what it costs the dataset."""

    FAILED = "failed"  # the stage's own failure: counted
    REJECTED = "rejected"  # the stage says never: quarantined at once
    LATER = "later"  # TryLater, input still arriving, storage full: not counted, waits longer each time
    RELEASED = "released"  # drain, preemption, time limit near: not counted, at once
    LOST = "lost"  # the owner fell silent, nobody knows why: counted apart
    CLUSTER = "cluster"  # the owner fell silent, and the cluster is known to be the reason: counts nowhere
    OPERATOR = "operator"  # a person asked for it


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """What stage.toml says of retries; the last backoff stands for all later ones."""

    attempts_max: int = 3
    backoff_seconds: tuple[float, ...] = (30.0, 300.0, 1800.0)


NOTHING_SPENT = Ended(kind=EndKind.RETRY, why="")  # the budget of a dataset that was never tried


def end_of(
    cause: Cause,
    why: str,
    *,
    number: int,
    before: Ended,
    rule: RetryRule,
    now: float,
    after_seconds: float | None = None,
) -> Ended:
    """Decide the end of attempt `number`, whose predecessor ended as `before` (PROTOCOL 3, FAIL to LOST).

    `now` and the answer's `not_before` are seconds since the epoch; `after_seconds` is a wish that
    goes with LATER only.
    """
    failures, lost, wait_seconds = before.failures, before.lost, 0.0
    match cause:
        case Cause.REJECTED:
            return Ended(kind=EndKind.QUARANTINE, failures=failures, lost=lost, why=why)
        case Cause.FAILED:
            failures += 1
            wait_seconds = backoff(rule, failures)
        case Cause.LATER:
            times = laters(before) + 1
            wait_seconds = doubled(times) if after_seconds is None else after_seconds
            why = f"later x{times}: {why}"
        case Cause.LOST:
            lost += 1
        case Cause.RELEASED | Cause.CLUSTER | Cause.OPERATOR:
            pass
        case _:
            assert_never(cause)
    spent = spent_reason(failures, lost, number, rule)
    if spent is not None:
        return Ended(kind=EndKind.QUARANTINE, failures=failures, lost=lost, why=f"{spent}: {why}")
    not_before = math.ceil(now + wait_seconds) if wait_seconds > 0 else 0
    return Ended(kind=EndKind.RETRY, failures=failures, lost=lost, not_before=not_before, why=why)


def spent_reason(failures: int, lost: int, number: int, rule: RetryRule) -> str | None:
    """Return why a dataset may not be tried again, or None if it may."""
    if failures >= rule.attempts_max:
        return f"attempt {failures} of {rule.attempts_max} failed"
    if lost >= LOST_MAX:
        return f"its poller was lost {lost} times"
    if number >= ATTEMPTS_IN_ALL:
        return f"{ATTEMPTS_IN_ALL} attempts in all"
    return None


def backoff(rule: RetryRule, failures: int) -> float:
    """Return how long a dataset waits after its `failures`th counted failure, in seconds."""
    if not rule.backoff_seconds:
        return 0.0
    return rule.backoff_seconds[min(failures, len(rule.backoff_seconds)) - 1]


def laters(before: Ended) -> int:
    """Return how many times in a row the dataset was put off before."""
    found = _LATERS.match(before.why)
    return int(found[1]) if found else 0


def doubled(times: int, first_seconds: float = LATER_SECONDS) -> float:
    """Return `first_seconds`, doubled with every time, up to an hour."""
    return min(first_seconds * 2.0 ** min(times - 1, 20), LATER_SECONDS_MAX)


def published(token: str, before: Ended) -> Ended:
    """Return the end that is the commit point."""
    return Ended(kind=EndKind.PUBLISH, token=token, failures=before.failures, lost=before.lost, why="ok")


def granted() -> Ended:
    """Return the end of the virtual attempt that gives a dataset its whole budget back."""
    return Ended(kind=EndKind.RETRY, why="operator")
