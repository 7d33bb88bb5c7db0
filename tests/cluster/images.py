"""Images for tests: of a small Debian, for two stages that want two versions of one library."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.containers.build import Wish, build
from infra.containers.builders import Builder
from infra.containers.image import Image, image_name, load
from tests.repository.checkout import ROOT

SUITE = "bookworm"
PACKAGES = "python3,bash,coreutils,dash,base-files,libc-bin"
DEBIAN = [
    *("mmdebstrap", "--variant=extract", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"),
    *(f"--include={PACKAGES}", '--aptopt=APT::Install-Recommends "false"'),
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
]
CACHE = ROOT / ".tmp" / "containers"
NEEDED = {
    "mmdebstrap": "mmdebstrap",
    "ch-run": "charliecloud",
    "podman": "podman",
}  # and their packages
VERSIONS = {"first": "1.15.0", "second": "1.16.0"}  # of six, that each stage wants and no other
LOCATIONS = ("RAW", "MADE", "RESULTS")

STAGE = """\
reads = "{reads}"
writes = "{writes}"
[work]
callable = "stage:process"
[lease] # as short as a test wants it
heartbeat_seconds = 0.3
expires_seconds = 3
[pollers]
idle_seconds = 3
[output]
durability = "none"
"""
CODE = '''\
"""Write down with which library this ran, and beside what."""

from importlib.metadata import distributions
from pathlib import Path

import six


def process(attempt):
    if six.__version__ != "{version}":
        raise AssertionError(six.__version__)
    names = sorted(one.name for one in distributions())
    seen = "\\n".join([f"six {{six.__version__}}", *names])
    for path in attempt.files:
        (attempt.output / path.name).write_text(path.read_text())
    (attempt.output / "{stage}.txt").write_text(seen)
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A checkout with two stages, and their images by the stages' names."""

    stages: Path
    images: dict[str, Image]

    def let_bind(self, *places: Path) -> None:
        """Make the places at which directories of a test are bound, as `phaseline image build --root` would have."""
        for image in self.images.values():
            for place in places:
                Path(f"{image.place}{place}").mkdir(parents=True, exist_ok=True)


def debian() -> Path:
    """Return an archive of a root tree with a Python; the first time it is made, in half a minute."""
    key = hashlib.sha256("\n".join([*DEBIAN, SUITE]).encode()).hexdigest()[:12]
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        pytest.fail(
            f"these tests start containers; type: sudo apt-get install {' '.join(map(NEEDED.__getitem__, missing))}"
        )
    archive = CACHE / f"{SUITE}-{key}.tar"
    with locked(CACHE / "lock"):
        if not archive.exists():
            made = archive.with_suffix(".new.tar")
            done = subprocess.run(
                [*DEBIAN, SUITE, str(made)],
                env={**os.environ, "TMPDIR": "/tmp", "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            made.rename(archive)
    return archive


def shelf(top: Path) -> Shelf:
    """Return the images of two stages, built below `top` by whoever comes first."""
    with locked(top / "images.lock"):
        stages = top / "checkout" / "stages"
        if not stages.is_dir():
            _write_checkout(stages)
        images = {stage: _built(stage, stages, top / "images") for stage in VERSIONS}
    return Shelf(stages=stages, images=images)


@contextmanager
def locked(path: Path) -> Generator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _built(stage: str, stages: Path, images: Path) -> Image:
    try:
        return load(image_name(stage), str(images))
    except FileNotFoundError:
        return build(Wish(stage=stage, stages=stages, images=images, builder=Builder.TREE, base=debian()))


def _write_checkout(stages: Path) -> None:
    """The files that a Containerfile copies, and two stages."""
    shutil.copytree(ROOT / "stages" / "engine", stages / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "stages" / "__init__.py", stages / "__init__.py")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, stages.parent / name)
    containerfile = (ROOT / "stages" / "phase2a" / "Containerfile").read_text()
    for at, (stage, version) in enumerate(VERSIONS.items()):
        folder = stages / stage
        folder.mkdir()
        (folder / "stage.toml").write_text(STAGE.format(reads=LOCATIONS[at], writes=LOCATIONS[at + 1]))
        (folder / "stage.py").write_text(CODE.format(version=version, stage=stage))
        (folder / "requirements.txt").write_text(f"six=={version}\n")
        (folder / "Containerfile").write_text(containerfile.replace("phase2a", stage))
