"""What these tests share: the session's server, a worker of each pool, and lines of stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.end_to_end.prefect.line import Line, template
from tests.end_to_end.prefect.workers import Workers
from tests.flows.conftest import api_url, client, prefect_server

__all__ = ["api_url", "client", "prefect_server"]

MakeLine = Callable[..., Line]


@pytest.fixture(scope="session")
def workers(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Workers for the whole session."""
    top = tmp_path_factory.mktemp("workers")
    with Workers(prefect_server, top, slots_name=f"test-{uuid4().hex[:12]}") as found:
        yield found


@pytest.fixture(scope="session")
def pool(prefect_server: str, workers: Workers) -> str:
    """A pool whose worker lives through the session."""
    name = f"slurm-{uuid4().hex[:6]}"
    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as found:
        make_pool(found, name)
    workers.start(name, f"worker-{name}").wait()
    return name


@pytest.fixture(scope="session")
def control(prefect_server: str, workers: Workers) -> str:
    """A pool for the flows that look after pollers; its worker lives through the session."""
    name = f"control-{uuid4().hex[:6]}"
    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as found:
        make_pool(found, name, "process")
    workers.start(name, f"worker-{name}", kind="process").wait()
    return name


@pytest.fixture
def bare_pool(client: SyncPrefectClient) -> str:
    """A pool without a worker."""
    return make_pool(client, f"slurm-{uuid4().hex[:6]}")


@pytest.fixture
def make_line(client: SyncPrefectClient, tmp_path: Path) -> Iterator[MakeLine]:
    """Make lines of stages, which are judged and ended with the test."""
    lines: list[Line] = []

    def make(pool: str, *works: str, **more: float) -> Line:
        top = tmp_path / f"line-{len(lines)}"
        lines.append(Line(client=client, top=top, pool=pool, works=works, **more))  # pyright: ignore[reportArgumentType]  # numbers by name
        return lines[-1]

    yield make
    for line in lines:
        line.end()


def make_pool(client: SyncPrefectClient, name: str, kind: str = "slurm") -> str:
    """Make a pool as the stack makes it."""
    base = template() if kind == "slurm" else {}
    client.create_work_pool(WorkPoolCreate(name=name, type=kind, base_job_template=base))
    return name
