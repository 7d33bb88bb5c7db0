"""`python -m benchmarks [--quick | --keep] [NAME...]`: all benchmarks, or some.

All of them in full, and some with --keep, go into results.json and, from there, into docs/figures.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from loguru import logger

from benchmarks import (
    arrival,
    backlog,
    command,
    coordination,
    flows,
    hashing,
    machine,
    nfs,
    pipeline,
    report,
    results,
    slurm,
    status,
    sweep,
    syscalls,
)
from benchmarks.figures import Figure, Table
from benchmarks.place import CHECKOUT, Place, taken

Measure = Callable[[Place], Sequence[Figure | Table]]
ALL: Mapping[str, Measure] = {
    "coordination": coordination.measure,
    "pipeline": pipeline.measure,
    "command": command.measure,
    "backlog": backlog.measure,
    "status": status.measure,
    "sweep": sweep.measure,
    "flows": flows.measure,
    "arrival": arrival.measure,
    "hashing": hashing.measure,
    "syscalls": syscalls.measure,
}
# Not without being named: they need SLURM, and user-mode-linux.
NAMED: Mapping[str, Measure] = {"slurm": slurm.measure, "nfs": nfs.measure}
RESULTS = Path(__file__).with_name("results.json")
PAGE = CHECKOUT / "docs" / "figures.md"
QUICK = 0.1


def main() -> int:
    """Measure, print a table, write results; targets that are missed are shown, and are no error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(ALL)} (default: all), or {', '.join(NAMED)}"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="a tenth of the sizes; nothing is written")
    how.add_argument("--keep", action="store_true", help=f"write those that are named into {RESULTS.name} too")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in {*ALL, *NAMED}]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}: there are {', '.join([*ALL, *NAMED])}")
    found = measure(given.names or list(ALL), QUICK if given.quick else 1.0)
    print("\n".join(report.lines([one for figures in found.values() for one in figures])))
    if given.keep or not (given.quick or given.names):
        with taken(1.0) as place:
            results.keep(RESULTS, machine.facts(place), machine.commit(), found)
        PAGE.write_text(results.on_page(PAGE.read_text(encoding="utf-8"), results.read(RESULTS)), encoding="utf-8")
        print(f"\nwritten: {RESULTS.relative_to(CHECKOUT)}, {PAGE.relative_to(CHECKOUT)}")
    return 0


def measure(names: Sequence[str], share: float) -> dict[str, Sequence[Figure | Table]]:
    """Run some benchmarks, one after the other."""
    logger.remove()  # pollers in this process say nothing; those in processes of their own do as ever
    found: dict[str, Sequence[Figure | Table]] = {}
    for name in names:
        print(f"== {name}", file=sys.stderr, flush=True)
        with taken(share) as place:
            found[name] = {**ALL, **NAMED}[name](place)
    return found


if __name__ == "__main__":
    sys.exit(main())
