"""Does an operator's wish for another try do what it says, and only where it changes anything?"""

from __future__ import annotations

import errno

import pytest

from stages.engine.errors import UsageError
from stages.engine.requests import Answer, Requests
from stages.engine.work.outcome import OutcomeKind
from tests.fakes import FakeWork, answer, fail
from tests.unit.chain import Chain


def retry(chain: Chain, *wanted: str) -> list[Answer]:
    return Requests(chain.fs, chain.passage("first"), chain.clock.now()).retry(wanted)


def what(chain: Chain, wanted: str) -> str:
    (found,) = retry(chain, wanted)
    return found.what


def reject(chain: Chain, *datasets: str) -> None:
    for dataset in datasets:
        chain.put(dataset)
    chain.poll("first", FakeWork(answer(OutcomeKind.REJECT)))


def test_from_quarantine_it_returns_with_its_whole_budget(chain: Chain) -> None:
    reject(chain, "ds1")
    assert chain.ls("IN/_failed") == ["ds1"]
    assert "returns from quarantine at the next sweep" in what(chain, "ds1")
    chain.sweep("first")
    chain.poll("first")
    assert chain.ls("MID") == ["ds1"]


def test_backing_off_it_is_tried_at_the_next_sweep(chain: Chain) -> None:
    chain.put("ds1")
    chain.poll("first", FakeWork(fail()))
    assert "not only after 20" in what(chain, "ds1")
    chain.poll("first")
    assert chain.ls("MID") == []
    chain.sweep("first")
    chain.poll("first")
    assert chain.ls("MID") == ["ds1"]


def test_an_attempt_under_way_is_given_up(chain: Chain) -> None:
    chain.put("ds1")
    chain.claim("first", "ds1")
    assert "attempt 1, under way on node1, is given up" in what(chain, "ds1")
    chain.sweep("first")
    chain.poll("first")
    assert chain.ls("MID") == ["ds1"]


def test_twice_is_as_good_as_once(chain: Chain) -> None:
    reject(chain, "ds1")
    assert what(chain, "ds1") == what(chain, "ds1")


@pytest.mark.parametrize("settled", [False, True])
def test_where_a_poller_will_come_anyway_no_mark_is_left(chain: Chain, settled: bool) -> None:
    path = chain.put("ds1")
    if settled:
        chain.poll("first", FakeWork(fail()))
        chain.clock.advance(3600)
    (found,) = retry(chain, "ds1")
    assert (found.marked, found.what.endswith("no mark needed")) == (False, True)
    assert not (path / "retry.first").exists()


def test_moved_to_quarantine_by_hand_it_is_moved_back(chain: Chain) -> None:
    chain.put("ds1").rename(chain.path("IN/_failed/ds1"))
    assert "moved back" in what(chain, "ds1")
    chain.sweep("first")
    assert chain.ls("IN") == ["ds1"]


def test_a_pattern_means_what_is_stuck_and_nothing_under_way(chain: Chain) -> None:
    reject(chain, "ds1", "ds2", "other")
    chain.put("ds3")
    chain.claim("first", "ds3")
    answers = {found.dataset: found.marked for found in retry(chain, "ds*")}
    assert answers == {"ds1": True, "ds2": True, "ds3": False}
    assert not chain.path("IN/ds3/retry.first").exists()
    assert {found.dataset: found.marked for found in retry(chain, "ds*", "ds3")}["ds3"]


def test_a_name_that_looks_like_a_pattern_is_a_name(chain: Chain) -> None:
    reject(chain, "ds[1]", "ds1")
    assert [found.dataset for found in retry(chain, "ds[1]")] == ["ds[1]"]


def test_what_was_published_is_for_rerun(chain: Chain) -> None:
    chain.put("ds1")
    chain.poll("first")
    with pytest.raises(UsageError, match=r"'ds1' was published by first.*phaseline rerun first ds1"):
        retry(chain, "ds1")


def test_published_but_still_in_the_way_of_nothing(chain: Chain) -> None:
    chain.put("ds1")
    chain.put("ds1", "MID")  # in the way: the dataset cannot be archived
    chain.poll("first")
    assert "there is nothing to retry" in what(chain, "ds1")


def test_nothing_is_marked_if_one_name_is_wrong(chain: Chain) -> None:
    reject(chain, "ds1")
    with pytest.raises(UsageError, match=r"no dataset 'ds2'.*did you mean ds1\?"):
        retry(chain, "ds1", "ds2")
    assert not chain.path("IN/_failed/ds1/retry.first").exists()


def test_where_one_may_not_write_the_chmod_to_type_is_told(chain: Chain) -> None:
    reject(chain, "ds1")
    chain.fs.fail("open_new", "retry.first", errno.EACCES)
    with pytest.raises(UsageError, match=r"chmod g\+rwxs .*_failed/ds1"):
        retry(chain, "ds1")


def test_the_command_says_what_to_type_next(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    reject(chain, "ds1")
    assert chain.phaseline("retry", "first", "ds1") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("ds1: gets its whole budget back")
    assert second == "sweep now: phaseline sweep first"
    assert chain.phaseline("retry", "first", "ds1", "--json") == 0
    assert '"marked": true' in capsys.readouterr().out
