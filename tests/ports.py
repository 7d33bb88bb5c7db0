"""A port for a server of a test."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port of this machine that nobody had a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
