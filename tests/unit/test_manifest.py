"""Does a manifest say what was published, from what, and by whom?"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from stages.engine import manifest, names, tree
from stages.engine.posix import Posix

PATHS = st.binary(min_size=1).map(os.fsdecode)  # what a directory can hold is not always UTF-8
ATTEMPT = names.Attempt("ds7+g2", 3, "ab9c6d45")


def nothing() -> None:
    """No progress is watched here."""


def render(outputs: list[tree.Sealed], described: dict[str, manifest.Json], dataset: str = "ds7+g2") -> bytes:
    return manifest.render(
        ATTEMPT._replace(dataset=dataset),
        manifest.share("phase4", described),
        started=1_800_000_000.25,
        ended=1_800_000_002.5,
        made_of='{"files": []}',
        bytes_in=11,
        outputs=outputs,
    )


def inputs(dataset: Path, *, hashing: bool = True) -> object:
    payload = tree.payload(Posix(), str(dataset))
    return json.loads(manifest.inputs(Posix(), str(dataset), payload, hashing=hashing, progress=nothing))


def test_it_says_everything() -> None:
    outputs = [
        tree.Sealed(path="a.txt", size=5, sha256="00ff"),
        tree.Sealed(path="b/link", size=0, sha256=None, link="../a.txt"),
    ]
    content = render(outputs, {"host": "node1", "job": None, "code_version": "v1", "image": "first:1"})
    assert json.loads(content) == {
        "format": 1,
        "dataset": "ds7",
        "generation": 2,
        "attempt": 3,
        "token": "ab9c6d45",
        "started": 1_800_000_000.25,
        "ended": 1_800_000_002.5,
        "seconds": 2.25,
        "bytes_in": 11,
        "bytes_out": 5,
        "stage": "phase4",
        "host": "node1",
        "job": None,
        "code_version": "v1",
        "image": "first:1",
        "inputs": {"files": []},
        "outputs": [{"path": "a.txt", "size": 5, "sha256": "00ff"}, {"path": "b/link", "link": "../a.txt"}],
    }
    assert content.count(b"\n") > 15  # a fact on each line


@given(
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.text(st.characters(codec="utf-8")),
    st.lists(st.builds(tree.Sealed, path=PATHS, size=st.integers(0), sha256=st.none() | st.text("0f")), max_size=3),
)
def test_whatever_the_names_are_it_is_json(dataset: str, host: str, outputs: list[tree.Sealed]) -> None:
    facts = json.loads(render(outputs, {"host": host}, dataset=dataset))
    assert facts["host"] == host
    assert [output["path"] for output in facts["outputs"]] == [output.path for output in outputs]
    assert names.in_generation(facts["dataset"], facts["generation"]) == dataset


def test_without_an_upstream_manifest_every_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "link").symlink_to("a.txt")
    digest = hashlib.sha256(b"hello").hexdigest()
    link = {"path": "link", "kind": "link"}
    assert inputs(tmp_path) == {"files": [{"path": "a.txt", "size": 5, "sha256": digest}, link]}
    assert inputs(tmp_path, hashing=False) == {"files": [{"path": "a.txt", "size": 5, "sha256": None}, link]}


def test_an_upstream_manifest_stands_for_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "manifest.json").write_text("{}")
    assert inputs(tmp_path) == {"manifest_sha256": manifest.sha256(b"{}")}
