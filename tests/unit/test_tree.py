"""What counts as a dataset's payload, and what an output must be before it is published."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from stages.engine import tree
from stages.engine.fs import Kind
from stages.engine.posix import Posix
from tests.fakes import EventfulFs

HELLO = hashlib.sha256(b"hello").hexdigest()
RULE = tree.SealRule(hashing=True, syncing=False)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def nothing() -> None:
    """No progress is watched here."""


def seal(out: Path, rule: tree.SealRule = RULE) -> dict[str, tree.Sealed]:
    return {sealed.path: sealed for sealed in tree.seal(Posix(), str(out), rule, nothing)}


def refusal(out: Path) -> str:
    with pytest.raises(tree.OutputError) as caught:
        seal(out)
    return str(caught.value)


def test_a_payload_is_what_is_neither_marker_nor_manifest_nor_directory(out: Path) -> None:
    (out / "b" / "c").mkdir(parents=True)
    for name in ("a.txt", "b/c/d.txt", "b/taken.x.1", "manifest.json", "log.first.1.0123abcd", "retry.first"):
        (out / name).write_text("hello")
    (out / "taken.first.1").symlink_to("x")
    (out / "link").symlink_to("a.txt")
    found = tree.payload(Posix(), str(out))
    assert [(entry.name, entry.kind, entry.size) for entry in found.entries] == [
        ("a.txt", Kind.FILE, 5),
        ("link", Kind.LINK, 0),
        ("b/taken.x.1", Kind.FILE, 5),
        ("b/c/d.txt", Kind.FILE, 5),
    ]
    assert found.has_manifest
    assert tree.total_bytes(found.entries) == 15


def test_a_manifest_further_down_is_the_authors(out: Path) -> None:
    (out / "b").mkdir()
    (out / "b" / "manifest.json").write_text("{}")
    assert tree.payload(Posix(), str(out)).has_manifest is False


def test_a_payload_that_changed_is_told_by_name(out: Path) -> None:
    for name in ("a", "b"):
        (out / name).write_text("x")
    before = tree.payload(Posix(), str(out))
    assert before == tree.payload(Posix(), str(out))
    (out / "b").write_text("xy")
    after = tree.payload(Posix(), str(out))
    assert before != after
    assert tree.difference(before.entries, after.entries) == "b"
    assert not tree.difference(before.entries, before.entries)


def test_patterns_look_at_names_or_at_paths(out: Path) -> None:
    (out / "shards").mkdir()
    (out / "shards" / "x.npy").touch()
    items = tree.payload(Posix(), str(out)).entries
    wanted = ["*.npy", "shards/*.npy", "x.npy", "*/x.npy", "*.json", "other/*.npy", "X.NPY"]
    assert tree.missing(wanted, items) == ["*.json", "other/*.npy", "X.NPY"]


def test_every_file_is_sealed_with_size_and_hash(out: Path) -> None:
    (out / "b" / "empty").mkdir(parents=True)
    (out / "a.txt").write_text("hello")
    (out / "b" / "d.txt").write_text("hello")
    (out / "b" / "link").symlink_to("../a.txt")
    assert seal(out) == {
        "a.txt": tree.Sealed(path="a.txt", size=5, sha256=HELLO),
        "b/d.txt": tree.Sealed(path="b/d.txt", size=5, sha256=HELLO),
        "b/link": tree.Sealed(path="b/link", size=0, sha256=None, link="../a.txt"),
    }


def test_hashing_can_be_switched_off(out: Path) -> None:
    (out / "a.txt").write_text("hello")
    rule = tree.SealRule(hashing=False, syncing=False)
    assert seal(out, rule)["a.txt"] == tree.Sealed(path="a.txt", size=5, sha256=None)


def test_directories_are_synced_after_what_is_in_them(out: Path) -> None:
    (out / "b" / "c").mkdir(parents=True)
    (out / "b" / "c" / "d.txt").write_text("x")
    fs, order = EventfulFs(), list[str]()
    for name in ("d.txt", "c", "b", "out"):
        fs.before("sync", f"/{name}", lambda name=name: order.append(name), times=1)
    tree.seal(fs, str(out), tree.SealRule(hashing=False, syncing=True), nothing)
    assert order.index("d.txt") < order.index("c") < order.index("b")
    assert "out" in order


def test_progress_is_told_while_bytes_move(out: Path) -> None:
    (out / "large").write_bytes(b"x" * (3 << 20))
    beats: list[int] = []
    tree.seal(Posix(), str(out), RULE, lambda: beats.append(1))
    assert len(beats) >= 3


@pytest.mark.parametrize("name", ["manifest.json", "taken.first.1", "log.first.1.0123abcd", "retry.other"])
def test_the_engines_names_are_refused(out: Path, name: str) -> None:
    (out / name).touch()
    said = refusal(out)
    assert name in said
    assert said.endswith("let the stage use another name")


def test_the_engines_names_further_down_are_not(out: Path) -> None:
    (out / "b").mkdir()
    (out / "b" / "manifest.json").touch()
    assert list(seal(out)) == ["b/manifest.json"]


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../../A/ds1/a.txt", "b/../../x"])
def test_a_link_that_leads_outside_is_refused(out: Path, target: str) -> None:
    (out / "link").symlink_to(target)
    assert "leads outside of its output" in refusal(out)


def test_a_link_may_lead_nowhere_inside(out: Path) -> None:
    (out / "b").mkdir()
    (out / "b" / "link").symlink_to("../missing")
    assert seal(out)["b/link"].link == "../missing"


def test_a_fifo_is_refused(out: Path) -> None:
    os.mkfifo(out / "pipe")
    assert "neither file nor directory" in refusal(out)


def test_an_output_that_is_gone_is_not_an_authors_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        seal(tmp_path / "gone")


@pytest.mark.parametrize(
    ("mode", "group_mode", "sealed"),
    [
        (0o600, 0o070, 0o660),
        (0o400, 0o070, 0o440),
        (0o755, 0o070, 0o775),
        (0o644, 0o050, 0o644),  # umask 022
        (0o600, 0o050, 0o640),
        (0o600, 0o000, 0o600),  # umask 077
    ],
)
def test_what_the_owner_may_the_group_may(out: Path, mode: int, group_mode: int, sealed: int) -> None:
    (out / "a.txt").touch()
    (out / "a.txt").chmod(mode)
    seal(out, tree.SealRule(hashing=False, syncing=False, group_mode=group_mode))
    assert (out / "a.txt").stat().st_mode & 0o777 == sealed


def test_directories_are_opened_to_the_group_too(out: Path) -> None:
    (out / "b").mkdir(mode=0o700)
    (out / "b" / "link").symlink_to("nowhere")
    seal(out)
    assert (out / "b").stat().st_mode & 0o777 == 0o770
