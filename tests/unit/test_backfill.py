"""Do exactly the datasets come back that are meant, no more at once than may be, and is the rest told why not?"""

from __future__ import annotations

import errno

import pytest

from stages.engine.backfill import Backfill, Outcome, Verdict
from stages.engine.condition import Condition
from stages.engine.errors import UsageError
from stages.engine.work.outcome import OutcomeKind
from tests.fakes import FakeWork, answer, fail
from tests.unit.chain import Chain


def backfill(chain: Chain) -> Backfill:
    return Backfill(chain.fs, chain.root, chain.passage("first"), now=chain.clock.now(), who="ada")


def bring_back(
    chain: Chain, *wanted: str, state: Condition = Condition.QUARANTINED, limit: int | None = None, dry: bool = False
) -> list[Outcome]:
    subject = backfill(chain)
    return subject.bring_back(subject.candidates(wanted, state), limit=limit, dry=dry)


def verdicts(found: list[Outcome]) -> dict[str, str]:
    return {one.dataset: str(one.verdict) for one in found}


def put(chain: Chain, work: FakeWork, *datasets: str) -> None:
    for dataset in datasets:
        chain.put(dataset)
    chain.poll("first", work)


@pytest.fixture
def mixed(chain: Chain) -> Chain:
    """q1, q2 in quarantine; b1, b2 backing off; d1, d2 done; w1 waiting, f1 in flight."""
    put(chain, FakeWork(answer(OutcomeKind.REJECT)), "q1", "q2")
    put(chain, FakeWork(), "d1", "d2")
    put(chain, FakeWork(fail()), "b1", "b2")
    for dataset in ("w1", "f1"):
        chain.put(dataset)
    chain.claim("first", "f1")
    return chain


@pytest.mark.parametrize(("state", "first"), [("quarantined", "q"), ("backing_off", "b"), ("done", "d")])
def test_all_means_all_of_that_state(mixed: Chain, state: str, first: str) -> None:
    found = bring_back(mixed, "*", state=Condition(state))
    assert verdicts(found) == {f"{first}1": "brought back", f"{first}2": "brought back"}
    mixed.sweep("first")
    mixed.poll("first")
    there = mixed.ls("MID")
    suffix = "+g2" if first == "d" else ""
    assert {f"{first}1{suffix}", f"{first}2{suffix}"} <= set(there)


@pytest.mark.parametrize("state", list(Condition))
def test_a_dry_run_says_the_same_and_changes_nothing(mixed: Chain, state: Condition) -> None:
    before = sorted(str(path) for path in mixed.path("").rglob("*"))
    dry = bring_back(mixed, "*", state=state, dry=True)
    assert sorted(str(path) for path in mixed.path("").rglob("*")) == before
    assert verdicts(dry) == verdicts(bring_back(mixed, "*", state=state))


@pytest.mark.parametrize(
    ("word", "state", "hint"),
    [
        ("d*", Condition.QUARANTINED, r"no dataset 'd\*' of first is quarantined.*2 such with state=done"),
        ("b1", Condition.DONE, "'b1' of first is done.*1 such with state=backing_off"),
        ("f1", Condition.QUARANTINED, "1 such wait or are at work"),
        ("w*", Condition.BACKING_OFF, r"'w\*' of first is backing off.*1 such wait or are at work"),
        ("q", Condition.QUARANTINED, r"did you mean q1, q2\?"),
        ("zz*", Condition.DONE, "phaseline status"),
        ("*z*", Condition.DONE, "phaseline status"),
    ],
)
def test_a_word_that_means_nothing_is_refused_with_what_would_be_right(
    mixed: Chain, word: str, state: Condition, hint: str
) -> None:
    with pytest.raises(UsageError, match=hint):
        backfill(mixed).candidates(["q1" if state is Condition.QUARANTINED else "*", word], state)


def test_twice_is_as_good_as_once(mixed: Chain) -> None:
    bring_back(mixed, "*")
    assert verdicts(bring_back(mixed, "*")) == {"q1": "brought back", "q2": "brought back"}
    bring_back(mixed, "d1", state=Condition.DONE)
    with pytest.raises(UsageError, match="1 such wait"):
        bring_back(mixed, "d1*", state=Condition.DONE)
    assert mixed.ls("IN/_failed/q1").count("retry.first") == 1


