"""The demo's images: one for each stage, on a small Debian of the packages that this machine gets its own from."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.containers.build import Wish, build
from infra.containers.builders import Builder
from infra.containers.errors import BuildError
from infra.containers.image import DIRECTORY
from infra.demo import show
from infra.demo.show import Demo, DemoError
from infra.stack import place

RUNTIME = {"PHASELINE_CONTAINER_RUNTIME": "charliecloud"}
NEEDED = {"ch-run": "charliecloud", "mmdebstrap": "mmdebstrap"}
SBIN = "/usr/sbin:/sbin"
SUITE, PACKAGES = "bookworm", "python3,bash,coreutils,dash,base-files,libc-bin,libstdc++6"
DEBIAN = (
    *("mmdebstrap", "--variant=extract", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"),
    *(f"--include={PACKAGES}", "--aptopt=APT::Install-Recommends false"),
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
)
# The checkout as far as Containerfiles copy it. Without PyTorch, which is 5 GB: phase4 trains its small model.
FILES = ("pyproject.toml", "README.md", "LICENSE", "stages/__init__.py")
LEFT_OUT = "stages/phase4/torch.txt"


def made(demo: Demo) -> Mapping[str, str]:
    """Make the images that are missing; what workers need in their environment to start pollers in them.

    Raises DemoError.
    """
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if missing:
        raise DemoError(f"--containers needs more: sudo apt-get install --no-install-recommends {' '.join(missing)}")
    if demo.stages is not None:
        raise DemoError("--containers is for the stages that are shipped: leave --stages and PHASELINE_STAGES out")
    here, root = place.find(), demo.root
    directory = here.directory / "images" / _fingerprint(here.clone, root)
    if not (directory / "complete").exists():
        shutil.rmtree(directory.parent, ignore_errors=True)  # those of other sources
        directory.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="phaseline-images-") as scratch:
            _build_all(here.clone, root, directory, Path(scratch))
        (directory / "complete").touch()
    return {**RUNTIME, DIRECTORY: str(directory)}


def _build_all(clone: Path, root: Path, directory: Path, scratch: Path) -> None:
    base, checkout = scratch / "base.tar", scratch / "checkout"
    show.say(f"images: a small Debian ({SUITE}), by mmdebstrap")
    _make_base(base)
    for source in _sources(clone):
        copy = checkout / source.relative_to(clone)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    (checkout / LEFT_OUT).write_text("# left out of the demo\n")
    for stage in sorted(path.parent.name for path in (checkout / "stages").glob("*/Containerfile")):
        wish = Wish(
            stage=stage,
            stages=checkout / "stages",
            images=directory,
            builder=Builder.TREE,
            base=base,
            mount_points=[str(root)],
        )
        try:
            image = build(wish)
        except BuildError as error:
            raise DemoError(f"no image of {stage}: {error}") from None
        show.say(f"images: {image.described}")


def _make_base(archive: Path) -> None:
    # It makes its root tree as another user, who has to reach it: not below TMPDIR, which is this user's own.
    told = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SBIN}"}
    told.pop("TMPDIR", None)
    done = subprocess.run(
        [*DEBIAN, SUITE, str(archive)],
        env=told,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"mmdebstrap could not make a root tree: {done.stderr.strip()[-500:]}")


def _sources(clone: Path) -> Iterator[Path]:
    """Yield the files that images are made of."""
    yield from (clone / name for name in FILES)
    for folder in (clone / "stages" / "engine", *sorted(path.parent for path in clone.glob("stages/*/Containerfile"))):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _fingerprint(clone: Path, root: Path) -> str:
    """Return a word that changes with whatever the images are made of; the root is bound at a place made for it."""
    told = hashlib.sha256("\0".join([*DEBIAN, SUITE, str(root)]).encode())
    for path in _sources(clone):
        told.update(f"\0{path.relative_to(clone)}\0".encode() + path.read_bytes())
    return told.hexdigest()[:12]
