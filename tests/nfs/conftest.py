"""A machine for each kind of mount, booted once; where none can be booted, every test here fails and says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nfs.machine import MOUNTS, Machine, Mount
from tests.nfs.packages import NoRigError


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a machine's tests together, on one process of xdist, the storms last."""
    items.sort(key=lambda item: "storm" in item.name)


@pytest.fixture(
    scope="session",
    params=[pytest.param(mount, id=mount.name, marks=pytest.mark.xdist_group(mount.name)) for mount in MOUNTS.values()],
)
def mount(request: pytest.FixtureRequest) -> Mount:
    """Return a kind of mount."""
    found: object = request.param
    assert isinstance(found, Mount)
    return found


@pytest.fixture(scope="session")
def machine(mount: Mount) -> Iterator[Machine]:
    """Return a machine whose clients mount so."""
    try:
        with Machine.booted(mount) as booted:
            yield booted
    except NoRigError as error:
        pytest.fail(f"no NFS here: {error}")
