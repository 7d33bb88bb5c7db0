"""Starts what is missing of a Prefect server, the work pools, the deployments and a worker for each pool.

All of it is on this machine and answers to this machine only. Whatever it writes is in .phaseline of the clone and in
the data root. It outlives the terminal; a second `up` starts what has ended since. A log that is longer than 10 MB is
put aside as .log.1 when its process is started the next time; nothing bounds it before.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from importlib.util import find_spec
from pathlib import Path

from infra.stack import environment, place
from infra.stack.choices import Wanted
from infra.stack.display import Display
from infra.stack.errors import StackError
from infra.stack.lock import locked
from infra.stack.place import short
from infra.stack.rise import bring_up
from infra.stack.stack import Stack

if find_spec("prefect") is None:  # `phaseline` says which extra brings it; importing it takes a second
    raise ModuleNotFoundError("No module named 'prefect'", name="prefect")

HELP = "start Prefect here: server, work pools, deployments, workers"
DEFAULT_ROOT = "demo-root"
FAILED = 1
USUAL_PORTS = range(1, 65536)


def add_arguments(parser: ArgumentParser) -> None:
    """[--port N] [--trigger-seconds S]."""
    parser.add_argument("--port", type=int, metavar="N", help="the server's port (default: as before, else 4200)")
    parser.add_argument(
        "--trigger-seconds", type=float, metavar="S", help="look for work this often (default: as prefect.yaml says)"
    )


def run(arguments: Namespace) -> int:
    """Bring the stack up; the last lines say where it is and how it ends."""
    display = Display()
    try:
        here = place.find()
        with locked(here, display.say):
            stack = Stack(here, waiting=display.tick)
            is_new = bring_up(stack, wanted(arguments, stack), display)
    except StackError as error:
        display.clear()
        print(f"phaseline up: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        display.clear()
        print("phaseline up: interrupted; `phaseline up` goes on, `phaseline down` ends it", file=sys.stderr)
        return 130
    display.clear()
    _conclude(stack, is_new=is_new)
    return 0


def wanted(arguments: Namespace, before: Stack) -> Wanted:
    """Return what was typed. Not typed: the root is PHASELINE_ROOT, the one before, or ./demo-root.

    The trigger's interval stays as it is while anything of the stack lives, else it is what prefect.yaml says.
    """
    port: int | None = arguments.port
    if port is not None and port not in USUAL_PORTS:
        raise StackError(f"--port {port} is none: it is from 1 to 65535")
    every: float | None = arguments.trigger_seconds
    if every is not None and every < 1:
        raise StackError(f"--trigger-seconds {every:g}: every second at most")
    root = arguments.root or os.environ.get("PHASELINE_ROOT") or before.record.root or DEFAULT_ROOT
    stages = arguments.stages or os.environ.get("PHASELINE_STAGES")
    return Wanted(
        root=str(Path(root).expanduser().absolute()),
        stages=str(Path(stages).expanduser().absolute()) if stages else None,
        port=port,
        trigger_seconds=every or (before.record.trigger_seconds if before.alive() else None),
    )


def _conclude(stack: Stack, *, is_new: bool) -> None:
    root = short(Path(stack.record.root or ""))
    workers = len(stack.record.processes) - 1
    said = "up" if is_new else f"up already, nothing to do: a server and {workers} workers"
    print(f"phaseline is {said}; root {root}")
    print()
    print(f"  UI           {environment.ui(stack.port)}")
    print(f"  prefect CLI  {environment.exports(stack.place, stack.port, os.environ)}")
    print(f"  logs         {short(stack.place.logs)}")
    print(f"  follow       phaseline status --watch --root {root}")
    print("  end          phaseline down")
