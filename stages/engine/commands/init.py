"""Makes every directory of the pipeline, shared with the group, once the file system has passed the doctor's probes.

A second time it makes what is missing: after a stage was added, for instance.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from stages.engine import creation
from stages.engine.commands import context

HELP = "make a data root for these stages"


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing but the common options."""
    del parser


def run(arguments: Namespace) -> int:
    """Make the root and say what was made."""
    at = context.closed(arguments)
    made = creation.create(at.fs, at.clock, at.root, at.catalog.locations)
    chain = " -> ".join(at.catalog.locations)
    print(f"{at.root.path}: {chain}")
    print(f"{len(made)} directories made" if made else "nothing was missing")
    print(f"next: phaseline add {at.catalog.names[0]} DIRECTORY... --root {at.root.path}")
    return 0
