"""Does only that data go which nothing needs, and does nothing half-removed come back?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.engine.archive import archived
from stages.engine.pruning import Fate, Prune, Pruned, server_now
from tests.fakes import FakeWork, fail
from tests.unit.chain import Chain

DAY = 86400.0


class Crash(BaseException):
    """The process ends here."""


def crash() -> None:
    raise Crash


def prune(chain: Chain, stage: str = "first", *, days: float = 7.0, later: float = 8.0, dry: bool = False) -> Prune:
    """What `prune` does `later` days from now."""
    following = chain.passage("second") if stage == "first" else None
    return Prune(
        fs=chain.fs,
        passage=chain.passage(stage),
        following=following,
        older_than_seconds=days * DAY,
        now=server_now(chain.fs, chain.root) + later * DAY,
        dry=dry,
    )


def fates(found: list[Pruned]) -> list[Fate]:
    return [pruned.fate for pruned in found]


@pytest.fixture
def done(chain: Chain) -> Path:
    """The dataset ds1, done by both stages: where the first one archived it."""
    chain.put("ds1")
    chain.poll("first")
    chain.poll("second")
    (entry,) = archived(os.listdir(chain.path("IN/_done")))
    return chain.path(f"IN/_done/{entry.name}")


def test_registers_manifest_and_logs_stay(chain: Chain, done: Path) -> None:
    stay = {"taken.first.1", "ended.first.1", "log.first.1.0123abcd"}
    (done / "log.first.1.0123abcd").write_text("said")
    (pruned,) = prune(chain).archives()
    assert (pruned.fate, pruned.size) == (Fate.PRUNED, 10)
    assert set(os.listdir(f"{done}~pruned")) == stay
    downstream = next(prune(chain, "second").archives())
    assert set(os.listdir(downstream.path)) == {"taken.second.1", "ended.second.1", "manifest.json"}


def test_a_dry_run_says_the_same_and_removes_nothing(chain: Chain, done: Path) -> None:
    (pruned,) = prune(chain, dry=True).archives()
    assert (pruned.fate, pruned.size) == (Fate.PRUNED, 10)
    assert (done / "a.txt").exists()


def test_what_is_younger_stays(chain: Chain, done: Path) -> None:
    assert list(prune(chain, later=6.9).archives()) == []
    assert (done / "a.txt").exists()


def test_a_second_time_nothing_is_left_to_do(chain: Chain, done: Path) -> None:
    assert fates(list(prune(chain).archives())) == [Fate.PRUNED]
    assert list(prune(chain).archives()) == []


def waiting(chain: Chain) -> None:
    """The second stage has not looked at it."""


def backing_off(chain: Chain) -> None:
    chain.poll("second", FakeWork(fail()))


def under_way(chain: Chain) -> None:
    chain.claim("second", "ds1")


def quarantined(chain: Chain) -> None:
    chain.path("MID/ds1").rename(chain.path("MID/_failed/ds1"))


def taken_away(chain: Chain) -> None:
    chain.path("MID/ds1").rename(chain.path("ds1"))


@pytest.mark.parametrize("happened", [waiting, backing_off, under_way, quarantined, taken_away])
def test_an_input_is_kept_until_its_output_was_processed(chain: Chain, happened: Callable[[Chain], None]) -> None:
    chain.put("ds1")
    chain.poll("first")
    happened(chain)
    (pruned,) = prune(chain).archives()
    assert pruned.fate is Fate.KEPT
    assert "its output is not processed yet" in pruned.why
    assert Path(pruned.path, "a.txt").exists()


def test_an_input_is_kept_while_its_attempt_is_not_cleaned_up(chain: Chain, done: Path) -> None:
    chain.path(f"IN/_work/ds1.1.{done.name[-8:]}").mkdir()
    (pruned,) = prune(chain).archives()
    assert (pruned.fate, "not cleaned up" in pruned.why) == (Fate.KEPT, True)


def test_a_rerun_further_down_keeps_it_until_that_is_over(chain: Chain, done: Path) -> None:
    assert chain.phaseline("rerun", "second", "ds1") == 0
    assert fates(list(prune(chain).archives())) == [Fate.KEPT]
    chain.poll("second")
    assert fates(list(prune(chain).archives())) == [Fate.PRUNED]


def test_another_generation_further_down_proves_nothing(chain: Chain) -> None:
    """ds1 waits in the second stage while ds1+g2, made by a rerun of the first, is done there."""
    chain.put("ds1")
    chain.poll("first")
    chain.path("MID/ds1").rename(chain.path("MID/_failed/ds1"))
    assert chain.phaseline("rerun", "first", "ds1") == 0
    chain.poll("first")
    chain.poll("second")
    archived_again = next(chain.path("IN/_done").iterdir())
    archived_again.rename(chain.path("IN/_done/ds1~0000000a"))  # as if it were the first generation's input
    (pruned,) = prune(chain).archives()
    assert pruned.fate is Fate.KEPT


@pytest.mark.parametrize(("method", "where"), [("unlink", "a.txt"), ("remove_tree", "sub"), ("rename", "~pruned")])
def test_what_broke_off_is_finished_and_never_processed_again(
    chain: Chain, done: Path, capsys: pytest.CaptureFixture[str], method: str, where: str
) -> None:
    chain.fs.before(method, where, crash)
    with pytest.raises(Crash):
        list(prune(chain).archives())
    chain.fs.calm()
    assert chain.phaseline("rerun", "first", "ds1") == 2
    assert "was pruned" in capsys.readouterr().err
    list(prune(chain, later=0).archives())
    assert set(os.listdir(f"{done}~pruned")) == {"taken.first.1", "ended.first.1"}


def test_a_rerun_that_comes_first_keeps_everything(chain: Chain, done: Path) -> None:
    def rerun() -> None:
        done.rename(chain.path("IN/ds1+g2"))

    chain.fs.before("rename", "~pruning", rerun)
    (pruned,) = prune(chain).archives()
    assert pruned.fate is Fate.KEPT
    assert chain.path("IN/ds1+g2/sub/b.txt").exists()


def test_trash_and_broken_copies_go(chain: Chain) -> None:
    chain.put("ds1").rename(chain.path("IN/_trash/ds1.1.0000000a"))
    chain.put("ds2").rename(chain.path("IN/_incoming/ds2.0000000a.part"))
    chain.put("ds3").rename(chain.path("IN/_incoming/ds3"))  # somebody's own copy under way
    found = list(prune(chain).leftovers())
    assert [(pruned.fate, pruned.size) for pruned in found] == [(Fate.REMOVED, 10)] * 2
    assert (chain.ls("IN/_trash"), chain.ls("IN/_incoming")) == ([], ["ds3"])


def test_the_command_says_what_went_and_how_much(chain: Chain, done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chain.phaseline("prune", "--older-than", "7d") == 0
    assert capsys.readouterr().out == "freed 0 B in 0 places\n"
    assert chain.phaseline("prune", "first", "--older-than", "0s", "--dry-run") == 0
    out = capsys.readouterr().out
    assert out == f"would go {done} (10 B)\nwould free 10 B in 1 places\n"
    assert chain.phaseline("prune", "--older-than", "0s", "--json") == 0
    assert '"dry_run": false' in capsys.readouterr().out
    assert chain.phaseline("explain", "ds1") == 0
    assert "history verified: 2 manifests" in capsys.readouterr().out