def test_what_is_under_way_meanwhile_is_left_alone(mixed: Chain) -> None:
    subject = backfill(mixed)
    chosen = subject.candidates(["b*"], Condition.BACKING_OFF)
    mixed.clock.advance(3600)
    mixed.claim("first", "b1")
    mixed.path("IN/b2").rename(mixed.path("away"))
    found = subject.bring_back(chosen)
    assert verdicts(found) == {"b1": "nothing to do", "b2": "nothing to do"}
    assert not mixed.path("IN/b1/retry.first").exists()


class TestLimit:
    def test_so_many_come_back_and_the_rest_is_left(self, mixed: Chain) -> None:
        assert verdicts(bring_back(mixed, "*", limit=1)) == {"q1": "brought back", "q2": "left"}

    def test_those_of_before_count_whatever_state_they_were_in(self, mixed: Chain) -> None:
        bring_back(mixed, "d1", state=Condition.DONE)
        bring_back(mixed, "b1", state=Condition.BACKING_OFF)
        assert backfill(mixed).unfinished() == {"d1+g2", "b1"}
        assert verdicts(bring_back(mixed, "*", limit=2)) == {"q1": "left", "q2": "left"}
        assert verdicts(bring_back(mixed, "*", limit=3)) == {"q1": "brought back", "q2": "left"}

    def test_the_same_again_changes_nothing_until_one_is_finished(self, mixed: Chain) -> None:
        for _ in range(2):
            assert verdicts(bring_back(mixed, "*", limit=1)) == {"q1": "brought back", "q2": "left"}
        mixed.sweep("first")
        assert backfill(mixed).unfinished() == {"q1"}
        assert verdicts(bring_back(mixed, "*", limit=1)) == {"q2": "left"}
        mixed.poll("first")
        assert backfill(mixed).unfinished() == set()
        assert verdicts(bring_back(mixed, "*", limit=1)) == {"q2": "brought back"}

    def test_one_that_fails_again_makes_room(self, mixed: Chain) -> None:
        bring_back(mixed, "q1")
        mixed.sweep("first")
        mixed.poll("first", FakeWork(answer(OutcomeKind.REJECT)))
        assert backfill(mixed).unfinished() == set()

    def test_repeated_it_gets_through_all_before_it_begins_anew(self, mixed: Chain) -> None:
        came: list[str] = []
        for _ in range(3):
            found = bring_back(mixed, "d*", state=Condition.DONE, limit=1)
            came += [one.dataset for one in found if one.verdict is Verdict.BROUGHT_BACK]
            mixed.poll("first")
        assert came == ["d1", "d2", "d1+g2"]

    def test_a_dry_run_counts_alike(self, mixed: Chain) -> None:
        assert verdicts(bring_back(mixed, "*", limit=1, dry=True)) == {"q1": "brought back", "q2": "left"}


def test_what_one_refuses_keeps_no_other_back(mixed: Chain) -> None:
    mixed.fs.fail("open_new", "retry.first", errno.EACCES, times=1)
    first, second = bring_back(mixed, "*")
    assert (first.verdict, second.verdict) == (Verdict.REFUSED, Verdict.BROUGHT_BACK)
    assert "chmod g+rwxs" in first.what


def test_what_was_pruned_is_said(mixed: Chain) -> None:
    (entry,) = mixed.path("IN/_done").glob("d1~*")
    entry.rename(f"{entry}~pruned")
    first, second = bring_back(mixed, "d*", state=Condition.DONE)
    assert (first.verdict, second.verdict) == (Verdict.REFUSED, Verdict.BROUGHT_BACK)
    assert "pruned" in first.what


def test_what_cannot_be_opened_is_not_counted(mixed: Chain) -> None:
    (mixed.path("IN") / "file").touch()
    assert backfill(mixed).unfinished() == set()
    (mixed.path("IN/b1") / "ended.first.1").unlink()
    (mixed.path("IN/b1") / "ended.first.1").touch()
    assert [one.dataset for one in backfill(mixed).candidates(["*"], Condition.BACKING_OFF)] == ["b2"]
