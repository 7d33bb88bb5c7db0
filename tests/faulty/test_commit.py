"""A commit without an answer: nothing is removed, nothing is ended, a sweeper finds out (PROTOCOL 3, COMPLETE)."""

from __future__ import annotations

import errno
import os
from itertools import count
from pathlib import Path

import pytest

from stages.engine.errors import ExitCode, NoAnswerError, StorageError
from tests.fakes import registers, write_result
from tests.faults import Fault
from tests.faulty.scene import DATASET, Scene
from tests.faulty.strike import MEETS, Strike

NUMBERS = pytest.mark.parametrize("number", MEETS, ids=errno.errorcode.get)


@pytest.mark.parametrize("done", [False, True], ids=["refused", "carried out"])
@NUMBERS
def test_no_answer(top: Path, number: int, done: bool) -> None:
    scene = Scene(top=top)
    path = scene.add(DATASET)
    commit = Fault(calls={"symlink"}, where="ended.", error=number, done=done)
    reading = Fault(calls={"readlink"}, where="ended.", error=errno.EIO)
    error = scene.struck(scene.employ(write_result).turn, commit, reading)
    assert isinstance(error, NoAnswerError)
    assert error.exit_code is ExitCode.STORAGE
    assert [name for name in registers(path) if name.startswith("ended.")] == ["ended.first.1"] * done
    (private,) = (scene.a / "_work").iterdir()
    assert sorted(os.listdir(private / "out")) == ["manifest.json", "result.txt"]
    assert scene.names("B") == []
    scene.sweep()
    if done:
        assert scene.names("B") == [DATASET]
    else:
        assert registers(path)["ended.first.1"].startswith("retry:-:0:0:0:lost: the storage failed")
    assert scene.finish(write_result) == []


@NUMBERS
def test_an_answer_that_can_be_read_again_is_one(top: Path, number: int) -> None:
    scene = Scene(top=top)
    scene.add(DATASET)
    commit = Fault(calls={"symlink"}, where="ended.", error=number, done=True, times=1)
    assert scene.struck(scene.employ(write_result).turn, commit) is None
    assert (scene.names("A"), scene.names("B"), os.listdir(scene.a / "_work")) == ([], [DATASET], [])
    assert scene.finish(write_result) == []


@NUMBERS
def test_a_poller_ends_with_the_storage_and_spares_the_backlog(top: Path, number: int) -> None:
    for after in count():
        scene = Scene(top=top)
        for dataset in range(3):
            scene.add(f"ds{dataset}")
        strike = Strike(number, after=after, times=None)
        error = scene.struck(scene.employ(write_result).poll, strike)
        if not strike.struck:
            break
        is_gone = number == errno.ESTALE  # to a claim that is a dataset gone: only the next listing fails
        assert isinstance(error, StorageError) or is_gone or scene.names("A") == [], strike.hit
        left = [registers(path) for path in scene.a.glob("ds*")]
        assert sum("taken.first.1" in found for found in left) <= 1, strike.hit
        ends = [found["ended.first.1"] for found in left if "ended.first.1" in found]
        assert all(end.startswith(("retry:-:0:", "publish:")) for end in ends), strike.hit
