"""What jobs of a private cluster leave running when its daemons are gone: found by their environment, and killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from infra.cluster.place import Place


def leftovers(place: Place) -> Iterator[int]:
    """Yield the processes of jobs of this cluster; SLURM names itself in the environment of each."""
    sign = b"SLURM_CONF=" + os.fsencode(place.configuration)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or another user's
            found = (process / "environ").read_bytes().split(b"\0")
            if sign in found and any(one.startswith(b"SLURM_JOB_ID=") for one in found):
                yield int(process.name)


def end_leftovers(place: Place) -> int:
    """Kill them; returns how many there were."""
    found = list(leftovers(place))
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(found)
