"""What the demo feeds in: the source trees of the Python packages that are installed here."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TREE_BYTES_MAX = 15_000_000  # a tree is copied before it is read: what is bigger only delays the show
LIBRARY_SUFFIX = ".libs"  # where wheels keep compiled libraries: a real tree without any text


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A directory that becomes a dataset."""

    name: str
    path: Path
    size_bytes: int


def installed_trees(site: Path | None = None) -> list[Tree]:
    """Return the packages of this environment, smallest first."""
    site = site or Path(sysconfig.get_paths()["purelib"])
    found = [_tree(path) for path in sorted(site.iterdir()) if (path / "__init__.py").is_file()]
    return sorted((tree for tree in found if tree.name[0] not in "_."), key=lambda tree: (tree.size_bytes, tree.name))


def without_text(site: Path | None = None) -> list[Tree]:
    """Return the smallest tree of nothing but compiled libraries, if there is one: it has to be rejected."""
    site = site or Path(sysconfig.get_paths()["purelib"])
    found = [_tree(path) for path in sorted(site.glob(f"*{LIBRARY_SUFFIX}")) if path.is_dir()]
    return sorted(found, key=lambda tree: tree.size_bytes)[:1]


def spread(trees: Sequence[Tree], count: int) -> list[Tree]:
    """Choose `count` of `trees` (smallest first) over all sizes, the smallest and the biggest included."""
    fitting = [tree for tree in trees if tree.size_bytes <= TREE_BYTES_MAX]
    if len(fitting) <= count:
        return fitting
    step = (len(fitting) - 1) / (count - 1)
    return [fitting[round(index * step)] for index in range(count)]


def given(paths: Sequence[Path]) -> list[Tree]:
    """Make a tree of each directory that was named."""
    return [_tree(path) for path in paths]


def _tree(path: Path) -> Tree:
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            file = Path(directory, name)
            if not file.is_symlink():
                total += file.stat().st_size
    return Tree(name=path.resolve().name, path=path, size_bytes=total)
