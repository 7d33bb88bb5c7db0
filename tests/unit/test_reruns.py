"""Is a published dataset processed once more, as a generation that nobody else was given?"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.engine.archive import Archived, Data, archived, latest, parse_archived
from stages.engine.errors import NotARootError, UsageError
from stages.engine.reruns import rerun
from tests.fakes import FakeWork, fail
from tests.unit.chain import Chain


@pytest.fixture
def entry(chain: Chain) -> Archived:
    """The dataset ds1, done by the first stage."""
    chain.put("ds1")
    chain.poll("first")
    (found,) = archived(os.listdir(chain.path("IN/_done")))
    return found


def again(chain: Chain, entry: Archived, token: str = "00000001") -> str:
    return rerun(chain.fs, chain.root, chain.passage("first"), entry, token=token, who="ada")


def moving(source: Path, target: Path) -> Callable[[], None]:
    def move() -> None:
        source.rename(target)

    return move


def test_it_comes_back_as_the_next_generation(chain: Chain, entry: Archived) -> None:
    assert again(chain, entry) == "ds1+g2"
    assert os.readlink(chain.path("_names/ds1+g2")) == "first:00000001:ada"
    chain.poll("first")
    assert chain.ls("MID") == ["ds1", "ds1+g2"]
    chain.poll("second")
    assert chain.ls("RESULTS") == ["ds1", "ds1+g2"]


def test_a_generation_is_allotted_once_in_a_root(chain: Chain, entry: Archived) -> None:
    chain.poll("second")
    (downstream,) = archived(os.listdir(chain.path("MID/_done")))
    assert rerun(chain.fs, chain.root, chain.passage("second"), downstream, token="1", who="ada") == "ds1+g2"
    assert again(chain, entry) == "ds1+g3"


def test_a_crash_before_the_rename_costs_a_number_and_nothing_else(chain: Chain, entry: Archived) -> None:
    chain.fs.fail("rename", "_done", errno.EIO, times=1)
    with pytest.raises(OSError, match="Input/output"):
        again(chain, entry)
    assert again(chain, entry, "00000002") == "ds1+g3"


def test_the_reply_to_its_rename_may_be_lost(chain: Chain, entry: Archived) -> None:
    chain.fs.lose_reply("rename", "ds1+g2", errno.ENOENT)
    assert again(chain, entry) == "ds1+g2"


def test_its_target_may_have_moved_on_before_the_reply_was_missed(chain: Chain, entry: Archived) -> None:
    chain.fs.after("rename", "IN/ds1+g2", moving(chain.path("IN/ds1+g2"), chain.path("IN/_done/ds1+g2~f")))
    chain.fs.lose_reply("rename", "IN/ds1+g2", errno.ENOENT)
    assert again(chain, entry) == "ds1+g2"


def test_somebody_who_was_quicker_is_named_as_such(chain: Chain, entry: Archived) -> None:
    done = chain.path("IN/_done")
    chain.fs.before("rename", "ds1+g2", moving(done / entry.name, chain.path("elsewhere")))
    with pytest.raises(UsageError, match="moved by somebody else"):
        again(chain, entry)


def test_it_waits_until_every_attempt_is_cleaned_up(chain: Chain, entry: Archived) -> None:
    private = chain.path(f"IN/_work/ds1.1.{entry.token}")
    private.mkdir()
    with pytest.raises(UsageError, match=r"not cleaned up yet.*phaseline sweep first"):
        again(chain, entry)
    fenced = private.rename(private.with_name("ds1.2.00000009"))  # later nobody could say whose it was
    with pytest.raises(UsageError, match="not cleaned up yet"):
        again(chain, entry)
    assert not chain.path("_names/ds1+g2").is_symlink()
    fenced.rename(private.with_name("ds10.1.00000009"))  # another dataset's
    assert again(chain, entry) == "ds1+g2"


@pytest.mark.parametrize("data", [Data.PRUNED, Data.PRUNING])
def test_pruned_data_cannot_be_processed_again(chain: Chain, entry: Archived, data: Data) -> None:
    with pytest.raises(UsageError, match=r"was pruned.*--as NAME"):
        again(chain, entry._replace(data=data))


def test_something_in_its_place_is_left_alone(chain: Chain, entry: Archived) -> None:
    chain.put("ds1+g2")
    with pytest.raises(UsageError, match="something stands where the dataset would go"):
        again(chain, entry)
    assert Path(chain.path("IN/_done"), entry.name).exists()


def test_a_root_without_a_register_of_names(chain: Chain, entry: Archived) -> None:
    chain.path("_names").rmdir()
    with pytest.raises(NotARootError, match="register of names"):
        again(chain, entry)


def test_what_failed_before_may_fail_anew(chain: Chain, entry: Archived) -> None:
    """A generation has a budget of its own."""
    again(chain, entry)
    chain.poll("first", FakeWork(fail()))
    assert os.readlink(chain.path("IN/ds1+g2/ended.first+g2.1")).startswith("retry:-:1:0:")


def test_the_command_takes_the_latest_generation(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    chain.put("ds1")
    chain.put("other")
    chain.poll("first")
    assert chain.phaseline("rerun", "first", "ds1") == 0
    assert capsys.readouterr().out == f"ds1: waits in {chain.path('IN')} as ds1+g2\n"
    chain.poll("first")
    assert chain.phaseline("rerun", "first", "ds1", "--dry-run") == 0
    assert capsys.readouterr().out == "ds1+g2: would be processed again\n"
    assert chain.phaseline("rerun", "first", "*") == 0
    assert chain.ls("IN") == ["ds1+g3", "other+g2"]
    capsys.readouterr()
    assert chain.phaseline("rerun", "first", "ds1") == 2
    assert "explain ds1" in capsys.readouterr().err


def test_names_in_done_are_taken_apart() -> None:
    for name in ("ds1~0000000a", "ds1+g2~0000000a~pruned", "a.b~c~pruning"):
        found = parse_archived(name)
        assert found is not None
        assert found.name == name
    assert [parse_archived(name) for name in ("ds1", "~x", "ds1~", "ds1~a~b", "_x~a", ".probe.1")] == [None] * 6
    both = [Archived("ds1", "a"), Archived("ds1+g10", "b"), Archived("ds1+g9", "c")]
    assert latest(both) == {"ds1": Archived("ds1+g10", "b")}
