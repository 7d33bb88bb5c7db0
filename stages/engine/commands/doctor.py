"""Everything is tried out on the real file system and nothing is left behind. Any refusal ends it with 78.

With --site, what the deployments need of the cluster, too, and the root as a compute node sees it: small jobs are sent.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from typing import cast

from stages.engine import doctor
from stages.engine.commands import context
from stages.engine.errors import ExitCode, UsageError
from stages.engine.mounts import mount_of
from stages.engine.probes import Finding, Verdict

HELP = "try out what the protocol needs of the root's file system"
GROUP = "phaseline.doctor"  # entry point `site`: given the arguments and the root's path, returns the exit code


def add_arguments(parser: ArgumentParser) -> None:
    """`--json` for programs, `--site` for the cluster."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--site", action="store_true", help="examine the cluster, from here and from its nodes")
    parser.add_argument(
        "--wait-seconds", type=float, metavar="S", help="with --site: wait so long for a node (default: 120)"
    )


def run(arguments: Namespace) -> int:
    """Print a line for each probe; EX_CONFIG on a refusal."""
    at = context.opened(arguments)
    if arguments.site:
        return _site()(arguments, at.root.path)
    mount = mount_of(at.fs, at.root.path)
    for spec in at.catalog.stages:
        doctor.check_lease(spec, mount, allow_short=at.settings.allow_short_lease)
    found = doctor.examine(at.fs, at.clock, at.root, at.catalog.locations)
    is_fit = all(finding.verdict is not Verdict.REFUSED for finding in found)
    if arguments.json:
        context.print_json({"root": at.root.path, "fit": is_fit, "findings": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            print(_line(finding))
        print(f"{at.root.path}: {'fit for phaseline' if is_fit else 'refused'}")
    return ExitCode.OK if is_fit else ExitCode.CONFIGURATION


def _site() -> Callable[[Namespace, str], int]:
    """Find who examines clusters; raises UsageError if nobody is installed who does."""
    for entry in metadata.entry_points(group=GROUP, name="site"):
        try:
            return cast("Callable[[Namespace, str], int]", entry.load())
        except ModuleNotFoundError as error:
            what = f"`phaseline doctor --site` needs {error.name!r}, which is not installed"
            raise UsageError(what, todo="pip install 'phaseline[control]'") from None
    raise UsageError(
        "`phaseline doctor --site` is not part of this installation", todo="pip install 'phaseline[control]'"
    )


def _line(finding: Finding) -> str:
    more = "; ".join(part for part in (finding.detail, finding.todo) if part)
    return f"{finding.verdict:<8} {finding.probe}" + (f": {more}" if more else "")
