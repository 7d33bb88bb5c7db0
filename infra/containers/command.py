"""`phaseline image build STAGE` makes the image of a stage from its Containerfile, and prints the digest.

With podman, buildah or apptainer, whichever is here; with --from, without a registry and without any of them, from a
root tree or an archive of one that holds a Python. The image goes to the directory of images, on shared storage, as
phaseline-STAGE-DIGEST, and the name phaseline-STAGE stands for it from then on: new jobs use it, others keep theirs.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from infra.containers.build import Wish, build
from infra.containers.builders import Builder, choose
from infra.containers.errors import BuildError
from infra.containers.image import DIRECTORY

HELP = "make the container image of a stage"
FAILED = 1


def add_arguments(parser: ArgumentParser) -> None:
    """Build STAGE [--from BASE] [--with BUILDER] [--images DIR] [--mount-point DIR]."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="build")
    action = actions.add_parser("build", help="make the image of a stage", allow_abbrev=False)
    action.add_argument("stage", metavar="STAGE")
    action.add_argument("--from", dest="base", metavar="BASE", help="a root tree, or a tar archive of one, to build on")
    action.add_argument(
        "--with", dest="builder", type=Builder, choices=list(Builder), help="what builds (default: what is here)"
    )
    action.add_argument("--images", metavar="DIR", help=f"the directory of images ({DIRECTORY})")
    action.add_argument(
        "--mount-point",
        dest="mount_points",
        metavar="DIR",
        action="append",
        default=[],
        help="a directory that will be bound into it, besides the data root; may be given several times",
    )


def run(arguments: Namespace) -> int:
    """Build; the last two lines are the image's place and its digest."""
    try:
        image = build(_wish(arguments))
    except (BuildError, OSError) as error:
        print(f"phaseline image build: {error}", file=sys.stderr)
        return FAILED
    print(image.place)
    print(image.digest)
    return 0


def _wish(arguments: Namespace) -> Wish:
    base = Path(arguments.base).expanduser().absolute() if arguments.base else None
    images = arguments.images or os.environ.get(DIRECTORY)
    if not images:
        raise BuildError(f"no directory of images: say --images DIR, or set {DIRECTORY}; it is on shared storage")
    stages = arguments.stages or os.environ.get("PHASELINE_STAGES") or Path(__file__).resolve().parents[2] / "stages"
    root = arguments.root or os.environ.get("PHASELINE_ROOT")
    points = [
        str(Path(point).expanduser().absolute()) for point in (*([root] if root else []), *arguments.mount_points)
    ]
    return Wish(
        stage=arguments.stage,
        stages=Path(stages).expanduser().absolute(),
        images=Path(images).expanduser().absolute(),
        builder=arguments.builder or choose(base),
        base=base,
        mount_points=points,
    )
