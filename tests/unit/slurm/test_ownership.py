"""Who follows a job."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.slurm.folder import Sent, new_tag, open_tag, read_output, read_sent, write_sent
from infra.slurm.joblog import CHUNK_BYTES, Position
from infra.slurm.machine import start_ticks
from infra.slurm.ownership import Holder, Identity, Silence, holder_of, may_take, still_mine, take

ME = Identity(host="h1", boot="b1", pid=10, ticks=5, name="w:1")


def other(*, boot: str = "b1", pid: int = 11, name: str = "w2") -> Identity:
    return Identity(host="h1", boot=boot, pid=pid, ticks=7, name=name)


@pytest.mark.parametrize(
    ("holder", "running", "silent", "answer"),
    [
        (None, {}, False, True),
        (ME, {10: 5}, False, True),
        (other(), {11: 7}, True, False),  # lives on this machine: whatever its heartbeat says
        (other(), {}, False, True),
        (other(), {11: 8}, False, True),  # another process has its number now
        (other(boot="b2"), {}, False, False),
        (other(boot="b2"), {}, True, True),
        (other(boot="b2", name="w:1"), {}, False, True),
    ],
)
def test_a_job_is_taken_from_whom_is_gone_or_silent(
    holder: Identity | None, running: dict[int, int], silent: bool, answer: bool
) -> None:
    assert may_take(holder, ME, same_name_is_me=True, ticks_of=running.get, is_silent=lambda: silent) is answer


def test_a_name_that_was_lost_once_proves_nothing() -> None:
    holder = other(boot="b2", name=ME.name)
    assert not may_take(holder, ME, same_name_is_me=False, ticks_of=lambda pid: None, is_silent=lambda: False)


def test_an_identity_reads_as_it_was_written() -> None:
    assert str(ME) == "h1:b1:10:5:w:1"
    assert Identity.parse(str(ME)) == ME
    for text in ("", "a:b", "a:b:c:d:e"):
        assert Identity.parse(text) is None


def test_this_process_knows_itself() -> None:
    me = Identity.mine("w1")
    assert (me.pid, me.name, me.ticks) == (os.getpid(), "w1", start_ticks(os.getpid()))
    assert start_ticks(2**22 + 1) is None


def test_the_highest_number_follows_and_nobody_enters_twice(tmp_path: Path) -> None:
    directory = str(tmp_path)
    assert holder_of(directory) is None
    assert holder_of(f"{directory}/missing") is None
    assert take(directory, ME, 0)
    assert take(directory, ME, 0)  # a lost answer
    assert not take(directory, other(), 0)
    assert still_mine(directory, 0)
    for number in range(1, 12):
        assert take(directory, other(), number)
    assert holder_of(directory) == Holder(number=11, text=str(other()))
    assert not still_mine(directory, 0)


def test_silence_is_measured_by_the_observers_clock(tmp_path: Path) -> None:
    silence, path = Silence(), tmp_path / "w"
    assert not silence.is_silent(str(path), 0.0)
    assert silence.is_silent(str(path), 60.0)  # never there
    path.touch()
    assert not silence.is_silent(str(path), 61.0)
    assert not silence.is_silent(str(path), 120.0)
    assert silence.is_silent(str(path), 121.0)
    os.utime(path, ns=(1, 1))  # it moved, though backwards
    assert not silence.is_silent(str(path), 122.0)


def test_tags_count_on_when_an_end_was_reported(tmp_path: Path) -> None:
    jobs = str(tmp_path)
    assert open_tag(jobs, "r", 0) is None
    assert new_tag(jobs, "r", 0) == new_tag(jobs, "r", 0) == "r.0"
    assert open_tag(jobs, "r", 0) == open_tag(jobs, "r", 1) == "r.0"
    (tmp_path / "r.0" / "reported").touch()
    assert open_tag(jobs, "r", 0) is None
    assert new_tag(jobs, "r", 0) == "r.1"
    assert open_tag(jobs, "r", 0) == open_tag(jobs, "r", 1) == "r.1"


def test_tags_count_on_though_old_directories_were_removed(tmp_path: Path) -> None:
    jobs = str(tmp_path)
    assert new_tag(jobs, "r", 3) == "r.3"
    assert open_tag(jobs, "r", 3) == open_tag(jobs, "r", 4) == "r.3"
    assert open_tag(jobs, "r", 2) is None


def test_what_was_sent_is_remembered_and_nonsense_is_not_believed(tmp_path: Path) -> None:
    directory = str(tmp_path)
    sent = Sent(position=Position(offset=7, lines=2, last_us=5), sending_at_us=9)
    write_sent(directory, sent)
    assert read_sent(directory) == sent
    for text in ("", "{}", "[]", "null", '{"offset": 1}', "\x00"):
        (tmp_path / "sent").write_text(text)
        assert read_sent(directory) == Sent()


def test_output_is_read_by_the_chunk(tmp_path: Path) -> None:
    assert read_output(str(tmp_path), 0) == (b"", True)
    (tmp_path / "output").write_bytes(b"a" * (CHUNK_BYTES + 1))
    assert read_output(str(tmp_path), 0) == (b"a" * CHUNK_BYTES, False)
    assert read_output(str(tmp_path), CHUNK_BYTES) == (b"a", True)
