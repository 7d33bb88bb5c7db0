"""Who listens on a port of this machine."""

from __future__ import annotations

import socket

from infra.stack import environment
from infra.stack.api import Api
from infra.stack.choices import Occupant


def occupant(port: int) -> Occupant:
    """Tell who has a port of 127.0.0.1; it may be another a moment later."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: TIME_WAIT is nobody
        try:
            listener.bind((environment.HOST, port))
        except OSError:
            return Occupant.PREFECT if Api(port).is_healthy() else Occupant.OTHER
    return Occupant.NOBODY
