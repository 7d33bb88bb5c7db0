"""Root trees: what they are filled from, what they are given, what their digest depends on, and refusals."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.containers import pip, tree
from infra.containers.build import Wish, build
from infra.containers.builders import Builder, choose
from infra.containers.errors import BuildError
from infra.containers.recipe import Install


def base(top: Path) -> Path:
    """A root tree that is none to run, but has the shape of one."""
    for name in ("usr/bin", "usr/lib", "etc", "dev"):
        (top / name).mkdir(parents=True)
    (top / "lib").symlink_to("usr/lib")
    (top / "usr/bin/python3").symlink_to("python3.11")
    (top / "dev/secret").write_text("of the machine")
    (top / "etc/resolv.conf").symlink_to("/nowhere/resolv.conf")
    return top


def archived(top: Path) -> Path:
    archive = top.with_suffix(".tar.gz")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(base(top), ".")
    return archive


@pytest.mark.parametrize("made", [base, archived])
def test_a_tree_is_filled_from_a_tree_or_an_archive(tmp_path: Path, made: Callable[[Path], Path]) -> None:
    target = tmp_path / "tree"
    target.mkdir()
    tree.fill(target, made(tmp_path / "base"))
    assert tree.python_of(target) == "/usr/bin/python3"
    assert not (target / "dev/secret").exists()


def test_what_is_no_tree_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(BuildError, match="there is no root tree and no archive"):
        tree.fill(tmp_path / "tree", tmp_path / "nowhere")
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(BuildError, match="cannot be unpacked: tar ended with 2"):
        tree.fill(tmp_path / "tree", tmp_path / "text")
    with pytest.raises(BuildError, match="there is no Python in the base"):
        tree.python_of(tmp_path / "tree")
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "manifest.json").touch()
    with pytest.raises(BuildError, match="podman export"):
        tree.fill(tmp_path / "tree", tmp_path / "layers")


def test_a_tree_gets_what_runtimes_look_for(tmp_path: Path) -> None:
    top = base(tmp_path / "base")
    tree.complete(top, {"A": "1", "B": "x y"}, ["/shared/data"])
    assert (top / "ch/environment").read_text() == "A=1\nB=x y\n"
    assert all((top / name).is_dir() for name in ("shared/data", "proc", "sys", "tmp", "home"))
    assert not (top / "etc/resolv.conf").is_symlink(), "a link would be followed outside"
    assert (top / "etc/passwd").read_text().startswith("root:")
    (top / "etc/passwd").write_text("mine")
    tree.complete(top, {}, [])
    assert (top / "etc/passwd").read_text() == "mine"


def test_the_digest_is_of_what_is_in_it(tmp_path: Path) -> None:
    one, two = base(tmp_path / "one"), base(tmp_path / "two")
    os.utime(two / "dev/secret", (1, 1))
    assert tree.digest(one) == tree.digest(two)
    (two / "dev/secret").chmod(0o700)
    changed = {tree.digest(one), tree.digest(two)}
    (two / "usr/bin/python3").unlink()
    (two / "usr/bin/python3").symlink_to("python3.12")
    changed.add(tree.digest(two))
    (two / "dev/secret").write_text("of that machine")
    changed.add(tree.digest(two))
    assert len(changed) == 4


def test_a_builder_is_what_is_here_and_a_base_needs_none() -> None:
    assert choose(Path("/base"), lambda _: True) is Builder.TREE
    assert choose(None, lambda name: name == "apptainer") is Builder.APPTAINER
    with pytest.raises(BuildError, match="neither podman, buildah nor apptainer"):
        choose(None, lambda _: False)


def test_a_wish_that_cannot_be_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    stages, images = tmp_path / "checkout" / "stages", tmp_path / "images"
    (stages / "first").mkdir(parents=True)

    def refusal(stage: str, given: Path | None = None) -> str:
        wish = Wish(stage=stage, stages=stages, images=images, builder=Builder.TREE, base=given)
        with pytest.raises(BuildError) as refused:
            build(wish)
        return str(refused.value)

    assert refusal("second").endswith("stages with one: none")
    (stages / "first" / "Containerfile").write_text("FROM x\nCOPY README.md /\n")
    assert refusal("second").endswith("stages with one: first")
    assert "is no checkout of phaseline" in refusal("first")
    (stages.parent / "pyproject.toml").touch()
    assert refusal("first").startswith("a root tree is built on one that is here: --from TREE")
    assert "copies what is not there" in refusal("first", base(tmp_path / "base"))
    assert list(images.iterdir()) == []


def test_pip_needs_a_system_whose_usr_is_one(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    with pytest.raises(BuildError, match="merged /usr"):
        pip.install(Install(arguments=(), directory="/"), tmp_path, "/usr/bin/python3", tmp_path)


def test_pips_configuration_is_the_callers_without_its_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    wheels = "/usr/share"  # pip takes a space for the end of a path
    (tmp_path / "pip.conf").write_text(
        f"[global]\nfind-links = {wheels}\n    file://{wheels}\ntimeout = 7\n[install]\nuser = 1\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_RETRIES", "2")
    found = pip.configuration()
    assert {"timeout = 7", "retries = 2"} <= set(found.text.splitlines())
    assert "user" not in found.text
    assert wheels in found.paths
