"""What the stack writes down of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.stack import record
from infra.stack.errors import StackError
from infra.stack.record import Process, Record

ONE = Process(pid=4711, started_ticks=123, boot_id="b")


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    assert record.read(path) is None
    left = Record(host="here", port=4200, root="/data", deployed="ab", deployments=8).started("server", ONE)
    record.write(path, left)
    assert record.read(path) == left
    record.write(path, left.ended("server"))
    assert record.read(path) == Record(host="here", port=4200, root="/data", deployed="ab", deployments=8)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 1, "processes": {}, "colour": 1}'])
def test_damage_is_said_with_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "stack.json"
    path.write_text(text)
    with pytest.raises(StackError, match=f"{path} is damaged: .*then rm {path}"):
        record.read(path)


def test_the_record_of_another_version_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    path.write_text('{"version": 2}')
    with pytest.raises(StackError, match="written by another version"):
        record.read(path)
