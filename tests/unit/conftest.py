"""What the unit tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import Yard
from tests.unit.chain import Chain


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A root with one stage that reads A and writes B."""
    return Yard(top=tmp_path)


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """A root with two stages, one after the other."""
    return Chain(tmp_path)
