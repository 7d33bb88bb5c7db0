"""Prints what was explored, how far, and what came of it, as tables for the docs.

python -m tests.simulation [scenarios [NAME] | mutants | schedule SCENARIO "P0*3 S0!crash ..."] [--seconds 60]
"""

from __future__ import annotations

import argparse
import sys

from loguru import logger

from tests.simulation.explorer import Report, explore, replay, wander
from tests.simulation.mutants.table import MUTANTS
from tests.simulation.scenarios import SCENARIOS, named
from tests.simulation.schedule import parse_schedule

SEED = 1
SCHEDULES = 1_000_000_000  # the seconds decide


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("scenarios", "mutants", "schedule"), default="scenarios")
    parser.add_argument("scenario", nargs="?", help="its name; for `scenarios`, a part of it")
    parser.add_argument("schedule", nargs="?", help="as it was printed with a violation")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the processor, for each scenario and way")
    asked = parser.parse_args()
    logger.disable("stages")
    match asked.what:
        case "scenarios":
            return _scenarios(asked.scenario or "", asked.seconds)
        case "mutants":
            return _mutants()
        case _:
            violation = replay(named(asked.scenario).subject(), parse_schedule(asked.schedule))
            print(violation or "nothing is broken")
            return violation is not None


def _scenarios(part: str, seconds: float) -> int:
    print("| scenario | orders | states | schedules | exhausted | violations | CPU s |")
    print("|---|---|---:|---:|---|---:|---:|")
    found = 0
    for scenario in [scenario for scenario in SCENARIOS if part in scenario.name]:
        if scenario.exhaustive:
            found += _row(scenario.name, "all", explore(scenario.subject(), seconds_max=seconds))
        report = wander(scenario.subject(), seed=SEED, schedules=SCHEDULES, seconds_max=seconds)
        found += _row(scenario.name, f"drawn, seed {SEED}", report)
    return found > 0


def _row(name: str, orders: str, report: Report) -> int:
    violations = int(report.violation is not None)
    states = report.states or "-"
    exhausted = "yes" if report.is_exhausted else "no"
    figures = f"{states} | {report.schedules} | {exhausted} | {violations} | {report.seconds:.0f}"
    print(f"| {name} | {orders} | {figures} |", flush=True)
    if report.violation is not None:
        print(report.violation, file=sys.stderr)
    return violations


def _mutants() -> int:
    print("| mutant | rule | scenario | breaks |")
    print("|---|---|---|---|")
    for mutant in MUTANTS:
        print(f"| {mutant.name} | {mutant.rule} | {mutant.scenario.name} | {mutant.breaks} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
