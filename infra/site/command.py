"""`phaseline doctor --site`: prints a line for each check, as it is made, and a summary; to be pasted into a ticket.

And what `phaseline doctor --storage` needs of the cluster: two jobs.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

if find_spec("prefect") is None:  # before anything that needs it: `phaseline` says which extra brings it
    raise ModuleNotFoundError("No module named 'prefect'", name="prefect")

from infra.site import sides
from infra.site.examination import WAIT_SECONDS, Site, examine, now
from infra.site.finding import Finding, Verdict
from infra.site.wishes import WishError, read_wishes
from infra.stack import place
from infra.stack.errors import StackError

FAULTY = 78  # EX_CONFIG, as `phaseline doctor` ends with a root that is refused


def run(arguments: Namespace, root: str) -> int:
    """Examine; 0 unless there is a fault. `arguments` has `json` and `wait_seconds`, which may be None."""
    try:
        clone = place.find().clone
    except StackError as error:
        print(f"phaseline doctor: {error}", file=sys.stderr)
        return FAULTY
    os.environ["PHASELINE_ROOT"] = root  # as in the worker's environment: what jobs are made of
    wait_seconds: float = arguments.wait_seconds or WAIT_SECONDS
    site = Site(root=root, clone=clone, wait_seconds=wait_seconds)
    if arguments.json:
        found = list(examine(site))
        print(json.dumps({"root": root, "findings": [asdict(one) for one in found]}, indent=2))
        return _code(found)
    print(f"site examined {now()} from {platform.node()}, phaseline {_version()}, root {root}", flush=True)
    found: list[Finding] = []
    for one in examine(site):
        found.append(one)
        print(one.line, flush=True)
    counts = Counter(one.verdict for one in found)
    print("summary: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict))
    return _code(found)


def carry(root: str, words: Sequence[Sequence[str]], wait_seconds: float) -> tuple[list[str], list[str]]:
    """Have `phaseline` do two things on two nodes, for `phaseline doctor --storage --from-nodes`; waits for both.

    Returns notes for people, and what went wrong.
    """
    os.environ["PHASELINE_ROOT"] = root  # as above
    try:
        return sides.carry(root, read_wishes(place.find().clone), words, wait_seconds)
    except (StackError, WishError) as error:
        return [], [str(error)]


def _code(found: list[Finding]) -> int:
    return FAULTY if any(one.verdict is Verdict.FAULT for one in found) else 0


def _version() -> str:
    try:
        return version("phaseline")
    except PackageNotFoundError:
        return "of a bare checkout"
