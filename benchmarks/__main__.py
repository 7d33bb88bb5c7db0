"""`python -m benchmarks [--quick] [NAME...]`: all benchmarks, or some; all of them in full write results.json."""

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
    pipeline,
    report,
    status,
    sweep,
    syscalls,
)
from benchmarks.figures import Figure, Table
from benchmarks.place import Place, taken

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
RESULTS = Path(__file__).with_name("results.json")
QUICK = 0.1


def main() -> int:
    """Measure, print a table, write results; targets that are missed are shown, and are no error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(ALL)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes; nothing is written")
    parser.add_argument("--output", type=Path, help=f"where results go (default: {RESULTS.name}, of a full measure)")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in ALL]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}: there are {', '.join(ALL)}")
    output: Path | None = given.output or (None if given.quick or given.names else RESULTS)
    found = measure(given.names or list(ALL), QUICK if given.quick else 1.0, output)
    print("\n".join(report.lines([one for figures in found.values() for one in figures])))
    if output is not None:
        print(f"\nwritten: {output.name}")
    return 0


def measure(names: Sequence[str], share: float, output: Path | None) -> dict[str, Sequence[Figure | Table]]:
    """Run some benchmarks, one after the other, and write down what came out."""
    logger.remove()  # pollers in this process say nothing; those in processes of their own do as ever
    found: dict[str, Sequence[Figure | Table]] = {}
    with taken(share) as place:
        facts = machine.facts(place)
    for name in names:
        print(f"== {name}", file=sys.stderr, flush=True)
        with taken(share) as place:
            found[name] = ALL[name](place)
    if output is not None:
        report.write(output, facts, machine.commit(), found)
    return found


if __name__ == "__main__":
    sys.exit(main())
