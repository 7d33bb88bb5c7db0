"""May a dataset be tried again, when, and what did it cost?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.engine import policy
from stages.engine.policy import NOTHING_SPENT, Cause, RetryRule, end_of
from stages.engine.records import Ended, EndKind

NOW = 1_800_000_000.25
RULE = RetryRule(attempts_max=3, backoff_seconds=(30.0, 300.0))
COUNTED = {Cause.FAILED, Cause.LOST}
RULES = st.builds(
    RetryRule,
    attempts_max=st.integers(1, 20),
    backoff_seconds=st.lists(st.floats(0, 1e6), max_size=4).map(tuple),
)


def spent(failures: int = 0, lost: int = 0, why: str = "before") -> Ended:
    return Ended(kind=EndKind.RETRY, failures=failures, lost=lost, why=why)


def end(cause: Cause, *, number: int = 1, before: Ended = NOTHING_SPENT, after_seconds: float | None = None) -> Ended:
    return end_of(cause, "boom", number=number, before=before, rule=RULE, now=NOW, after_seconds=after_seconds)


def test_a_failure_is_counted_and_waits_in_whole_seconds_rounded_up() -> None:
    assert end(Cause.FAILED).value == "retry:-:1:0:1800000031:boom"
    assert end(Cause.FAILED, before=spent(1), number=2).value == "retry:-:2:0:1800000301:boom"


def test_the_last_attempt_quarantines() -> None:
    assert end(Cause.FAILED, before=spent(2), number=3).value == "quarantine:-:3:0:0:attempt 3 of 3 failed: boom"


def test_rejected_is_quarantined_at_once_and_costs_nothing() -> None:
    assert end(Cause.REJECTED).value == "quarantine:-:0:0:0:boom"


@pytest.mark.parametrize("cause", [Cause.RELEASED, Cause.CLUSTER, Cause.OPERATOR])
def test_these_count_nowhere_and_do_not_wait(cause: Cause) -> None:
    assert end(cause, before=spent(2, 9), number=50).value == "retry:-:2:9:0:boom"


def test_later_waits_a_minute_and_doubles_to_an_hour() -> None:
    waits: list[int] = []
    before = NOTHING_SPENT
    for number in range(1, 10):
        before = end(Cause.LATER, before=before, number=number)
        assert (before.kind, before.failures, before.why) == (EndKind.RETRY, 0, f"later x{number}: boom")
        waits.append(before.not_before - int(NOW) - 1)
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_later_begins_anew_after_something_else() -> None:
    assert policy.laters(spent(why="later x4: full")) == 4
    assert end(Cause.LATER, before=end(Cause.FAILED, before=spent(why="later x4: full"))).why == "later x1: boom"


def test_later_keeps_to_what_was_wished_for() -> None:
    assert end(Cause.LATER, after_seconds=5.0).not_before == 1_800_000_006
    assert end(Cause.LATER, after_seconds=0.0).not_before == 0


def test_being_lost_is_bounded_and_counted_apart() -> None:
    before = NOTHING_SPENT
    for number in range(1, 10):
        before = end(Cause.LOST, before=before, number=number)
        assert (before.kind, before.failures, before.lost, before.not_before) == (EndKind.RETRY, 0, number, 0)
    assert end(Cause.LOST, before=before, number=10).value == "quarantine:-:0:10:0:its poller was lost 10 times: boom"


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.REJECTED])
def test_nothing_is_tried_for_ever(cause: Cause) -> None:
    last = end(cause, number=1000)
    assert last.kind is EndKind.QUARANTINE
    assert last.why.startswith("1000 attempts in all: ")
    assert end(cause, number=999).kind is EndKind.RETRY


def test_without_a_backoff_it_is_tried_at_once() -> None:
    assert policy.backoff(RetryRule(backoff_seconds=()), 1) == 0.0


BEFORE = st.builds(spent, st.integers(0, 30), st.integers(0, 15), st.sampled_from(["boom", "later x3: full"]))


@given(st.sampled_from(Cause), RULES, BEFORE, st.integers(1, 1200), st.floats(0, 2e9))
def test_no_cause_counts_twice_or_forgets(
    cause: Cause, rule: RetryRule, before: Ended, number: int, now: float
) -> None:
    after = end_of(cause, "w", number=number, before=before, rule=rule, now=now)
    steps = (after.failures - before.failures, after.lost - before.lost)
    assert steps == {Cause.FAILED: (1, 0), Cause.LOST: (0, 1)}.get(cause, (0, 0))
    if after.kind is EndKind.RETRY:
        assert after.failures < rule.attempts_max
        assert after.lost < policy.LOST_MAX
        assert after.not_before == 0 or after.not_before >= now
    else:
        assert after.kind is EndKind.QUARANTINE


@given(st.lists(st.sampled_from(sorted(COUNTED)), min_size=1, max_size=40), RULES)
def test_budgets_bound_how_often_anything_is_tried(causes: list[Cause], rule: RetryRule) -> None:
    before = NOTHING_SPENT
    for number, cause in enumerate(causes, 1):
        before = end_of(cause, "w", number=number, before=before, rule=rule, now=NOW)
        if before.kind is EndKind.QUARANTINE:
            break
    assert before.failures <= rule.attempts_max
    assert before.lost <= policy.LOST_MAX


def test_publishing_keeps_the_counts_and_a_grant_resets_them() -> None:
    assert policy.published("ab9c6d45", spent(2, 3)).value == "publish:ab9c6d45:2:3:0:ok"
    assert policy.granted().value == "retry:-:0:0:0:operator"
