"""The checkout under test: where it is, which files git knows, which modules are the product's."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PRODUCT = ("flows", "infra", "stages")


@cache
def sources() -> tuple[Path, ...]:
    """Every file that is committed or about to be, without what git ignores."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


@cache
def product_modules() -> tuple[Path, ...]:
    """The Python files that are installed."""
    return tuple(path for path in sources() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PRODUCT)


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name(path: Path) -> str:
    """How a message or a test's parameter calls a file: relative to the checkout."""
    return str(path.relative_to(ROOT))
