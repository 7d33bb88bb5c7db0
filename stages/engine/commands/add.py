"""Each directory becomes a dataset of that stage, under the directory's own name unless --as says another.

The copy is whole before any poller can see it. A name is given out once; typed again after a crash, the same command
finishes what broke off. What cannot be added is named on stderr, and the others are added all the same.
"""

from __future__ import annotations

import os
import secrets
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from stages.engine.arrivals import Arrival, Arrivals, Terms
from stages.engine.catalog import passage
from stages.engine.commands import context
from stages.engine.errors import UsageError
from stages.engine.quantities import size
from stages.engine.tree import GROUP_READS_AND_WRITES

HELP = "bring directories in as datasets of a stage"


def add_arguments(parser: ArgumentParser) -> None:
    """STAGE PATH... [--as NAME] [--move] [--json]."""
    parser.add_argument("stage", metavar="STAGE", help="the stage that is to process them")
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a directory: one dataset")
    parser.add_argument("--as", dest="name", metavar="NAME", help="call the dataset so; with a single PATH")
    parser.add_argument("--move", action="store_true", help="move instead of copying, on one file system")
    parser.add_argument("--json", action="store_true", help="print what was added as JSON")


def run(arguments: Namespace) -> int:
    """Add one directory after the other; non-zero if one of them could not be."""
    at = context.opened(arguments)
    spec = at.catalog.stage(arguments.stage)
    paths: list[str] = arguments.paths
    if arguments.name is not None and len(paths) > 1:
        raise UsageError("--as names one dataset, but several paths are given", todo="add them one by one")
    os.umask(at.settings.umask)
    terms = Terms(
        who=context.user(),
        durability=spec.output.durability,
        ready_marker=spec.arrival.ready_marker,
        group_mode=GROUP_READS_AND_WRITES & ~at.settings.umask,
    )
    arrivals = Arrivals(at.fs, at.root, passage(at.root, spec), terms)
    added: list[Arrival] = []
    code = 0
    for path in paths:
        source = os.path.abspath(path)
        try:
            arrival = arrivals.add(
                source, arguments.name or Path(source).name, token=secrets.token_hex(4), move=arguments.move
            )
        except UsageError as error:
            print(f"phaseline: {error}", file=sys.stderr)
            code = error.exit_code
            continue
        added.append(arrival)
        if not arguments.json:
            print(_line(arrival, spec.reads), flush=True)
    if arguments.json:
        context.print_json([asdict(arrival) for arrival in added])
    return code


def _line(arrival: Arrival, location: str) -> str:
    what = "finished adding" if arrival.resumed else "added"
    return f"{what} {arrival.dataset} to {location} ({arrival.files} files, {size(arrival.size)})"
