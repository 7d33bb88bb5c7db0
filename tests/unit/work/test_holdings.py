"""Does a process notice what it has open?"""

from __future__ import annotations

import os
from pathlib import Path

from stages.engine.work.holdings import Holdings


def counts_descriptors() -> bool:
    """Linux before 6.2 does not: there the answer is that they have changed, whenever it is asked."""
    return os.stat("/proc/self/fd").st_size > 0


def test_a_file_that_stays_open_is_told_once(tmp_path: Path) -> None:
    holdings = Holdings()
    assert holdings.have_changed() != counts_descriptors()
    with open(tmp_path / "x", "w"):
        assert holdings.have_changed()
        assert holdings.have_changed() != counts_descriptors()
    assert holdings.have_changed()


def test_another_file_in_the_place_of_one_is_told(tmp_path: Path) -> None:
    with open(tmp_path / "x", "w") as one, open(tmp_path / "y", "w") as other:
        spare = os.dup(one.fileno())
        holdings = Holdings()
        os.dup2(other.fileno(), spare)
        assert holdings.have_changed()
        os.close(spare)
        assert holdings.have_changed()


def test_it_still_sees_when_somebody_took_the_descriptor_that_it_asks(tmp_path: Path) -> None:
    free = os.open("/dev/null", os.O_RDONLY)
    os.close(free)
    holdings, own = Holdings(), free  # the lowest number that was free
    with open(tmp_path / "x", "w") as one:
        os.dup2(one.fileno(), own)
        assert holdings.have_changed()
        assert holdings.have_changed() != counts_descriptors()
    os.close(own)
    assert holdings.have_changed()


def test_what_was_restored_is_not_asked(tmp_path: Path) -> None:
    with open(tmp_path / "x", "w") as one, open(tmp_path / "y", "w") as other:
        holdings = Holdings(restored=[one.fileno()])
        os.dup2(other.fileno(), one.fileno())
        assert holdings.have_changed() != counts_descriptors()
