"""How a stack comes up, from nothing, from half a stack, or with nothing to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from infra.stack import choices, deployments, environment, pools
from infra.stack.choices import CONTROL, SERVER, Wanted
from infra.stack.display import Display
from infra.stack.errors import StackError
from infra.stack.place import DEPLOYMENTS, short
from infra.stack.pools import Pool
from infra.stack.ports import occupant
from infra.stack.stack import Stack


def bring_up(stack: Stack, wanted: Wanted, display: Display) -> bool:
    """Start what is missing; returns whether anything was. Raises StackError; what was started by then goes on."""
    stack.refresh()
    all_pools = pools.read(stack.place.clone)
    names = [pool.name for pool in all_pools]
    alive = stack.alive()
    choices.check(stack.record, wanted, alive, socket.gethostname())
    port = _port(stack, wanted, alive, display)
    plan = choices.plan(stack.record, names, alive, port)
    stack.end(plan.end)
    stack.change(host=socket.gethostname(), root=wanted.root, stages=wanted.stages)
    _open_root(stack, wanted, display)
    _server(stack, port, plan.start, display)
    missing = [pool for pool in all_pools if pool.name in plan.start]
    is_told = deployments.are_there(stack, names, wanted.trigger_seconds)
    if not is_told:
        display.begin("work pools", "creating")
        pools.bring(stack.api, all_pools)
        display.done("work pools", ", ".join(names))
    begun = time.time()
    for pool in missing:
        _start_worker(stack, pool)
    if not is_told:
        display.begin("deployments", f"bringing {DEPLOYMENTS} to the server")
        count = deployments.deploy(stack, wanted.trigger_seconds, display.tick)
        display.done("deployments", f"{count} of {DEPLOYMENTS}")
    _workers(stack, missing, begun, display)
    return bool(plan.start) or not is_told


def _port(stack: Stack, wanted: Wanted, alive: Sequence[str], display: Display) -> int:
    if SERVER in alive:
        return stack.port
    choice = choices.choose_port(wanted.port, stack.record.port, occupant)
    for remark in choice.remarks:
        display.say(remark)
    return choice.port


def _open_root(stack: Stack, wanted: Wanted, display: Display) -> None:
    """Make the root's directories where some are missing."""
    seen = environment.environment(
        os.environ, stack.place, port=0, root=Path(wanted.root), stages=Path(wanted.stages) if wanted.stages else None
    )
    done = subprocess.run(
        [sys.executable, "-m", "stages.engine", "init"], env=seen, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(done.stderr.strip().removeprefix("phaseline: "))
    if "nothing was missing" not in done.stdout:
        display.done("data root", short(Path(wanted.root)))


def _server(stack: Stack, port: int, missing: Sequence[str], display: Display) -> None:
    is_new = SERVER in missing
    display.begin("server", "starting" if is_new else "runs, asked for an answer")
    if is_new:
        stack.start_server(port)
    stack.wait_for_server()
    if is_new:
        display.done("server", f"started, {environment.ui(port)}")


def _start_worker(stack: Stack, pool: Pool) -> None:
    """Start a worker; for `control`, tidy up what the time without one has left.

    What was planned for then would come late, all at once. Runs that ended with the worker before would stand as
    running for ever: runs of other pools are jobs, which their next worker takes up.
    """
    if pool.name == CONTROL:
        stack.api.forget_planned(CONTROL)
        lost = stack.api.unfinished([CONTROL], ("PENDING", "RUNNING", "CANCELLING"))
    else:
        lost = []
    stack.start_worker(pool)
    for run in lost:
        stack.api.set_state(run.id, "CRASHED", "The worker that carried it out has ended.")


def _workers(stack: Stack, missing: Sequence[Pool], since: float, display: Display) -> None:
    if not missing:
        return
    names = ", ".join(pool.name for pool in missing)
    display.begin("workers", f"starting {names}")
    for pool in missing:
        stack.wait_for_worker(pool.name, since)
    display.done("workers", f"started: {names}")
