"""Is a person told of everything, and of each thing once?"""

from __future__ import annotations

from stages.engine.finding import Action, Finding
from stages.engine.news import News, news, standing
from stages.engine.sweeper import Report


def report(*found: tuple[str, Action], quarantined: str = "", full: bool = True) -> Report:
    return Report(
        stage="first",
        full=full,
        opened=9,
        findings=tuple(Finding(dataset=dataset, action=action, where="/x") for dataset, action in found),
        seconds=0.1,
        quarantined=frozenset(quarantined.split()),
    )


def told(*reports: Report) -> list[dict[News, list[str]]]:
    """What is told of passes that follow one another."""
    known: dict[str, list[str]] = {}
    said: list[dict[News, list[str]]] = []
    for one in reports:
        said.append(news(one, known))
        known = standing(one, known)
    return said


def test_nothing_is_no_news() -> None:
    assert told(report()) == [{}]
    assert told(report(("ds1", Action.CLEANED), ("ds2", Action.SUSPECTED), ("ds3", Action.PUBLISHED))) == [{}]


def test_a_quarantine_is_told_once_whoever_put_it_there() -> None:
    first = report(("ds2", Action.QUARANTINED), quarantined="ds1 ds2")
    again = report(quarantined="ds1 ds2 ds3")
    assert told(first, again, again) == [{News.QUARANTINED: ["ds1", "ds2"]}, {News.QUARANTINED: ["ds3"]}, {}]


def test_one_that_came_back_and_failed_again_is_told_again() -> None:
    there, away = report(quarantined="ds1"), report(("ds1", Action.GRANTED))
    assert told(there, away, there) == [
        {News.QUARANTINED: ["ds1"]},
        {News.REQUEUED: ["ds1"]},
        {News.QUARANTINED: ["ds1"]},
    ]


def test_each_requeue_is_news() -> None:
    one = report(("ds2", Action.REQUEUED), ("ds1", Action.GRANTED))
    assert told(one, one) == [{News.REQUEUED: ["ds1", "ds2"]}] * 2


def test_what_is_stuck_is_told_once_until_it_is_over() -> None:
    stuck = report(("ds1", Action.BLOCKED), ("ds2", Action.DAMAGED), ("ds2", Action.UNKNOWN_ATTEMPT))
    assert told(stuck, stuck, report(), stuck) == [{News.STUCK: ["ds1", "ds2"]}, {}, {}, {News.STUCK: ["ds1", "ds2"]}]


def test_a_pass_that_did_not_see_everything_ends_nothing() -> None:
    stuck, partial = report(("ds1", Action.UNKNOWN_ATTEMPT)), report(full=False)
    assert told(stuck, partial, stuck) == [{News.STUCK: ["ds1"]}, {}, {}]


def test_a_lost_hint_costs_one_repetition() -> None:
    one = report(quarantined="ds1")
    assert news(one, {}) == news(one, {}) == {News.QUARANTINED: ["ds1"]}
    assert news(one, standing(one, {})) == {}
