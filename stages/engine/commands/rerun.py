"""A published dataset is processed once more, as its next generation: ds7 comes back as ds7+g2, its result too.

The earlier result stays where it is. DATASET may be a pattern, quoted; of several generations the latest is taken.
"""

from __future__ import annotations

import secrets
from argparse import ArgumentParser, Namespace

from stages.engine import archive
from stages.engine.catalog import passage
from stages.engine.commands import context
from stages.engine.manifest import Json
from stages.engine.reruns import choose, rerun

HELP = "process published datasets once more, as their next generation"


def add_arguments(parser: ArgumentParser) -> None:
    """STAGE DATASET... [--dry-run] [--json]."""
    parser.add_argument("stage", metavar="STAGE", help="the stage that is to process them again")
    parser.add_argument("datasets", metavar="DATASET", nargs="+", help="a name, or a pattern in quotes")
    parser.add_argument("--dry-run", action="store_true", help="only say which datasets are meant")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def run(arguments: Namespace) -> int:
    """Bring them back one by one; the first that cannot be is an error."""
    at = context.opened(arguments)
    through = passage(at.root, at.catalog.stage(arguments.stage))
    chosen = choose(archive.archived(at.fs.listdir(through.reads.done)), through, arguments.datasets)
    done: list[Json] = []
    for entry in chosen:
        new = None
        if not arguments.dry_run:
            new = rerun(at.fs, at.root, through, entry, token=secrets.token_hex(4), who=context.user())
        done.append({"dataset": entry.dataset, "generation": new})
        if not arguments.json:
            print(
                f"{entry.dataset}: "
                + (f"waits in {through.reads.path} as {new}" if new else "would be processed again")
            )
    if arguments.json:
        context.print_json(done)
    return 0
