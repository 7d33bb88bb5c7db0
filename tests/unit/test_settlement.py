"""Is what a register decided carried out, whole, in its order, by anyone and any number of times?"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.engine.durability import Durability
from stages.engine.policy import published
from stages.engine.records import Ended, EndKind
from stages.engine.settlement import Settled, Settlement
from stages.engine.store import Claim
from tests.fakes import Yard


@pytest.fixture
def claim(yard: Yard) -> Iterator[Claim]:
    """A claim of ds1, with a result in its output."""
    yard.add("ds1")
    claim = yard.claim("ds1")
    Path(claim.private, "out", "result.txt").write_text("done")
    yield claim
    yard.fs.close(claim.handle)


def settlement(yard: Yard, durability: Durability = Durability.NONE) -> Settlement:
    return Settlement(yard.fs, yard.passage, durability)


def end(claim: Claim, kind: EndKind, yard: Yard) -> None:
    value = published(claim.attempt.token, claim.before) if kind is EndKind.PUBLISH else Ended(kind=kind, why="x")
    yard.fs.symlink(value.value, "ended.first.1", claim.handle)


def is_published(yard: Yard, claim: Claim) -> bool:
    archived = yard.a / "_done" / claim.attempt.archived
    return (
        yard.names("B") == ["ds1"]
        and os.listdir(yard.b / "ds1") == ["result.txt"]
        and yard.names("A") == []
        and (archived / "a.txt").read_text() == "hello"
        and os.listdir(yard.a / "_work") == []
    )


@pytest.mark.parametrize("durability", Durability)
def test_publish_moves_the_output_then_the_dataset(yard: Yard, claim: Claim, durability: Durability) -> None:
    end(claim, EndKind.PUBLISH, yard)
    assert settlement(yard, durability).settle(claim.handle, "ds1", 1) is Settled.PUBLISHED
    assert is_published(yard, claim)


def test_nothing_is_settled_without_a_register(yard: Yard, claim: Claim) -> None:
    assert settlement(yard).settle(claim.handle, "ds1", 1) is Settled.UNKNOWN
    assert Path(claim.private).is_dir()


def test_retry_removes_the_attempts_place(yard: Yard, claim: Claim) -> None:
    end(claim, EndKind.RETRY, yard)
    for _ in range(2):
        assert settlement(yard).settle(claim.handle, "ds1", 1) is Settled.REQUEUED
        assert os.listdir(yard.a / "_work") == []
        assert yard.names("A") == ["ds1"]


def test_quarantine_moves_the_dataset_away(yard: Yard, claim: Claim) -> None:
    end(claim, EndKind.QUARANTINE, yard)
    for _ in range(2):
        assert settlement(yard).settle(claim.handle, "ds1", 1) is Settled.QUARANTINED
        assert os.listdir(yard.a / "_work") == []
        assert (yard.names("A"), yard.names("A/_failed")) == ([], ["ds1"])
    assert settlement(yard).bring_back("ds1") is True
    assert settlement(yard).bring_back("ds1") is False
    assert yard.names("A") == ["ds1"]


class DiedError(Exception):
    """The process died here."""


STEPS = [
    ("rename", "/out "),
    ("rename", "/_done/"),
    ("unlink", "attempt.json"),
    ("rmdir", "/_work/"),
]


@pytest.mark.parametrize(("method", "where"), STEPS)
@pytest.mark.parametrize("afterwards", [False, True])
def test_another_one_goes_on_wherever_the_first_one_died(
    yard: Yard, claim: Claim, method: str, where: str, afterwards: bool
) -> None:
    def die() -> None:
        raise DiedError

    end(claim, EndKind.PUBLISH, yard)
    (yard.fs.after if afterwards else yard.fs.before)(method, where, die)
    with pytest.raises(DiedError):
        settlement(yard).roll_forward(claim.handle, claim.attempt)
    yard.fs.calm()
    report = yard.sweeper().sweep()
    assert is_published(yard, claim), report.findings


def test_a_lie_about_the_attempts_place_loses_nothing(yard: Yard, claim: Claim) -> None:
    """b) ENOENT of the first rename is a cached lie: the exclusive create hears the server."""
    end(claim, EndKind.PUBLISH, yard)
    yard.fs.fail("rename", "/out ", errno.ENOENT, times=1)
    assert settlement(yard).roll_forward(claim.handle, claim.attempt) is Settled.PUBLISHED
    assert is_published(yard, claim)


def test_a_lie_that_lasts_archives_nothing(yard: Yard, claim: Claim) -> None:
    """c) ENOENT again: the server refuses to remove the place, so the output is still there."""
    end(claim, EndKind.PUBLISH, yard)
    yard.fs.fail("rename", "/out ", errno.ENOENT, times=2)
    assert settlement(yard).roll_forward(claim.handle, claim.attempt) is Settled.UNPROVEN
    assert (yard.names("A"), yard.names("B")) == (["ds1"], [])
    assert settlement(yard).roll_forward(claim.handle, claim.attempt) is Settled.PUBLISHED
    assert is_published(yard, claim)


def test_a_lie_within_a_listing_removes_no_output(yard: Yard, claim: Claim) -> None:
    end(claim, EndKind.PUBLISH, yard)
    yard.fs.fail("rename", "/out ", errno.ENOENT, times=2)
    yard.fs.fail("unlink", "attempt.json", errno.ENOENT, times=1)
    assert settlement(yard).roll_forward(claim.handle, claim.attempt) is Settled.UNPROVEN
    assert Path(claim.private, "out", "result.txt").exists()


def test_what_somebody_else_published_is_archived(yard: Yard, claim: Claim) -> None:
    end(claim, EndKind.PUBLISH, yard)
    Path(claim.private, "out").rename(yard.b / "ds1")
    assert settlement(yard).roll_forward(claim.handle, claim.attempt) is Settled.PUBLISHED
    assert is_published(yard, claim)


def test_something_else_at_the_destination_blocks_and_is_left_alone(yard: Yard, claim: Claim) -> None:
    end(claim, EndKind.PUBLISH, yard)
    (yard.b / "ds1").mkdir()
    (yard.b / "ds1" / "theirs.txt").write_text("theirs")
    for _ in range(2):
        assert settlement(yard).roll_forward(claim.handle, claim.attempt) is Settled.BLOCKED
    assert os.listdir(yard.b / "ds1") == ["theirs.txt"]
    assert yard.names("A") == ["ds1"]
    shutil.rmtree(yard.b / "ds1")
    assert settlement(yard).roll_forward(claim.handle, claim.attempt) is Settled.PUBLISHED
    assert is_published(yard, claim)


def test_a_file_at_the_destination_blocks_too(yard: Yard, claim: Claim) -> None:
    end(claim, EndKind.PUBLISH, yard)
    (yard.b / "ds1").write_text("theirs")
    assert settlement(yard).roll_forward(claim.handle, claim.attempt) is Settled.BLOCKED
    assert (yard.b / "ds1").read_text() == "theirs"


def test_an_archive_that_is_there_already_stops_the_move(yard: Yard, claim: Claim) -> None:
    end(claim, EndKind.PUBLISH, yard)
    archived = yard.a / "_done" / claim.attempt.archived
    archived.mkdir()
    (archived / "earlier").touch()
    assert settlement(yard).roll_forward(claim.handle, claim.attempt) is Settled.PUBLISHED
    assert os.listdir(archived) == ["earlier"]
    assert yard.names("A") == ["ds1"]


def test_a_failing_storage_is_heard(yard: Yard, claim: Claim) -> None:
    end(claim, EndKind.PUBLISH, yard)
    yard.fs.fail("rename", "/out ", errno.EIO, times=1)
    with pytest.raises(OSError):
        settlement(yard).roll_forward(claim.handle, claim.attempt)


def test_the_decision_is_durable_before_its_consequence(yard: Yard, claim: Claim) -> None:
    order: list[str] = []
    for method, where, word in (
        ("sync", str(claim.handle), "register"),
        ("rename", "/out ", "publish"),
        ("sync", str(yard.b), "destination"),
        ("rename", "/_done/", "archive"),
    ):
        yard.fs.before(method, where, lambda word=word: order.append(word))
    end(claim, EndKind.PUBLISH, yard)
    settlement(yard, Durability.FULL).roll_forward(claim.handle, claim.attempt)
    assert order == ["register", "publish", "destination", "archive"]


def test_a_zombie_of_an_earlier_dataset_leaves_a_new_one_of_that_name_alone(yard: Yard, claim: Claim) -> None:
    """N7: its registers go to its own dataset, by the handle, and there it is fenced."""
    end(claim, EndKind.RETRY, yard)
    heir = yard.claim("ds1")
    assert yard.store().commit(heir)
    yard.fs.close(heir.handle)
    yard.add("ds1", {"new.txt": "another"})
    assert not yard.store().commit(claim)
    assert os.listdir(yard.a / "ds1") == ["new.txt"]
    assert os.listdir(yard.a / "_work") == []
