"""Who has a port."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from infra.stack.choices import Occupant
from infra.stack.ports import occupant


@contextmanager
def a_web_server(answer: bytes) -> Generator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer if self.path == "/api/health" else b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_port_nobody_listens_on_is_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert occupant(port) is Occupant.NOBODY


@pytest.mark.parametrize(
    ("answer", "who"), [(b"true", Occupant.PREFECT), (b"<html>", Occupant.OTHER), (b"", Occupant.OTHER)]
)
def test_whoever_answers_as_prefect_does_is_taken_for_it(answer: bytes, who: Occupant) -> None:
    with a_web_server(answer) as port:
        assert occupant(port) is who


def test_a_program_that_says_nothing_is_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.stack.api.HEALTH_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert occupant(listener.getsockname()[1]) is Occupant.OTHER
