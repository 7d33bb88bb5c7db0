"""Who makes the root tree of an image: podman or buildah from a Containerfile, or we ourselves from a base."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from infra.containers import pip, recipe, tree
from infra.containers.errors import BuildError
from infra.containers.programs import carry_out, is_there
from infra.containers.recipe import Copy, Install


class Builder(StrEnum):
    """What builds. `TREE`: nothing but tar, pip and a mount namespace; it needs a base that is here."""

    PODMAN = "podman"
    BUILDAH = "buildah"
    APPTAINER = "apptainer"
    TREE = "tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be built. `context`: the checkout. `base`: a root tree or archive instead of what FROM names.

    `scratch`: a directory that is removed afterwards; the root tree is to be made in `tree`, an empty one.
    """

    stage: str
    context: Path
    containerfile: Path
    base: Path | None
    scratch: Path
    tree: Path


def choose(base: Path | None, has: Callable[[str], bool] = is_there) -> Builder:
    """Return the builder for this machine. Raises BuildError where there is none."""
    if base is not None:
        return Builder.TREE
    for builder in (Builder.PODMAN, Builder.BUILDAH, Builder.APPTAINER):
        if has(builder):
            return builder
    raise BuildError(
        "there is neither podman, buildah nor apptainer here; install one, or give a base: --from TREE, --from ARCHIVE"
    )


def make_tree(builder: Builder, order: Order) -> Mapping[str, str]:
    """Fill `order.tree`; returns what the image sets in the environment. Raises BuildError."""
    match builder:
        case Builder.PODMAN | Builder.BUILDAH:
            return _build(builder, order)
        case Builder.APPTAINER | Builder.TREE:
            return _carry_out(builder, order)
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            assert_never(builder)


def _carry_out(builder: Builder, order: Order) -> Mapping[str, str]:
    """Carry the Containerfile's steps out ourselves."""
    wanted = recipe.parse(order.containerfile.read_text(encoding="utf-8"), str(order.containerfile))
    if order.base is not None:
        tree.fill(order.tree, order.base)
    elif builder is Builder.APPTAINER:
        words = ["apptainer", "build", "--force", "--sandbox", str(order.tree), f"docker://{wanted.base}"]
        carry_out(words, f"the base image {wanted.base} cannot be fetched (--from TREE needs no registry)")
    else:
        raise BuildError(
            f"a root tree is built on one that is here: --from TREE or --from ARCHIVE, with {wanted.base}'s Python"
        )
    python = tree.python_of(order.tree)
    for step in wanted.steps:
        match step:
            case Copy():
                _copy(step, order)
            case Install():
                (order.tree / step.directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
                pip.install(step, order.tree, python, order.scratch)
            case _:  # pyright: ignore[reportUnnecessaryComparison]
                assert_never(step)
    return wanted.environment


def _copy(step: Copy, order: Order) -> None:
    """COPY as builders understand it: a directory's content goes to the target, a file to it or into it."""
    target = order.tree / step.target.lstrip("/")
    for name in step.sources:
        source = order.context / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            into = target / source.name if step.target.endswith("/") or target.is_dir() else target
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, into)
        else:
            raise BuildError(f"{order.containerfile} copies what is not there: {source}")


def _build(builder: Builder, order: Order) -> Mapping[str, str]:
    """Have the Containerfile built, and take the tree out of the image; the image stays in the builder's own store."""
    settings = pip.configuration()
    (order.scratch / "pip.conf").write_text(pip.IN_AN_IMAGE + settings.text, encoding="utf-8")
    volumes = [f"{order.scratch / 'pip.conf'}:/etc/pip.conf:ro", *(f"{path}:{path}:ro" for path in settings.paths)]
    tag = f"localhost/phaseline-{order.stage}"
    words = [str(builder), "build", "--network=host", "--isolation=chroot"]  # a machine may allow nobody a runtime
    words += [f"--file={order.containerfile}", f"--tag={tag}"]
    words += [f"--volume={volume}" for volume in volumes]
    words += [] if order.base is None else [f"--from={_imported(builder, order)}", "--pull=never"]
    what = f"{builder} cannot build {order.containerfile} (without a registry: --from TREE)"
    carry_out([*words, str(order.context)], what)
    _export(builder, tag, order.tree)
    said = json.loads(carry_out([str(builder), "inspect", "--type=image", tag], "the image cannot be read"))
    lines: list[str] = said[0]["Config"]["Env"] if builder is Builder.PODMAN else said["OCIv1"]["config"]["Env"]
    return dict(line.split("=", 1) for line in lines)


def _imported(builder: Builder, order: Order) -> str:
    """Return the reference of a base that was brought into the builder's store."""
    if builder is not Builder.PODMAN:
        raise BuildError(f"{builder} takes no base from here; use --with podman, or --with tree")
    base = order.scratch / "base"
    base.mkdir()
    tree.fill(base, order.base or base)
    reference = f"localhost/phaseline-base-{order.stage}"
    with subprocess.Popen(["tar", "-cf", "-", "-C", str(base), "."], stdout=subprocess.PIPE) as packing:
        carry_out(["podman", "import", "-", reference], "the base cannot be imported", stdin=packing.stdout)
    return reference


def _export(builder: Builder, image: str, target: Path) -> None:
    if builder is Builder.PODMAN:
        made = carry_out(["podman", "create", "--pull=never", image, "/bin/true"], "the image cannot be taken apart")
        try:
            with subprocess.Popen(["podman", "export", made], stdout=subprocess.PIPE) as packing:
                unpack = ["tar", "--no-same-owner", "-xf", "-", "-C", str(target)]
                carry_out(unpack, "the image cannot be taken apart", stdin=packing.stdout)
        finally:
            carry_out(["podman", "rm", made], "podman keeps a container")
        return
    made = carry_out(["buildah", "from", "--pull-never", image], "the image cannot be taken apart")
    try:
        script = 'tar -C "$(buildah mount "$1")" -cf - . | tar --no-same-owner -xf - -C "$2"'
        enter = () if os.geteuid() == 0 else ("buildah", "unshare")  # who is not root sees it in a namespace only
        carry_out(
            [*enter, "bash", "-o", "pipefail", "-c", script, "bash", made, str(target)],
            "the image cannot be taken apart",
        )
    finally:
        carry_out(["buildah", "rm", made], "buildah keeps a container")
