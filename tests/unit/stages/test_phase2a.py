"""Extract: which files become documents, in which words the others are refused, and that none is lost."""

from __future__ import annotations

import codecs
import os
import unicodedata
from pathlib import Path

import pytest

from stages.engine import names
from stages.phase2a import extract as stage
from tests.unit.stages.datasets import digests, extract, prose, read_documents, read_json, write_tree

MIXED: dict[str, bytes | str] = {
    "a.py": "x = 1\n",
    "pkg/b.PY": "y = 2",
    "README": "read me\r\nplease\r",
    "notes.md": "# notes\n",
    "empty.py": "  \n\n",
    "logo.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)),
    "noise.bin": bytes((i * 7919 + i * i) % 255 + 1 for i in range(4000)),
    "proto_pb2.py": "z = 3\n",
    "made.py": "# Code by a generator. DO NOT EDIT!\nz = 3\n",
    "app.js": "var a=1;" * 400,
    "poetry.lock": "[[package]]\n",
    "_vendor/six.py": "z = 3\n",
    "pkg/__pycache__/b.pyc": b"\0\1",
    "table.csv": "1,2,3\n" * 100_000,
}


def test_text_becomes_documents_and_all_else_is_counted_by_reason(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "in", MIXED)
    (top / "link.py").symlink_to("a.py")
    done = extract(top, tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    documents = read_documents(tmp_path / "out")
    assert {path: document["language"] for path, document in documents.items()} == {
        "README": "text",
        "a.py": "python",
        "notes.md": "markdown",
        "pkg/b.PY": "python",
    }
    assert documents["README"]["text"] == "read me\nplease\n"
    assert documents["pkg/b.PY"]["text"] == "y = 2\n"
    account = read_json(tmp_path / "out" / "extract.json")
    assert {why: files["examples"] for why, files in account["dropped"].items()} == {
        "a tool's own": ["pkg/__pycache__/b.pyc"],
        "binary": ["logo.png"],
        "empty": ["empty.py"],
        "encoding unknown": ["noise.bin"],
        "generated": ["made.py", "poetry.lock", "proto_pb2.py"],
        "minified": ["app.js"],
        "not a regular file": ["link.py"],
        "oversized": ["table.csv"],
        "vendored": ["_vendor/six.py"],
    }
    assert account["files"] == len(MIXED) + 1
    assert account["files"] == account["documents"] + sum(why["files"] for why in account["dropped"].values())


@pytest.mark.parametrize(
    ("data", "encoding", "holds"),
    [
        (codecs.BOM_UTF8 + "naïve €".encode(), "utf-8-sig", "naïve €"),
        ("naïve €".encode("utf-16"), "utf-16", "naïve €"),
        (codecs.BOM_UTF16_BE + "naïve €".encode("utf-16-be"), "utf-16", "naïve €"),
        ("naïve €".encode("utf-32"), "utf-32", "naïve €"),
        ("naïve €".encode(), "utf-8", "naïve €"),
        ("naïve €, and nobody said so".encode("cp1252"), "cp1252", "naïve €"),
        ("# -*- coding: iso-8859-15 -*-\nnaïve €".encode("iso-8859-15"), "iso-8859-15", "naïve €"),
        ("#!/usr/bin/python\n# vim: fileencoding=koi8-r\nжшщ, naive".encode("koi8-r"), "koi8-r", "жшщ"),
        ('<?xml version="1.0" encoding="Shift_JIS"?>日本語'.encode("shift_jis"), "shift_jis", "日本語"),
        ("# coding: no-such-codec\nnaïve €".encode(), "utf-8", "naïve €"),
        (b"# coding: rot13\nanvir", "utf-8", "anvir"),
        (b"undefined in cp1252: \x81\xe9\n" + b"plain text " * 200, "latin-1", "é\nplain text"),
    ],
)
def test_encodings_are_found(data: bytes, encoding: str, holds: str) -> None:
    text, found = stage.decode(data)
    assert found == encoding
    assert holds in text
    assert not text.startswith("\ufeff")


@pytest.mark.parametrize(
    "data", [b"\0", codecs.BOM_UTF16_LE + b"\0\xd8", codecs.BOM_UTF8 + b"\xff", b"ab\x01\x02\x03cd"]
)
def test_binary_is_no_text(data: bytes) -> None:
    with pytest.raises(stage.Dropped, match="binary"):
        stage.decode(data)


def test_text_is_normalised(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a.txt": unicodedata.normalize("NFD", "Ångström\r\n\rend")})
    assert stage.read(str(tmp_path), "a.txt").text == "Ångström\n\nend\n"


def test_a_line_of_prose_may_be_long(tmp_path: Path) -> None:
    write_tree(tmp_path, {"book.txt": "word " * 1000, "table.json": "[1,1]," * 1000})
    assert stage.read(str(tmp_path), "book.txt").language == "text"
    with pytest.raises(stage.Dropped, match="minified"):
        stage.read(str(tmp_path), "table.json")


def test_a_tree_without_text_is_rejected_with_its_reasons_on_the_last_line(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "in", {"a.so": b"\x7fELF\0", "b.so": b"\x7fELF\0", "empty": ""})
    done = extract(top, tmp_path / "out")
    assert done.returncode == 65
    assert done.stdout.splitlines()[-1] == "no text in this tree: binary 2, empty 1"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tree_without_files_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep" / "down").mkdir(parents=True)
    done = extract(tmp_path / "in", tmp_path / "out")
    assert (done.returncode, done.stdout) == (65, "no text in this tree: it holds no files\n")


def test_the_engines_names_are_passed_by_at_the_top_only(tmp_path: Path) -> None:
    log = names.log("phase2a+g2", 3, "0123abcd")
    top = write_tree(tmp_path / "in", {log: "said", "manifest.json": "{}", "sub/manifest.json": "{}", "log.txt": "x"})
    os.symlink("who", top / names.taken("phase2a", 1))
    assert extract(top, tmp_path / "out").returncode == 0
    assert set(read_documents(tmp_path / "out")) == {"sub/manifest.json", "log.txt"}
    assert read_json(tmp_path / "out" / "extract.json")["files"] == 2


MARKERS = ("taken.phase2a.1", "ended.x", "retry.phase2a", "retry.", "ready.phase2a", "log.phase2a+g2.1.0123abcd")


@pytest.mark.parametrize("name", [*MARKERS, "manifest.json", "log.txt", "logs", "taken", "log.phase2a.1.0123abcd.gz"])
def test_it_knows_the_engines_names(name: str) -> None:
    """A command does not import the engine: what it says of names must be what the engine says."""
    assert bool(stage.ENGINES.fullmatch(name)) == (names.is_reserved(name) or name == names.MANIFEST)


def test_a_limit_takes_a_sample_and_counts_the_rest(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "in", {f"{number:03}.txt": prose(number, 10) for number in range(100)})
    size = sum(path.stat().st_size for path in top.iterdir())
    assert extract(top, tmp_path / "out", EXTRACT_TEXT_BYTES_MAX=str(size // 4)).returncode == 0
    paths = sorted(read_documents(tmp_path / "out"))
    account = read_json(tmp_path / "out" / "extract.json")
    assert sum((top / path).stat().st_size for path in paths) <= size // 4
    assert account["dropped"]["over the limit of a dataset"]["files"] == 100 - len(paths)
    assert 20 < len(paths) < 30
    assert int(paths[-1][:3]) > 75, "a sample, not the beginning of the alphabet"


def test_one_book_may_be_a_dataset_however_big(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "in", {"a.txt": prose(1, 400), "b.txt": prose(2, 400)})
    assert extract(top, tmp_path / "out", EXTRACT_TEXT_BYTES_MAX="1000").returncode == 0
    assert len(read_documents(tmp_path / "out")) == 1
    assert read_json(tmp_path / "out" / "extract.json")["dropped"].keys() == {"over the limit of a dataset"}


def test_shards_are_bounded_and_in_order(tmp_path: Path) -> None:
    documents = [stage.Document(f"{number:04}", "text", "utf-8", "x" * 100_000) for number in range(25)]
    stage.write(str(tmp_path), documents)
    shards = sorted(tmp_path.iterdir())
    assert len(shards) == 3
    assert max(shard.stat().st_size for shard in shards) <= stage.SHARD_BYTES
    assert list(read_documents(tmp_path)) == [document.path for document in documents]


def test_names_that_are_not_utf8_stay_legible(tmp_path: Path) -> None:
    top = tmp_path / "in"
    top.mkdir()
    Path(os.fsdecode(os.fsencode(top) + b"/caf\xe9.txt")).write_text("coffee\n")
    assert extract(top, tmp_path / "out").returncode == 0
    assert list(read_documents(tmp_path / "out")) == ["caf\\xe9.txt"]


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    for attempt, order in enumerate((sorted(MIXED), sorted(MIXED, reverse=True))):
        write_tree(tmp_path / f"in{attempt}", {name: MIXED[name] for name in order})
        extract(tmp_path / f"in{attempt}", tmp_path / f"out{attempt}")
    assert digests(tmp_path / "out0") == digests(tmp_path / "out1")


def test_full_storage_is_not_the_datasets_fault(tmp_path: Path) -> None:
    """/dev/full answers every write with ENOSPC."""
    top = write_tree(tmp_path / "in", {"a.txt": "text\n"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "extract.json").symlink_to("/dev/full")
    done = extract(top, tmp_path / "out")
    assert done.returncode == 75
    assert done.stdout.splitlines()[-1].startswith("the storage does not do its part: [Errno 28]")
