"""Ends exactly the server and the workers that `phaseline up` started here, workers first.

Pollers are jobs of their own: they go on, and publish what they hold, unless --pollers asks them to let go and end.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from infra.stack import place
from infra.stack.display import Display
from infra.stack.errors import StackError
from infra.stack.fall import Fallen, bring_down
from infra.stack.lock import locked
from infra.stack.place import short
from infra.stack.stack import Stack

HELP = "end what `phaseline up` started"
FAILED = 1
MEGABYTE = 1e6


def add_arguments(parser: ArgumentParser) -> None:
    """[--pollers]."""
    parser.add_argument(
        "--pollers", action="store_true", help="end the pollers too: they finish or release what they hold"
    )


def run(arguments: Namespace) -> int:
    """Take the stack down; the last lines say what is left."""
    display = Display()
    try:
        here = place.find()
        with locked(here, display.say):
            stack = Stack(here, waiting=display.tick)
            fallen = bring_down(stack, display, with_pollers=arguments.pollers)
    except StackError as error:
        display.clear()
        print(f"phaseline down: {error}", file=sys.stderr)
        return FAILED
    _conclude(stack, fallen)
    return 0


def _conclude(stack: Stack, fallen: Fallen) -> None:
    if fallen.killed:
        print(f"killed, as they did not end when asked: {', '.join(fallen.killed)}")
    if fallen.pollers:
        print(
            f"{_count(fallen.pollers, 'poller')} left, by themselves until idle: `phaseline down --pollers` ends them"
        )
    if not fallen.ended:
        print("nothing was running")
        return
    database = stack.place.database
    size = f" ({database.stat().st_size / MEGABYTE:.0f} MB)" if database.exists() else ""
    print(f"left: what Prefect remembers, {short(database)}{size}; logs, {short(stack.place.logs)}")
    if stack.record.root:
        print(f"left: the data root, {short(Path(stack.record.root))}")
    print("all of it again: phaseline up")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
