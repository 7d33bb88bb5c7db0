"""pip for an image: the caller's own, with the caller's configuration, for the Python of a root tree."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.containers.errors import BuildError
from infra.containers.programs import carry_out
from infra.containers.recipe import Install

# Where packages would go otherwise, or what else is the caller's place: no business of an image.
_OWN = {"cache-dir", "config-file", "log", "prefix", "python", "require-virtualenv", "root", "target", "user"}
_FORCED = {
    "PIP_BREAK_SYSTEM_PACKAGES": "1",  # the tree is nobody's system yet
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_REQUIRE_VIRTUALENV": "0",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PIP_USER": "0",
}
IN_AN_IMAGE = (
    "[install]\nbreak-system-packages = true\nroot-user-action = ignore\n"  # its Python is nobody's system yet
)
# The tree's /usr over the machine's, seen by this process alone: its Python and libraries, while pip's configuration,
# certificates and directories of packages are where the caller has them.
_INSIDE = 'mount --bind "$1" /usr && cd "$2" && shift 2 && exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the caller has told pip, from its files and environment: as one pip.conf, and the paths that it names."""

    text: str
    paths: tuple[str, ...]


def install(step: Install, tree: Path, python: str, scratch: Path) -> None:
    """Carry out `pip install` in a root tree, as its Python `python`. Raises BuildError.

    `scratch`: a directory below neither /usr nor the tree. Needs a mount namespace: as root, or by user namespaces.
    """
    for top in (Path("/"), tree):
        if not (top / "lib").is_symlink():
            raise BuildError(
                f"{top / 'lib'} is no link to usr/lib: build on a system, and from a base, that has merged /usr"
            )
    words = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)), "--", "/bin/sh", "-c", _INSIDE]
    words += ["sh", str(tree / "usr"), f"{tree}{step.directory}", python, str(_copied(scratch)), "install"]
    carry_out([*words, *step.arguments], "packages cannot be installed", environment=_environment(os.environ, scratch))


def configuration() -> Configuration:
    """Return the caller's configuration of pip. Raises BuildError."""
    said = carry_out([sys.executable, "-m", "pip", "config", "list"], "pip does not say how it is configured")
    sections: dict[str, dict[str, str]] = {}
    for line in said.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section and option not in _OWN:
            sections.setdefault("global" if section == ":env:" else section, {})[option] = str(ast.literal_eval(value))
    lines: list[str] = []
    for section, options in sections.items():
        lines += [
            f"[{section}]",
            *(f"{name} = {value.replace(chr(10), chr(10) + '    ')}" for name, value in options.items()),
        ]
    words = [
        word
        for options in sections.values()
        for value in options.values()
        for word in value.replace("file://", "").split()
    ]
    return Configuration(
        text="".join(f"{line}\n" for line in lines),
        paths=tuple(sorted({word for word in words if word.startswith("/") and os.path.exists(word)})),
    )


def _copied(scratch: Path) -> Path:
    """Return a copy of the caller's pip, alone in a directory: beside it nothing counts as installed already."""
    copy = scratch / "pip-alone" / "pip"
    if not copy.exists():
        found = importlib.util.find_spec("pip")
        if found is None or not found.submodule_search_locations:
            raise BuildError(f"there is no pip for {sys.executable}; type: {sys.executable} -m ensurepip")
        shutil.copytree(found.submodule_search_locations[0], copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def _environment(base: Mapping[str, str], scratch: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in base.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        and name.removeprefix("PIP_").lower().replace("_", "-") not in (_OWN if name.startswith("PIP_") else ())
    }
    return kept | _FORCED | {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(scratch)}
