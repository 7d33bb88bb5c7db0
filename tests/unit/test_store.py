"""Who may own which attempt, what is refused and why, and what an end costs."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import pytest

from stages.engine.errors import NoAnswerError, RevokedError, StorageError
from stages.engine.policy import Cause
from stages.engine.records import EndKind
from stages.engine.store import BELL_SECONDS, Claim, Refusal
from tests.fakes import Yard, identity, raising, registers


def test_a_fresh_dataset_is_claimed(yard: Yard) -> None:
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    token = claim.attempt.token
    assert re.fullmatch("[0-9a-f]{8}", token)
    assert registers(path) == {"taken.first.1": f"{token}:node1:4711:-"}
    assert Path(claim.private) == yard.a / "_work" / f"ds1.1.{token}"
    assert sorted(os.listdir(claim.private)) == ["attempt.json", "out"]
    yard.fs.close(claim.handle)


def test_an_attempts_place_says_whose_it_is(yard: Yard) -> None:
    yard.add("ds1")
    claim = yard.claim("ds1", identity("node17.cluster.example", pid=12, job="123.1"))
    said = json.loads(os.readlink(f"{claim.private}/attempt.json"))
    assert said["process"] == {
        "boot_id": "boot-of-node17.cluster.example",
        "pid_namespace": "pid:[1]",
        "pid": 12,
        "started_ticks": 1,
    }
    assert (said["host"], said["job"], said["code_version"], said["started"]) == (
        "node17.cluster.example",
        "123.1",
        "sha256:0123456789ab",
        yard.clock.now(),
    )
    yard.fs.close(claim.handle)


def test_a_fresh_claim_looks_at_nothing_before(yard: Yard) -> None:
    yard.add("ds1")
    for method in ("listdir", "scan", "mtime_ns", "read"):
        yard.fs.fail(method, "", errno.EIO)
    yard.fs.close(yard.claim("ds1").handle)


def test_a_dataset_has_one_owner(yard: Yard) -> None:
    yard.add("ds1")
    claim = yard.claim("ds1")
    assert yard.loss("ds1").refusal is Refusal.IN_FLIGHT
    yard.fs.close(claim.handle)


def test_a_dataset_that_is_gone(yard: Yard) -> None:
    assert yard.loss("ds1").refusal is Refusal.GONE


def test_another_dataset_of_that_name_between_the_two_calls_is_left_alone(yard: Yard) -> None:
    """Only what the handle says counts (CLAIM 2)."""
    path = yard.add("ds1")

    def swap() -> None:
        path.rename(yard.top / "away")
        yard.add("ds1", {"another.txt": "x"})

    yard.fs.before("opendir", str(path), swap)
    assert yard.loss("ds1").refusal is Refusal.GONE
    assert os.listdir(path) == ["another.txt"]


def test_an_heir_goes_on_where_the_budget_stood(yard: Yard) -> None:
    path = yard.add("ds1")
    first = yard.claim("ds1")
    assert yard.store().end(first, Cause.FAILED, "boom") is not None
    yard.fs.close(first.handle)
    loss = yard.loss("ds1")
    assert (loss.refusal, loss.not_before) == (Refusal.BACKING_OFF, int(yard.clock.now() - BELL_SECONDS) + 30)
    yard.clock.advance(30)
    second = yard.claim("ds1")
    assert (second.attempt.number, second.before.failures) == (2, 1)
    assert list(registers(path)) == ["ended.first.1", "taken.first.1", "taken.first.2"]
    yard.fs.close(second.handle)


def test_of_two_heirs_one_wins(yard: Yard) -> None:
    path = yard.add("ds1")
    first = yard.claim("ds1")
    yard.store().end(first, Cause.RELEASED, "asked to stop")
    yard.fs.close(first.handle)
    yard.fs.before("symlink", "taken.first.2", lambda: os.symlink("01234567:node9:1:-", path / "taken.first.2"))
    assert yard.loss("ds1").refusal is Refusal.IN_FLIGHT


def test_whoever_finds_a_half_finished_dataset_finishes_it(yard: Yard) -> None:
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    os.symlink(f"publish:{claim.attempt.token}:0:0:0:ok", path / "ended.first.1")
    yard.fs.close(claim.handle)
    assert yard.loss("ds1").refusal is Refusal.SETTLED
    assert (yard.names("A"), yard.names("B")) == ([], ["ds1"])


def test_a_blocked_dataset_is_said_to_be(yard: Yard) -> None:
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    os.symlink(f"publish:{claim.attempt.token}:0:0:0:ok", path / "ended.first.1")
    yard.fs.close(claim.handle)
    (yard.b / "ds1").write_text("in the way")
    assert yard.loss("ds1").refusal is Refusal.BLOCKED


def test_a_quarantined_dataset_that_nobody_moved_is_moved(yard: Yard) -> None:
    path = yard.add("ds1")
    yard.fs.close(yard.claim("ds1").handle)
    os.symlink("quarantine:-:3:0:0:boom", path / "ended.first.1")
    assert yard.loss("ds1").refusal is Refusal.SETTLED
    assert yard.names("A/_failed") == ["ds1"]


def test_a_stage_may_wait_for_a_ready_marker(yard: Yard) -> None:
    yard.table = {"arrival": {"ready_marker": True}}
    path = yard.add("ds1")
    assert yard.loss("ds1").refusal is Refusal.NOT_READY
    assert registers(path) == {}
    (path / "ready.first").touch()
    yard.fs.close(yard.claim("ds1").handle)


@pytest.mark.parametrize("name", ["taken.first.1", "ended.first.1"])
def test_a_plain_file_in_a_registers_place(yard: Yard, name: str) -> None:
    path = yard.add("ds1")
    if name == "ended.first.1":
        os.symlink("01234567:node9:1:-", path / "taken.first.1")
    (path / name).touch()
    loss = yard.loss("ds1")
    assert loss.refusal is Refusal.DAMAGED
    assert str(path) in loss.why
    assert "plain file" in loss.why


def test_a_register_that_nobody_writes(yard: Yard) -> None:
    path = yard.add("ds1")
    os.symlink("01234567:node9:1:-", path / "taken.first.1")
    os.symlink("whatever", path / "ended.first.1")
    assert "'whatever'" in yard.loss("ds1").why


def test_a_file_where_a_dataset_should_be(yard: Yard) -> None:
    (yard.a / "ds1").write_text("x")
    assert yard.loss("ds1").refusal is Refusal.NOT_A_DATASET


def test_a_symlink_where_a_dataset_should_be(yard: Yard) -> None:
    (yard.top / "elsewhere").mkdir()
    (yard.a / "ds1").symlink_to(yard.top / "elsewhere")
    assert yard.loss("ds1").refusal is Refusal.NOT_A_DATASET
    (yard.a / "ds2").symlink_to("nowhere")
    assert yard.loss("ds2").refusal is Refusal.GONE


@pytest.mark.parametrize("name", ["a~b", "a\nb", "x" * 201, "x" * 250, "\udcff", "ds7+g2+g3"])
def test_a_name_that_is_not_allowed_is_not_claimed(yard: Yard, name: str) -> None:
    path = yard.add(name)
    loss = yard.loss(name)
    assert loss.refusal is Refusal.NOT_A_DATASET
    assert loss.why.endswith(f": rename {str(path)!r}")
    assert registers(path) == {}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_no_permission_costs_no_attempt(yard: Yard, number: int) -> None:
    path = yard.add("ds1")
    yard.fs.fail("symlink", "/ds1/", number)
    assert yard.loss("ds1").refusal is Refusal.NO_PERMISSION
    assert registers(path) == {}


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_a_failing_storage_is_no_refusal(yard: Yard, number: int) -> None:
    yard.add("ds1")
    yard.fs.fail("symlink", "taken.first.1", number)
    with pytest.raises(StorageError):
        yard.store().claim("ds1")


def test_a_location_without_permission_ends_the_poller_and_not_dataset_after_dataset(yard: Yard) -> None:
    yard.add("ds1")
    yard.fs.fail("mkdir", "_work/", errno.EACCES)
    with pytest.raises(StorageError, match="Permission denied"):
        yard.store().claim("ds1")


@pytest.mark.parametrize(("method", "where"), [("mkdir", "_work/"), ("symlink", "attempt.json")])
def test_a_storage_that_fails_after_the_claim_gives_it_back(yard: Yard, method: str, where: str) -> None:
    path = yard.add("ds1")
    yard.fs.fail(method, where, errno.ENOSPC, times=1)
    with pytest.raises(StorageError, match="start the poller again"):
        yard.store().claim("ds1")
    assert registers(path)["ended.first.1"] == "retry:-:0:0:0:the storage failed: No space left on device"
    assert os.listdir(yard.a / "_work") == []
    yard.fs.close(yard.claim("ds1").handle)


def test_making_the_private_place_twice_is_our_own_request_sent_again(yard: Yard) -> None:
    yard.add("ds1")
    for method, where in (("mkdir", "_work/"), ("mkdir", "/out"), ("symlink", "attempt.json")):
        yard.fs.lose_reply(method, where, errno.EEXIST)
    claim = yard.claim("ds1")
    assert sorted(os.listdir(claim.private)) == ["attempt.json", "out"]
    yard.fs.close(claim.handle)


def test_a_claim_revoked_before_its_place_was_made_is_gone(yard: Yard) -> None:
    yard.add("ds1")
    yard.fs.before("mkdir", "/out", raising(errno.ENOENT))
    assert yard.loss("ds1").refusal is Refusal.GONE


def test_a_beat_is_the_time_of_the_private_place(yard: Yard) -> None:
    yard.add("ds1")
    claim = yard.claim("ds1")
    os.utime(claim.private, (1, 1))
    yard.store().beat(claim)
    assert os.stat(claim.private).st_mtime > 1
    yard.fs.remove_tree(claim.private)
    with pytest.raises(RevokedError):
        yard.store().beat(claim)
    yard.fs.close(claim.handle)


def test_a_commit_publishes(yard: Yard) -> None:
    yard.add("ds1")
    claim = yard.claim("ds1")
    assert yard.store().commit(claim)
    yard.fs.close(claim.handle)
    done = yard.a / "_done" / claim.attempt.archived
    assert registers(done)["ended.first.1"] == f"publish:{claim.attempt.token}:0:0:0:ok"


def test_a_fenced_commit_publishes_nothing_and_removes_its_own_place(yard: Yard) -> None:
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    os.symlink("retry:-:0:1:0:lost", path / "ended.first.1")
    assert not yard.store().commit(claim)
    yard.fs.close(claim.handle)
    assert (yard.names("A"), yard.names("B"), os.listdir(yard.a / "_work")) == (["ds1"], [], [])


def test_no_answer_at_the_commit_removes_nothing_and_ends_nothing(yard: Yard) -> None:
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    yard.fs.fail("symlink", "ended.first.1", errno.EIO)
    with pytest.raises(NoAnswerError):
        yard.store().commit(claim)
    yard.fs.close(claim.handle)
    assert list(registers(path)) == ["taken.first.1"]
    assert sorted(os.listdir(claim.private)) == ["attempt.json", "out"]


def test_a_commit_whose_reply_was_lost_is_a_commit(yard: Yard) -> None:
    yard.add("ds1")
    claim = yard.claim("ds1")
    yard.fs.lose_reply("symlink", "ended.first.1", errno.ETIMEDOUT)
    assert yard.store().commit(claim)
    yard.fs.close(claim.handle)
    assert yard.names("B") == ["ds1"]


def test_a_dataset_removed_at_the_commit_is_not_published(yard: Yard) -> None:
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    yard.fs.remove_tree(str(path))
    assert not yard.store().commit(claim)
    assert Path(claim.private).is_dir()  # without a positive fact nothing is removed
    assert yard.store().end(claim, Cause.FAILED, "x") is None
    yard.fs.close(claim.handle)


def test_a_retry_rings_the_bell(yard: Yard) -> None:
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    os.utime(path, (1, 1))
    yard.fs.before("touch", "", lambda: os.utime(path, (1, 1)))
    yard.store().end(claim, Cause.RELEASED, "x")
    yard.fs.close(claim.handle)
    assert yard.clock.slept == [BELL_SECONDS]
    assert os.stat(path).st_mtime > 1


def test_an_end_that_somebody_else_put_first_is_not_ours(yard: Yard) -> None:
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    os.symlink("quarantine:-:0:10:0:lost", path / "ended.first.1")
    assert yard.store().end(claim, Cause.FAILED, "boom") is None
    yard.fs.close(claim.handle)
    assert yard.names("A/_failed") == ["ds1"]


def test_the_last_failure_quarantines(yard: Yard) -> None:
    yard.table = {"retry": {"attempts_max": 1}}
    yard.add("ds1")
    claim = yard.claim("ds1")
    end = yard.store().end(claim, Cause.FAILED, "boom")
    yard.fs.close(claim.handle)
    assert end is not None
    assert (end.kind, end.why) == (EndKind.QUARANTINE, "attempt 1 of 1 failed: boom")
    assert yard.clock.slept == []
    assert yard.names("A/_failed") == ["ds1"]


@pytest.mark.parametrize(("end", "is_left"), [("", True), ("publish:x:0:0:0:ok", True), ("retry:-:0:1:0:l", False)])
def test_an_abandoned_place_is_removed_only_once_it_is_known_to_be_fenced(yard: Yard, end: str, is_left: bool) -> None:
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    if end:
        os.symlink(end, path / "ended.first.1")
    yard.store().abandon(claim)
    yard.fs.close(claim.handle)
    assert Path(claim.private).exists() is is_left


def test_what_is_left_to_the_sweeper_says_that_the_storage_failed(yard: Yard) -> None:
    yard.add("ds1")
    claim = yard.claim("ds1")
    yard.store().leave(claim)
    yard.store().leave(claim)  # nothing more to say, and no error
    yard.fs.close(claim.handle)
    assert sorted(os.listdir(claim.private)) == ["out", "storage.json"]


def test_generations_have_registers_of_their_own(yard: Yard) -> None:
    path = yard.add("ds1+g2")
    os.symlink("01234567:node9:1:-", path / "taken.first.1")
    os.symlink("publish:01234567:0:0:0:ok", path / "ended.first.1")
    claim = yard.claim("ds1+g2")
    assert isinstance(claim, Claim)
    assert yard.store().commit(claim)
    yard.fs.close(claim.handle)
    assert yard.names("B") == ["ds1+g2"]
