"""Building an image: a root tree is made, completed, packed, named by its digest, and entered under its name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.containers import tree
from infra.containers.builders import Builder, Order, make_tree
from infra.containers.errors import BuildError
from infra.containers.image import Image, image_name, save
from infra.containers.programs import carry_out

DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asks for. `images`: the directory of images. `mount_points`: what will be bound, absolute paths."""

    stage: str
    stages: Path
    images: Path
    builder: Builder
    base: Path | None = None
    mount_points: Sequence[str] = ()


def build(wish: Wish) -> Image:
    """Build the image of a stage and let its name stand for it. Raises BuildError; leaves nothing half-made."""
    containerfile = _containerfile(wish)
    wish.images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{wish.stage}-", dir=wish.images) as scratch:
        made = Path(scratch, "tree")
        made.mkdir(mode=0o755)
        order = Order(
            stage=wish.stage,
            context=wish.stages.parent,
            containerfile=containerfile,
            base=wish.base,
            scratch=Path(scratch),
            tree=made,
        )
        environment = make_tree(wish.builder, order)
        tree.complete(made, environment, wish.mount_points)
        image = _placed(wish, made)
    save(image, str(wish.images))
    return image


def _placed(wish: Wish, made: Path) -> Image:
    """Move what was made to where its digest says: a file for apptainer, a root tree for everybody else."""
    name = image_name(wish.stage)
    suffix = ""
    if wish.builder is Builder.APPTAINER:
        packed = made.with_suffix(".sif")
        carry_out(["apptainer", "build", str(packed), str(made)], "the tree cannot be packed")
        made, suffix = packed, ".sif"
    digest = f"sha256:{tree.file_sha256(str(made)).hex()}" if suffix else tree.digest(made)
    place = wish.images / f"{name}-{digest.removeprefix('sha256:')[:DIGITS]}{suffix}"
    if place.exists():
        return Image(name=name, place=str(place), digest=digest)
    shutil.move(made, place)
    return Image(name=name, place=str(place), digest=digest)


def _containerfile(wish: Wish) -> Path:
    found = wish.stages / wish.stage / "Containerfile"
    if not found.is_file():
        there = sorted(path.parent.name for path in wish.stages.glob("*/Containerfile"))
        raise BuildError(f"there is no {found}; stages with one: {', '.join(there) or 'none'}")
    if not (wish.stages.parent / "pyproject.toml").is_file():
        raise BuildError(f"{wish.stages.parent} is no checkout of phaseline: an image is built from one; give --stages")
    return found
