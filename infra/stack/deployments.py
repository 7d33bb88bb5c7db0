"""The deployments: what prefect.yaml says, brought to the server by Prefect's own command."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.stack.errors import with_log
from infra.stack.place import DEPLOYMENTS, POOLS, Place, short
from infra.stack.stack import PREFECT, Stack

COMMAND = (*PREFECT, "--no-prompt", "deploy", "--all", "--prefect-file", DEPLOYMENTS)
TRIGGER = "trigger/trigger"
LIMIT_SECONDS = 300.0
LOOK_SECONDS = 0.1


def fingerprint(place: Place, trigger_seconds: float | None) -> str:
    """Return a word that changes with whatever the server is told: deployments, pools, flows and their parameters."""
    found = [place.clone / DEPLOYMENTS, *(place.clone / POOLS).iterdir(), *(place.clone / "flows").glob("*.py")]
    told = hashlib.sha256(repr(trigger_seconds).encode())
    for path in sorted(found):
        told.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return told.hexdigest()[:16]


def are_there(stack: Stack, pools: Sequence[str], trigger_seconds: float | None) -> bool:
    """Tell whether the server was told all that the files say now, and still has those pools and as many deployments.

    What a person changed in the UI since then, a paused schedule or another limit, is left as it is.
    """
    if stack.record.deployed != fingerprint(stack.place, trigger_seconds):
        return False
    api = stack.api
    return all(api.pool_type(pool) for pool in pools) and api.count_deployments() >= stack.record.deployments


def deploy(stack: Stack, trigger_seconds: float | None, waiting: Callable[[], None]) -> int:
    """Deploy all; returns how many deployments the server has. Raises StackError with what the command said."""
    stack.change(deployed="")
    told = fingerprint(stack.place, trigger_seconds)
    _run(stack, stack.place.log("deploy"), waiting)
    if trigger_seconds is not None:
        stack.api.set_interval(TRIGGER, trigger_seconds)
    count = stack.api.count_deployments()
    stack.change(deployed=told, deployments=count, trigger_seconds=trigger_seconds)
    return count


def _run(stack: Stack, log: Path, waiting: Callable[[], None]) -> None:
    with log.open("wb") as output:
        command = subprocess.Popen(
            COMMAND,
            env=stack.environment,
            cwd=stack.place.clone,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    until = time.monotonic() + LIMIT_SECONDS
    try:
        while command.poll() is None:
            if time.monotonic() > until:
                raise with_log(f"`prefect deploy` is not over after {LIMIT_SECONDS:.0f} s", Path(short(log)))
            waiting()
            time.sleep(LOOK_SECONDS)
    finally:
        if command.poll() is None:
            command.kill()
            command.wait()
    if command.returncode:
        raise with_log(f"the deployments of {DEPLOYMENTS} were not accepted", Path(short(log)))
