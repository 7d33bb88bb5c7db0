"""Is what attempts leave in `_work` removed once a register says why, and never before?"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from stages.engine.finding import Action
from stages.engine.garbage import TRASH_SECONDS, by_dataset
from stages.engine.sightings import Sightings
from stages.engine.store import Claim
from tests.fakes import START, EventfulFs, FakeWork, Yard


def sweep(yard: Yard) -> list[tuple[str, Action]]:
    return [(finding.dataset, finding.action) for finding in yard.sweeper().sweep().findings]


def fenced(yard: Yard) -> Claim:
    """A claim that was taken over, and what its owner left when it died."""
    path = yard.add("ds1")
    claim = yard.claim("ds1")
    yard.fs.close(claim.handle)
    os.symlink("retry:-:0:1:0:lost", path / "ended.first.1")
    Path(claim.private, "out", "half.txt").write_text("x")
    return claim


def age(place: Path, seconds: float) -> None:
    os.utime(place, (START - seconds, START - seconds))


def test_a_fenced_attempts_place_is_removed(yard: Yard) -> None:
    claim = fenced(yard)
    assert sweep(yard) == [("ds1", Action.CLEANED)]
    assert not Path(claim.private).exists()
    assert sweep(yard) == []


def test_an_attempt_in_flight_is_left_alone(yard: Yard) -> None:
    yard.add("ds1")
    claim = yard.claim("ds1")
    yard.fs.close(claim.handle)
    assert sweep(yard) == []
    assert Path(claim.private, "out").is_dir()


class Blind(EventfulFs):
    """A listing that never shows a claim, which fell into its tick, until the directory is touched."""

    def __init__(self) -> None:
        super().__init__()
        self._rung = 0

    def listdir(self, place: str | int) -> list[str]:
        found = super().listdir(place)
        return found if self._rung or isinstance(place, str) else [name for name in found if "taken." not in name]

    def touch(self, place: str | int) -> None:
        self._rung += isinstance(place, int)
        super().touch(place)


def test_a_claim_that_a_listing_hides_is_seen_by_the_next_sweep(tmp_path: Path) -> None:
    yard = Yard(top=tmp_path, fs=Blind())
    yard.add("ds1")
    yard.fs.close(yard.claim("ds1").handle)
    sightings = Sightings()
    yard.sweeper(sightings).sweep()
    assert sightings.attempts.keys() == set()
    yard.sweeper(sightings).sweep()
    assert [name.rpartition(".")[0] for name in sightings.attempts] == ["ds1.1"]


def test_a_claim_that_is_seen_rings_no_bell(yard: Yard) -> None:
    path = yard.add("ds1")
    yard.fs.close(yard.claim("ds1").handle)
    os.utime(path, (START, START))
    sweep(yard)
    assert path.stat().st_mtime == START


@pytest.mark.parametrize("place", ["_failed", "_done"])
def test_it_is_explained_wherever_its_dataset_went(yard: Yard, place: str) -> None:
    claim = fenced(yard)
    if place == "_done":
        yard.poller(FakeWork()).poll()
        assert len(list(yard.a.glob("_done/ds1~*"))) == 1
    else:
        os.symlink("01234567:node9:1:-", yard.a / "ds1" / "taken.first.2")
        os.symlink("quarantine:-:3:0:0:boom", yard.a / "ds1" / "ended.first.2")
        (yard.a / "ds1").rename(yard.a / "_failed" / "ds1")
    assert Path(claim.private).exists()
    assert sweep(yard) == [("ds1", Action.CLEANED)]
    assert not Path(claim.private).exists()


def test_a_publication_is_finished_from_the_archive_too(yard: Yard) -> None:
    """Died between archive and clean-up."""
    yard.add("ds1")
    yard.fs.fail("unlink", "attempt.json", errno.EIO)
    yard.fs.fail("rmdir", "_work/", errno.EIO)
    yard.poller(FakeWork()).poll()
    yard.fs.calm()
    assert len(os.listdir(yard.a / "_work")) == 1
    assert sweep(yard) == [("ds1", Action.PUBLISHED)]
    assert os.listdir(yard.a / "_work") == []
    assert yard.names("B") == ["ds1"]


def test_nothing_below_a_committed_attempt_is_removed_recursively(yard: Yard) -> None:
    yard.add("ds1")
    claim = yard.claim("ds1")
    yard.fs.close(claim.handle)
    Path(claim.private, "out", "result.txt").write_text("x")
    os.symlink(f"publish:{claim.attempt.token}:0:0:0:ok", yard.a / "ds1" / "ended.first.1")
    (yard.b / "ds1").write_text("in the way")
    assert sweep(yard) == [("ds1", Action.BLOCKED)]
    (yard.a / "ds1").rename(yard.a / "_done" / claim.attempt.archived)  # by hand, and wrong
    assert sweep(yard) == []
    assert Path(claim.private, "out", "result.txt").exists()


def test_another_dataset_of_that_name_explains_nothing(yard: Yard) -> None:
    claim = fenced(yard)
    shutil.rmtree(yard.a / "ds1")
    yard.add("ds1")
    assert sweep(yard) == [("ds1.1." + claim.attempt.token, Action.UNKNOWN_ATTEMPT)]
    assert Path(claim.private, "out", "half.txt").exists()


@pytest.mark.parametrize("name", ["stray", "ds9.1.0123abcd", "ds9.x.0123abcd"])
def test_what_nobody_knows_is_shown_then_put_aside_if_it_has_no_output(yard: Yard, name: str) -> None:
    place = yard.a / "_work" / name
    place.mkdir()
    age(place, 60)
    assert sweep(yard) == [(name, Action.UNKNOWN_ATTEMPT)]
    age(place, TRASH_SECONDS + 1)
    assert sweep(yard) == [(name, Action.CLEANED)]
    assert (yard.a / "_trash" / name).is_dir()
    assert sweep(yard) == []


def test_only_a_person_parts_with_an_output(yard: Yard) -> None:
    place = yard.a / "_work" / "ds9.1.0123abcd"
    (place / "out").mkdir(parents=True)
    age(place, 10 * TRASH_SECONDS)
    for _ in range(2):
        assert sweep(yard) == [("ds9.1.0123abcd", Action.UNKNOWN_ATTEMPT)]
    assert (place / "out").is_dir()


def test_probes_are_nobodys_attempt(yard: Yard) -> None:
    (yard.a / "_work" / ".probe.0123abcd").mkdir()
    assert sweep(yard) == []


def test_a_file_among_the_attempts_is_shown(yard: Yard) -> None:
    (yard.a / "_work" / "note.txt").write_text("x")
    [finding] = yard.sweeper().sweep().findings
    assert (finding.action, finding.why) == (
        Action.UNKNOWN_ATTEMPT,
        "its name is no attempt's (Not a directory)",
    )


def test_the_archive_is_listed_only_for_what_nothing_else_explains(yard: Yard) -> None:
    fenced(yard)
    yard.fs.fail("listdir", "_done", errno.EIO)
    assert sweep(yard) == [("ds1", Action.CLEANED)]


def test_a_partial_pass_does_not_list_the_archive(yard: Yard) -> None:
    claim = fenced(yard)
    yard.poller(FakeWork()).poll()
    yard.fs.fail("listdir", "_done", errno.EIO)
    assert yard.sweeper().sweep(full=False).findings == ()
    assert Path(claim.private).exists()


def test_names_in_the_archive_by_dataset() -> None:
    found = ["a~1", "a~2", "b~1~pruned", "stray", "_x~1", "a+g2~3"]
    assert by_dataset(found) == {"a": ["a~1", "a~2"], "a+g2": ["a+g2~3"], "b": ["b~1~pruned"]}
