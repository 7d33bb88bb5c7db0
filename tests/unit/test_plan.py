"""Does every stage get the pollers that it needs, and none that fails over and over again?"""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.engine.plan import FAILURES_MIN, Ask, End, Need, Pause, pause_after, plan
from tests.fakes import START

POOLS = ("cpu", "gpu")


def need(
    stage: str = "phase4", claimable: int = 0, pollers: int = 0, pause: Pause | None = None, **others: str
) -> Need:
    return Need(
        stage=stage,
        claimable=claimable,
        in_flight=0,
        pollers=pollers,
        pollers_max=8,
        datasets_per_poller=50,
        pool=others.get("pool", "cpu"),
        pause=pause,
        closed=others.get("closed", ""),
    )


def asked(*needs: Need, free: int = 0, now: float = START) -> list[int]:
    return [each.pollers for each in plan(needs, {"cpu": free, "gpu": free}, now=now)]


@pytest.mark.parametrize(
    ("claimable", "pollers", "expected"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (50, 0, 1),
        (51, 0, 2),
        (51, 1, 1),
        (51, 2, 0),
        (51, 7, 0),
        (100_000, 0, 8),
        (100_000, 9, 0),
    ],
)
def test_a_stage_is_given_what_its_backlog_asks_for(claimable: int, pollers: int, expected: int) -> None:
    assert asked(need(claimable=claimable, pollers=pollers)) == [expected]


def test_a_backlog_counted_too_low_asks_for_nothing() -> None:
    """Listings are not taken at one moment: more may seem to be at work than wait."""
    assert asked(need(claimable=-3)) == [0]


def test_a_free_slot_goes_to_the_stage_whose_upstream_has_work() -> None:
    chain = [need("a", claimable=10), need("b"), need("c")]
    assert asked(*chain, free=2) == [1, 1, 0]
    assert asked(*chain, free=1) == [1, 0, 0], "the last slot is taken by who has work"
    assert asked(replace(chain[0], claimable=0, in_flight=1), *chain[1:], free=1) == [0, 1, 0]


def test_a_pool_of_its_own_has_slots_of_its_own() -> None:
    chain = [need("a", claimable=400), need("b", pool="gpu")]
    asks = plan(chain, {"cpu": 1, "gpu": 1}, now=START)
    assert [each.pollers for each in asks] == [8, 1]


def test_what_is_closed_gets_nothing_and_says_why() -> None:
    asks = plan([need("a", claimable=99, closed="its deployment is paused")], {"cpu": 9}, now=START)
    assert asks == (Ask(stage="a", pollers=0, why="its deployment is paused"),)


def ends(failed: int, *, then: bool = True) -> list[End]:
    """So many failures, the latest first and at START, a second apart; before them one that went well."""
    bad = [End(failed=True, at=START - ago, why=f"78, {ago} s ago") for ago in range(failed)]
    return [*bad, *([End(failed=False, at=START - failed)] if then else [])]


@pytest.mark.parametrize(
    ("failed", "seconds"),
    [(4, None), (5, 60), (6, 120), (7, 240), (10, 1920), (11, 3600), (16, 3600), (500, 3600)],
)
def test_a_pause_doubles_with_every_failure(failed: int, seconds: float | None) -> None:
    expected = None if seconds is None else Pause(until=START + seconds, failures=failed, why="78, 0 s ago")
    assert pause_after(ends(failed)) == expected
    assert pause_after(ends(failed, then=False)) == expected


def test_one_that_went_well_ends_the_row() -> None:
    assert pause_after([End(failed=False, at=START), *ends(20)]) is None
    assert pause_after([]) is None


def test_a_paused_stage_is_left_alone_then_tried_with_one() -> None:
    pause = pause_after(ends(5))
    assert asked(need(claimable=400, pause=pause), now=START + 59) == [0]
    assert asked(need(claimable=400, pause=pause), now=START + 60) == [1]
    assert asked(need(claimable=400, pause=pause, pollers=1), now=START + 60) == [0]
    (ask,) = plan([need(claimable=400, pause=pause)], {}, now=START)
    assert "5 in a row failed: 78, 0 s ago" in ask.why
    assert ask.why.startswith("paused until 20")


pauses = st.none() | st.builds(
    Pause, until=st.floats(START - 100, START + 100), failures=st.integers(FAILURES_MIN, 20), why=st.just("boom")
)
chains = st.lists(
    st.builds(
        Need,
        stage=st.just("x"),
        claimable=st.integers(-5, 2000),
        in_flight=st.integers(0, 50),
        pollers=st.integers(0, 20),
        pollers_max=st.integers(1, 12),
        datasets_per_poller=st.integers(1, 300),
        pool=st.sampled_from(POOLS),
        pause=pauses,
        closed=st.sampled_from(["", "", "", "closed"]),
    ),
    min_size=1,
    max_size=7,
)
slots = st.dictionaries(st.sampled_from(POOLS), st.integers(0, 20) | st.just(sys.maxsize))


@given(chains, slots)
def test_whatever_is_asked_for_is_bounded_and_reaches_every_stage(needs: list[Need], free: dict[str, int]) -> None:
    asks = plan(needs, free, now=START)
    assert len(asks) == len(needs)
    for each, ask in zip(needs, asks, strict=True):
        is_paused = each.pause is not None and each.pause.until > START
        assert ask.pollers >= 0
        assert ask.pollers == 0 or each.pollers + ask.pollers <= each.pollers_max
        if each.closed or is_paused:
            assert ask.pollers == 0
        elif each.claimable > 0:
            assert each.pollers + ask.pollers > 0
        if each.pause is not None and ask.pollers:
            assert each.pollers + ask.pollers == 1


@given(chains, slots)
def test_no_free_slot_no_poller_beyond_the_backlog(needs: list[Need], free: dict[str, int]) -> None:
    """What is given ahead of need never takes more slots than there are; without it, nothing changes elsewhere."""
    full, bare = plan(needs, free, now=START), plan(needs, {}, now=START)
    for pool in POOLS:
        ahead = sum(a.pollers - b.pollers for each, a, b in zip(needs, full, bare, strict=True) if each.pool == pool)
        spent = sum(b.pollers for each, b in zip(needs, bare, strict=True) if each.pool == pool)
        assert 0 <= ahead <= max(0, free.get(pool, 0) - spent)
    assert all(a.pollers - b.pollers in (0, 1) for a, b in zip(full, bare, strict=True))


@given(chains, slots)
def test_asking_again_at_once_asks_for_nothing_more(needs: list[Need], free: dict[str, int]) -> None:
    """Whatever was asked for counts as a poller the next time, and waits: no slot is free then."""
    asks = plan(needs, free, now=START)
    again = [replace(each, pollers=each.pollers + ask.pollers) for each, ask in zip(needs, asks, strict=True)]
    assert all(ask.pollers == 0 for ask in plan(again, {}, now=START))
