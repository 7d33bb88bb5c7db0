"""What follows from how long a heartbeat has not moved, and what a one-shot sweeper remembers."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.engine import sightings
from stages.engine.sightings import BackingOff, Freshness, Lease, Sighting, Sightings
from tests.fakes import EventfulFs

LEASE = Lease(heartbeat_seconds=30.0, expires_seconds=180.0)
NAME = "ds1.1.ab9c6d45"
TIMES = st.floats(0, 5000)
SEEN = st.builds(
    Sightings,
    attempts=st.dictionaries(
        st.text(), st.builds(Sighting, st.none() | st.integers(0), TIMES, st.none() | TIMES), max_size=3
    ),
    backing_off=st.dictionaries(
        st.text(), st.builds(BackingOff, st.integers(1), st.integers(0), st.booleans()), max_size=3
    ),
    troubles=st.dictionaries(st.text(), st.text(), max_size=3),
    reported=st.dictionaries(st.text(), st.lists(st.text(), max_size=3), max_size=3),
    last_full=st.none() | TIMES,
    last_bell=st.none() | TIMES,
)


@pytest.mark.parametrize("beat", [None, 17])
def test_stale_needs_a_lease_of_silence_and_a_second_look(beat: int | None) -> None:
    """Also of an owner that never made its private place (None)."""
    seen = Sightings()
    looks = [(0.0, "fresh"), (180.0, "fresh"), (181.0, "suspect"), (225.9, "suspect"), (226.0, "stale")]
    assert [(now, str(seen.judge(NAME, beat, now, LEASE))) for now, _ in looks] == looks


def test_the_second_look_is_later_however_long_nobody_looked() -> None:
    """While a server is down nobody can beat: a sweeper that was away decides nothing at once."""
    seen = Sightings()
    seen.judge(NAME, 17, 0.0, LEASE)
    assert seen.judge(NAME, 17, 90_000.0, LEASE) is Freshness.SUSPECT
    assert seen.judge(NAME, 17, 90_044.0, LEASE) is Freshness.SUSPECT
    assert seen.judge(NAME, 17, 90_045.0, LEASE) is Freshness.STALE


@pytest.mark.parametrize("beat", [None, 16, 18])
def test_any_change_is_a_sign_of_life(beat: int | None) -> None:
    """Forwards or backwards: clocks of different hosts are never compared."""
    seen = Sightings()
    seen.judge(NAME, 17, 0.0, LEASE)
    assert seen.judge(NAME, 17, 200.0, LEASE) is Freshness.SUSPECT
    assert seen.judge(NAME, beat, 240.0, LEASE) is Freshness.FRESH
    assert seen.judge(NAME, beat, 420.0, LEASE) is Freshness.FRESH
    assert seen.judge(NAME, beat, 421.0, LEASE) is Freshness.SUSPECT


def test_only_attempts_that_are_still_open_are_remembered() -> None:
    seen = Sightings()
    for name in ("a.1.x", "b.1.x"):
        seen.judge(name, 1, 0.0, LEASE)
    seen.keep({"b.1.x", "c.1.x"})
    assert list(seen.attempts) == ["b.1.x"]


@given(SEEN)
def test_what_was_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, seen: Sightings) -> None:
    fs, path = EventfulFs(), str(tmp_path_factory.getbasetemp() / "sightings.json")
    sightings.save(seen, fs, path, boot_id="boot", now=5000.0)
    assert sightings.load(fs, path, boot_id="boot", now=5000.0) == seen


def test_it_is_replaced_whole(tmp_path: Path) -> None:
    path = str(tmp_path / "sightings.json")
    for _ in range(2):
        sightings.save(Sightings(last_full=1.0), EventfulFs(), path, boot_id="boot", now=2.0)
    assert [entry.name for entry in tmp_path.iterdir()] == ["sightings.json"]


@pytest.mark.parametrize(("boot_id", "now"), [("another boot", 3000.0), ("boot", 1999.0)])
def test_another_boots_or_the_futures_mean_never_seen(tmp_path: Path, boot_id: str, now: float) -> None:
    path, seen = str(tmp_path / "sightings.json"), Sightings(attempts={NAME: Sighting(1, 1000.0)})
    sightings.save(seen, EventfulFs(), path, boot_id="boot", now=2000.0)
    assert sightings.load(EventfulFs(), path, boot_id=boot_id, now=now) == Sightings()


GOOD = {
    "version": 1,
    "boot_id": "boot",
    "written": 10.0,
    "last_full": None,
    "last_bell": 1.0,
    "attempts": {NAME: [17, 5.0, None]},
    "backing_off": {"ds2": [1, 99, False]},
    "troubles": {"ds3": "blocked"},
}


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"attempts": {NAME: [17, 2001.0, None]}},
        {"attempts": {NAME: [17, 5.0, 2001.0]}},
        {"attempts": {NAME: [17, "x", None]}},
        {"attempts": {NAME: 17}},
        {"attempts": {NAME: [1, 2, 3, 4]}},
        {"attempts": []},
        {"backing_off": {"ds2": [1]}},
        {"troubles": 7},
        {"reported": 7},
        {"reported": {"quarantined": 7}},
        {"last_full": 2001.0},
        {"last_bell": "x"},
    ],
    ids=str,
)
def test_garbage_means_never_seen(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "sightings.json"
    path.write_text(json.dumps(GOOD))
    assert sightings.load(EventfulFs(), str(path), boot_id="boot", now=2000.0).troubles == {"ds3": "blocked"}
    path.write_text(json.dumps({**GOOD, **change}))
    assert sightings.load(EventfulFs(), str(path), boot_id="boot", now=2000.0) == Sightings()


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"\xff\xfe", b"null", b'{"version": 1}'])
def test_what_cannot_be_read_means_never_seen(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sightings.json"
    assert sightings.load(EventfulFs(), str(path), boot_id="boot", now=1.0) == Sightings()
    path.write_bytes(content)
    assert sightings.load(EventfulFs(), str(path), boot_id="boot", now=1.0) == Sightings()


def test_a_failing_storage_means_never_seen(tmp_path: Path) -> None:
    fs = EventfulFs()
    fs.fail("read", "sightings", errno.EIO)
    assert sightings.load(fs, str(tmp_path / "sightings.json"), boot_id="boot", now=1.0) == Sightings()
