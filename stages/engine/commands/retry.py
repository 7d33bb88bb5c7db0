"""A dataset in quarantine or backing off gets its whole budget back; an attempt under way is given up.

It is a mark only (`touch retry.STAGE` in the dataset's directory does the same): the next sweep carries it out. DATASET
may be a pattern, quoted: '*' means all in quarantine or backing off, never what is under way.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from stages.engine.catalog import passage
from stages.engine.commands import context
from stages.engine.requests import Requests

HELP = "have quarantined or waiting datasets tried again"


def add_arguments(parser: ArgumentParser) -> None:
    """STAGE DATASET... [--json]."""
    parser.add_argument("stage", metavar="STAGE", help="the stage in which they are stuck")
    parser.add_argument("datasets", metavar="DATASET", nargs="+", help="a name, or a pattern in quotes")
    parser.add_argument("--json", action="store_true", help="print the answers as JSON")


def run(arguments: Namespace) -> int:
    """Mark them, and say what will happen and when."""
    at = context.opened(arguments)
    spec = at.catalog.stage(arguments.stage)
    answers = Requests(at.fs, passage(at.root, spec), at.clock.now()).retry(arguments.datasets)
    if arguments.json:
        context.print_json([asdict(answer) for answer in answers])
        return 0
    for answer in answers:
        print(f"{answer.dataset}: {answer.what}")
    if any(answer.marked for answer in answers):
        print(f"sweep now: phaseline sweep {spec.name}")
    return 0
