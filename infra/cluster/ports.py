"""Which TCP ports a cluster takes: as before, else a free row of them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from zlib import crc32

from infra.cluster.errors import ClusterError
from infra.cluster.shape import PORT_MAX, PORT_MIN, PORT_STEP, PORTS


def choose(wanted: int | None, before: int | None, directory: str, is_free: Callable[[int], bool]) -> int:
    """Return the first port of a row that is free: the one asked for, the one it had, else one that follows from DIR.

    Two clusters that are made at the same moment begin to look at different places. Raises ClusterError if the row
    that was asked for is taken.
    """
    if wanted is not None:
        taken = [port for port in range(wanted, wanted + PORTS) if not is_free(port)]
        if taken:
            raise ClusterError(
                f"port {taken[0]} is taken by another program, and the cluster needs {wanted} to {wanted + PORTS - 1}:"
                " choose another --port, or none for a row that is free"
            )
        return wanted
    rows = (PORT_MAX - PORT_MIN) // PORT_STEP
    first = crc32(directory.encode())
    found = (PORT_MIN + (first + step) % rows * PORT_STEP for step in range(rows))
    for base in (*([] if before is None else [before]), *found):
        if all(is_free(port) for port in range(base, base + PORTS)):
            return base
    raise ClusterError(f"no {PORTS} ports in a row are free from {PORT_MIN} to {PORT_MAX}: choose some with --port")


def is_free(port: int) -> bool:
    """Tell whether a port of this machine can be listened on; it may be otherwise a moment later."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("0.0.0.0", port))  # noqa: S104 - as SLURM's daemons do
        except OSError:
            return False
    return True
