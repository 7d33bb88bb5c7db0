"""One pass over a stage: what is opened, what is left out, what is said."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from stages.engine import sweeper as module
from stages.engine.errors import StorageError
from stages.engine.finding import Action
from stages.engine.policy import Cause
from stages.engine.sightings import Sightings
from stages.engine.store import Claim
from stages.engine.sweeper import BELL_SECONDS, FULL_PASS_SECONDS, Place, Report, Target
from tests.fakes import FakeWork, Yard, fail


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> int:
    """Above this number of waiting datasets, not all are opened."""
    monkeypatch.setattr(module, "MANY", 20)
    return 20


def fill(yard: Yard, count: int) -> None:
    for number in range(count):
        (yard.a / f"waiting{number:03}").mkdir()


def in_flight(yard: Yard, name: str) -> Claim:
    yard.add(name)
    claim = yard.claim(name)
    yard.fs.close(claim.handle)
    return claim


def test_an_empty_stage(yard: Yard) -> None:
    report = yard.sweeper().sweep()
    assert (report.stage, report.full, report.opened, report.findings) == ("first", True, 0, ())
    assert not report.damaged


def test_few_datasets_are_all_opened(yard: Yard) -> None:
    fill(yard, 20)
    seen = Sightings()
    for _ in range(2):
        report = yard.sweeper(seen).sweep()
        assert (report.full, report.opened) == (True, 20)


def test_of_many_only_those_that_can_need_it(yard: Yard, many: int) -> None:
    fill(yard, many + 1)
    in_flight(yard, "ds-in-flight")
    yard.table = {"retry": {"attempts_max": 1}}
    yard.add("ds-failed")
    yard.fs.close(yard.claim("ds-failed").handle)
    os.symlink("quarantine:-:1:0:0:boom", yard.a / "ds-failed" / "ended.first.1")
    seen = Sightings()
    first = yard.sweeper(seen).sweep()
    assert (first.full, first.opened) == (True, many + 1 + 2 + 2)
    second = yard.sweeper(seen).sweep()
    assert (second.full, second.opened) == (False, 3)  # in flight: dataset and place; quarantined
    yard.clock.advance(FULL_PASS_SECONDS)
    assert yard.sweeper(seen).sweep().full
    assert not yard.sweeper(seen).sweep().full
    assert yard.sweeper(seen).sweep(full=True).full
    assert not yard.sweeper().sweep(full=False).full


def test_a_partial_pass_keeps_an_eye_on_what_it_knows(yard: Yard, many: int) -> None:
    """Backing off, blocked, or claimed by somebody who died before making a private place."""
    fill(yard, many + 1)
    yard.table, seen = {"retry": {"backoff_seconds": [1000]}}, Sightings()
    path = yard.add("ds-backing-off")
    claim = yard.claim("ds-backing-off")
    yard.store().end(claim, Cause.FAILED, "boom")
    yard.fs.close(claim.handle)
    yard.add("ds-claimed")
    os.symlink("01234567:node9:1:-", yard.a / "ds-claimed" / "taken.first.1")
    blocked = in_flight(yard, "ds-blocked")
    os.symlink(f"publish:{blocked.attempt.token}:0:0:0:ok", yard.a / "ds-blocked" / "ended.first.1")
    (yard.b / "ds-blocked").write_text("in the way")
    assert yard.sweeper(seen).sweep().full
    (path / "retry.first").touch()
    (yard.b / "ds-blocked").unlink()
    yard.clock.advance(181)
    findings = yard.sweeper(seen).sweep().findings
    assert {finding.dataset: finding.action for finding in findings} == {
        "ds-backing-off": Action.GRANTED,
        "ds-claimed": Action.SUSPECTED,
        "ds-blocked": Action.PUBLISHED,
    }
    yard.clock.advance(46)
    report = yard.sweeper(seen).sweep()
    assert not report.full
    assert {finding.dataset: finding.action for finding in report.findings} == {"ds-claimed": Action.REQUEUED}


def test_what_is_the_engines_is_never_opened_as_a_dataset(yard: Yard) -> None:
    for name in ("_names", ".hidden", "a~b"):
        (yard.a / name).mkdir()
    assert yard.sweeper().survey().targets == ()


def test_a_survey_opens_nothing_and_targets_can_be_spread(yard: Yard) -> None:
    claim = in_flight(yard, "ds1")
    os.symlink(f"publish:{claim.attempt.token}:0:0:0:ok", yard.a / "ds1" / "ended.first.1")
    (yard.a / "_failed" / "ds2").mkdir()
    yard.fs.fail("opendir", "", errno.EIO)
    survey = yard.sweeper().survey()
    yard.fs.calm()
    assert survey.targets == (
        Target(Place.WAITING, "ds1"),
        Target(Place.FAILED, "ds2"),
        Target(Place.WORK, claim.attempt.directory),
    )
    for target in reversed(survey.targets):
        yard.sweeper().mend([target], full=survey.full)
    assert (yard.names("A"), yard.names("B"), os.listdir(yard.a / "_work")) == (["ds2"], ["ds1"], [])


@pytest.mark.parametrize(
    ("trouble", "action", "is_damage"),
    [
        ("file", Action.NOT_A_DATASET, True),
        ("link", Action.NOT_A_DATASET, True),
        ("name", Action.NOT_A_DATASET, True),
        ("damaged", Action.DAMAGED, True),
        ("no permission", Action.NO_PERMISSION, False),
        ("storage", Action.STORAGE, False),
    ],
)
def test_one_bad_dataset_does_not_stop_the_others(yard: Yard, trouble: str, action: Action, is_damage: bool) -> None:
    path = yard.a / "bad"
    if trouble == "file":
        path.write_text("x")
    elif trouble == "name":
        path = yard.add("bad\nname")
    elif trouble == "link":
        path.symlink_to(yard.top)
    else:
        yard.add("bad")
    if trouble == "damaged":
        (path / "taken.first.1").touch()
    if trouble in {"no permission", "storage"}:
        yard.fs.fail("opendir", "/bad", errno.EACCES if trouble == "no permission" else errno.EIO)
    claim = in_flight(yard, "good")
    os.symlink(f"publish:{claim.attempt.token}:0:0:0:ok", yard.a / "good" / "ended.first.1")
    seen = Sightings()
    report = yard.sweeper(seen).sweep()
    assert [(finding.dataset, finding.action) for finding in report.findings] == [
        (path.name, action),
        ("good", Action.PUBLISHED),
    ]
    assert report.findings[0].where == str(path)
    assert report.damaged is is_damage
    assert seen.troubles == {path.name: action}


def test_a_trouble_that_is_over_is_forgotten(yard: Yard) -> None:
    yard.add("ds1")
    seen = Sightings()
    yard.fs.fail("opendir", "/ds1", errno.EACCES, times=1)
    yard.sweeper(seen).sweep()
    yard.sweeper(seen).sweep()
    assert seen.troubles == {}


@pytest.mark.parametrize("place", ["A", "A/_work", "A/_failed"])
def test_a_location_that_cannot_be_listed_is_said(yard: Yard, place: str) -> None:
    yard.fs.fail("listdir", str(yard.top / "root" / place), errno.EIO)
    with pytest.raises(StorageError):
        yard.sweeper().sweep()


def test_the_bell_rings_every_minute_and_seldom_where_many_wait(yard: Yard, many: int) -> None:
    seen = Sightings()

    def rung() -> bool:
        for place in (yard.a, yard.a / "_work"):
            os.utime(place, (1, 1))
        yard.sweeper(seen).sweep()
        times = {place.stat().st_mtime > 1 for place in (yard.a, yard.a / "_work")}
        assert len(times) == 1
        return times.pop()

    assert [rung(), rung()] == [True, False]
    yard.clock.advance(BELL_SECONDS)
    assert [rung(), rung()] == [True, False]
    fill(yard, many + 1)
    yard.clock.advance(BELL_SECONDS)
    assert not rung()
    yard.clock.advance(10 * BELL_SECONDS)
    assert rung()


def test_no_permission_for_the_bell_is_no_reason_to_stop(yard: Yard) -> None:
    yard.fs.fail("touch", str(yard.a), errno.EPERM)
    in_flight(yard, "ds1")
    (yard.a / "ds1" / "retry.first").touch()
    assert [finding.action for finding in yard.sweeper().sweep().findings] == [Action.GRANTED]


def test_sightings_of_attempts_that_are_over_are_forgotten(yard: Yard) -> None:
    claim = in_flight(yard, "ds1")
    seen = Sightings()
    yard.sweeper(seen).sweep()
    assert list(seen.attempts) == [claim.attempt.directory]
    os.symlink("retry:-:0:0:0:x", yard.a / "ds1" / "ended.first.1")
    yard.sweeper(seen).sweep()
    assert seen.attempts == {}


def test_two_sweepers_at_once_do_no_more_than_one(yard: Yard) -> None:
    yard.table = {"retry": {"attempts_max": 1}}
    yard.add("ds1")
    yard.poller(FakeWork(fail())).poll()
    path = yard.a / "_failed" / "ds1"
    (path / "retry.first").touch()
    others: list[Report] = []
    yard.fs.before("rename_at", "retry.first", lambda: others.append(yard.sweeper().sweep()))
    report = yard.sweeper().sweep()
    assert [finding.action for finding in others[0].findings] == [Action.GRANTED]
    assert yard.names("A") == ["ds1"]
    assert sorted(name for name in os.listdir(yard.a / "ds1") if name.startswith("taken")) == [
        "taken.first.1",
        "taken.first.2",
    ]
    assert report.findings == ()


def test_a_dataset_that_moves_meanwhile_is_seen_next_time(yard: Yard) -> None:
    path = yard.add("ds1")
    yard.fs.before("opendir", str(path), lambda: os.rename(path, yard.top / "away"))
    assert yard.sweeper().sweep().findings == ()


def test_it_says_what_stands_in_quarantine_afterwards(yard: Yard) -> None:
    """Whoever put it there; not what this pass brought back, and nothing that only stood in the wrong place."""
    yard.table = {"retry": {"attempts_max": 1}}
    for name in ("by-its-poller", "asked-for"):
        yard.add(name)
    yard.poller(FakeWork(fail())).poll()
    (yard.a / "_failed" / "asked-for" / "retry.first").touch()
    (yard.a / "_failed" / "never-tried").mkdir()
    in_flight(yard, "half-way")
    os.symlink("quarantine:-:1:0:0:boom", yard.a / "half-way" / "ended.first.1")
    report = yard.sweeper().sweep()
    assert report.quarantined == {"by-its-poller", "half-way"}
    assert yard.names("A/_failed") == ["by-its-poller", "half-way"]
    assert yard.sweeper().sweep().quarantined == report.quarantined


def test_parts_of_a_pass_in_threads_do_what_one_does(yard: Yard) -> None:
    """With one memory, which is whole at the end."""
    claims: dict[str, Claim] = {}
    for number in range(40):
        claims[f"ds{number:02}"] = in_flight(yard, f"ds{number:02}")
    for name in list(claims)[:20]:
        os.symlink(f"publish:{claims[name].attempt.token}:0:0:0:ok", yard.a / name / "ended.first.1")
    seen = Sightings()
    sweeper = yard.sweeper(seen)
    survey = sweeper.survey()
    parts = [[target for target in survey.targets if int(target.name[2:4]) % 8 == part] for part in range(8)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(partial(sweeper.mend, full=survey.full), parts))
    report = sweeper.conclude(survey, [finding for part in found for finding in part])
    assert report.opened == 80
    assert {finding.dataset for finding in report.findings} == set(list(claims)[:20])
    assert yard.names("B") == list(claims)[:20]
    assert seen.attempts.keys() == {claims[name].attempt.directory for name in list(claims)[20:]}
    assert seen.last_full == survey.begun
