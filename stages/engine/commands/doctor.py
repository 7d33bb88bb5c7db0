"""Everything is tried out on the real file system and nothing is left behind. Any refusal ends it with 78."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from stages.engine import doctor
from stages.engine.commands import context
from stages.engine.errors import ExitCode
from stages.engine.mounts import mount_of
from stages.engine.probes import Finding, Verdict

HELP = "try out what the protocol needs of the root's file system"


def add_arguments(parser: ArgumentParser) -> None:
    """`--json` for programs."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: Namespace) -> int:
    """Print a line for each probe; EX_CONFIG on a refusal."""
    at = context.opened(arguments)
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


def _line(finding: Finding) -> str:
    more = "; ".join(part for part in (finding.detail, finding.todo) if part)
    return f"{finding.verdict:<8} {finding.probe}" + (f": {more}" if more else "")
