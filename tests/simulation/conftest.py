"""What all simulations share: the engine's log events are not wanted, there are millions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loguru import logger


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - pytest uses it
    logger.disable("stages")
    yield
    logger.enable("stages")
