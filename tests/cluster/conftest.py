"""What the tests on a private cluster share: a cluster for the session, clusters and sites of one's own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.cluster.cluster import Cluster
from tests.cluster.clusters import IMPATIENT, a_cluster
from tests.cluster.site import Site
from tests.end_to_end.prefect.conftest import api_url, client, prefect_server, workers
from tests.end_to_end.prefect.ground import Ground

__all__ = ["api_url", "client", "prefect_server", "workers"]

MakeSite = Callable[..., Site]
FIRST = ("test_the_time_limit", "test_jobs_begin_and_end_without_prefect")  # the longest: beside all others


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; the others stay in their (random) order."""
    items.sort(key=lambda item: not item.name.startswith(FIRST))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that lives through the session: for tests that leave its daemons and nodes as they are."""
    with a_cluster() as found:
        yield found


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A cluster that a test may do anything to."""
    with a_cluster() as found:
        yield found


@pytest.fixture
def impatient_cluster() -> Iterator[Cluster]:
    """A cluster that takes a node for dead after ten seconds without a word."""
    with a_cluster(IMPATIENT) as found:
        yield found


@pytest.fixture
def make_site(tmp_path: Path) -> Generator[MakeSite]:
    """Make sites: a root with stages, and a worker whose jobs a cluster carries. They are ended with the test."""
    with ExitStack() as stack:
        made: list[Site] = []

        def make(cluster: Cluster, *works: str, name: str = "site", **more: float) -> Site:
            ground = Ground(top=tmp_path / f"{name}-{len(made)}", works=works or ("carry",), **more)  # pyright: ignore[reportArgumentType]  # numbers by name
            made.append(stack.enter_context(Site(cluster=cluster, ground=ground)))
            return made[-1]

        yield make
