"""Everything is tried out on the real file system and nothing is left behind. Any refusal ends it with 78.

With --storage, what two processes see of each other there, too: whether one of two wins, how soon what one writes is
seen by the other, and what that means for leases; a minute on a network. With --from-nodes these are jobs on two nodes.
With --site, what the deployments need of the cluster, and the root as a compute node sees it: small jobs are sent.
"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict
from typing import cast

from stages.engine import doctor
from stages.engine.commands import context, storage
from stages.engine.commands.plugin import plugin
from stages.engine.errors import ExitCode, UsageError
from stages.engine.mounts import mount_of
from stages.engine.play import Scale
from stages.engine.probes import Verdict

HELP = "try out what the protocol needs of the root's file system"


def add_arguments(parser: ArgumentParser) -> None:
    """`--json` for programs, `--storage` for two processes, `--site` for the cluster."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--storage", action="store_true", help="try out what two processes see of each other there")
    parser.add_argument("--from-nodes", action="store_true", help="with --storage: from two nodes, through SLURM")
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        default=Scale().rounds,
        help=f"with --storage: race for so many names of each kind at most (default: {Scale().rounds})",
    )
    parser.add_argument("--site", action="store_true", help="examine the cluster, from here and from its nodes")
    parser.add_argument(
        "--wait-seconds",
        type=float,
        metavar="S",
        help="with --site and --from-nodes: wait so long for a node (default: 120)",
    )
    parser.add_argument("--play", nargs=2, metavar=("PLACE", "SIDE"), help=SUPPRESS)  # what --storage starts


def run(arguments: Namespace) -> int:
    """Print a line for each probe; EX_CONFIG on a refusal."""
    if arguments.from_nodes and not arguments.storage:
        raise UsageError("--from-nodes goes with --storage", todo="phaseline doctor --storage --from-nodes")
    if arguments.rounds < 1:
        raise UsageError("--rounds is a number of rounds, 1 or more")
    if arguments.play:
        return storage.play(arguments, context.closed(arguments))
    at = context.opened(arguments)
    if arguments.site:
        return cast("Callable[[Namespace, str], int]", plugin("site", "--site"))(arguments, at.root.path)
    if arguments.storage:
        return storage.run(arguments, at)
    mount = mount_of(at.fs, at.root.path)
    for spec in at.catalog.stages:
        doctor.check_lease(spec, mount, allow_short=at.settings.allow_short_lease)
    found = doctor.examine(at.fs, at.clock, at.root, at.catalog.locations)
    is_fit = all(finding.verdict is not Verdict.REFUSED for finding in found)
    if arguments.json:
        context.print_json({"root": at.root.path, "fit": is_fit, "findings": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            print(finding.line)
        print(f"{at.root.path}: {'fit for phaseline' if is_fit else 'refused'}")
    return ExitCode.OK if is_fit else ExitCode.CONFIGURATION
