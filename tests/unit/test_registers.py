"""Is a register write-once, and is what cannot be learnt said rather than guessed?"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from stages.engine.errors import DamagedRegisterError, NoAnswerError
from stages.engine.records import Ended, EndKind
from stages.engine.registers import Registers
from tests.fakes import EventfulFs, raising

MINE, THEIRS = "ab9c6d45:node1:1:-", "01234567:node2:2:-"


@pytest.fixture
def fs() -> EventfulFs:
    return EventfulFs()


@pytest.fixture
def register(tmp_path: Path) -> str:
    return str(tmp_path / "taken.first.1")


def test_the_first_one_stays(fs: EventfulFs, register: str) -> None:
    registers = Registers(fs)
    assert registers.put(register, MINE) == MINE
    assert registers.put(register, THEIRS) == MINE
    assert registers.get(register) == MINE
    assert os.readlink(register) == MINE


def test_no_directory_no_register(fs: EventfulFs, tmp_path: Path) -> None:
    assert Registers(fs).put(str(tmp_path / "gone" / "taken.first.1"), MINE) is None
    assert Registers(fs).get(str(tmp_path / "gone" / "taken.first.1")) is None


def test_it_goes_through_a_handle_wherever_that_was_moved(fs: EventfulFs, tmp_path: Path) -> None:
    (tmp_path / "ds").mkdir()
    handle = fs.opendir(str(tmp_path / "ds"))
    (tmp_path / "ds").rename(tmp_path / "elsewhere")
    (tmp_path / "ds").mkdir()
    registers = Registers(fs)
    assert registers.put("taken.first.1", MINE, handle) == MINE
    assert registers.put("ended.first.1", Ended(kind=EndKind.RETRY, why="x").value, handle) is not None
    owner, end = registers.taken(handle, "first", 1), registers.ended(handle, "first", 1)
    fs.close(handle)
    assert sorted(os.listdir(tmp_path / "elsewhere")) == ["ended.first.1", "taken.first.1"]
    assert owner is not None
    assert owner.token == "ab9c6d45"
    assert end is not None
    assert end.kind is EndKind.RETRY


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EDQUOT, errno.ENOSPC])
def test_an_error_of_a_put_that_was_done_is_found_out(fs: EventfulFs, register: str, number: int) -> None:
    fs.lose_reply("symlink", register, number)
    assert Registers(fs).put(register, MINE) == MINE


def test_a_lost_reply_that_was_sent_again(fs: EventfulFs, register: str) -> None:
    fs.lose_reply("symlink", register, errno.EEXIST)
    assert Registers(fs).put(register, MINE) == MINE


def test_an_error_of_a_put_that_was_not_done_is_no_answer(fs: EventfulFs, register: str) -> None:
    fs.fail("symlink", register, errno.EIO)
    with pytest.raises(NoAnswerError, match="did not say whether a marker was written"):
        Registers(fs).put(register, MINE)


def test_what_cannot_be_read_back_is_no_answer(fs: EventfulFs, register: str) -> None:
    os.symlink(THEIRS, register)
    fs.fail("readlink", register, errno.EIO)
    with pytest.raises(NoAnswerError, match="could not be read back"):
        Registers(fs).put(register, MINE)


def test_a_register_that_a_cache_hides_for_a_while_is_read_again(fs: EventfulFs, register: str) -> None:
    os.symlink(THEIRS, register)
    fs.before("readlink", register, raising(errno.ENOENT), times=3)
    assert Registers(fs).put(register, MINE) == THEIRS


def test_a_register_that_stays_hidden_behind_a_handle_is_no_answer(fs: EventfulFs, register: str) -> None:
    os.symlink(THEIRS, register)
    fs.fail("readlink", "taken.first.1", errno.ENOENT)
    handle = fs.opendir(str(Path(register).parent))
    with pytest.raises(NoAnswerError, match="exists but cannot be read"):
        Registers(fs).put(Path(register).name, MINE, handle)
    fs.close(handle)
    assert Registers(fs).put(register, MINE) is None  # by path: it was moved away since


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ENOTDIR])
def test_what_says_enough_is_raised_as_it_is(fs: EventfulFs, register: str, number: int) -> None:
    fs.fail("symlink", register, number)
    with pytest.raises(OSError) as caught:
        Registers(fs).put(register, MINE)
    assert caught.value.errno == number


def test_something_else_in_a_registers_place_is_damage(fs: EventfulFs, register: str) -> None:
    Path(register).touch()
    for action in (lambda: Registers(fs).put(register, MINE), lambda: Registers(fs).get(register)):
        with pytest.raises(DamagedRegisterError, match="plain file or directory stands where a marker") as caught:
            action()
        assert register in str(caught.value)
