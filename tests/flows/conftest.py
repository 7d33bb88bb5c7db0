"""What the tests of the flows share: one server for the session, and this process talking to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.flows.server import shared

DRAIN_SECONDS = 10


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """Give the address of the session's server; tests share it, so each uses names of its own."""
    base = tmp_path_factory.getbasetemp()
    with shared((base if worker_id == "master" else base.parent) / "prefect-server") as url:
        yield url
        for queue in (APILogWorker, EventsWorker):  # else they go on trying to reach it when it is gone
            queue.drain_all(timeout=DRAIN_SECONDS)


@pytest.fixture
def api_url(prefect_server: str) -> Iterator[str]:
    """Let flows and clients in this process talk to the session's server; its address, for other processes."""
    with temporary_settings({PREFECT_API_URL: prefect_server}):
        yield prefect_server


@pytest.fixture
def client(api_url: str) -> Iterator[SyncPrefectClient]:
    """A client of the session's server."""
    with get_client(sync_client=True) as found:
        yield found
