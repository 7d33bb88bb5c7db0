"""Is each dataset put where its registers say, and an operator's wish carried out, whatever state it is in?"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from stages.engine.finding import Action, Finding
from stages.engine.sightings import Sightings
from stages.engine.store import Claim, Refusal
from tests.fakes import FakeWork, Yard, fail, identity, registers

ADMIN = "admin:-:0:-"
GRANTED = "retry:-:0:0:0:operator"


def sweep(yard: Yard, seen: Sightings | None = None) -> list[Finding]:
    return list(yard.sweeper(seen).sweep().findings)


def actions(found: list[Finding]) -> list[tuple[str, Action]]:
    return [(finding.dataset, finding.action) for finding in found]


def in_flight(yard: Yard, name: str = "ds1") -> Claim:
    yard.add(name)
    claim = yard.claim(name)
    yard.fs.close(claim.handle)
    return claim


def failed_once(yard: Yard) -> Path:
    path = yard.add("ds1")
    yard.poller(FakeWork(fail())).poll()
    return path


def quarantined(yard: Yard) -> Path:
    yard.table = {"retry": {"attempts_max": 1}}
    yard.add("ds1")
    yard.poller(FakeWork(fail())).poll()
    return yard.a / "_failed" / "ds1"


class TestOperator:
    def test_in_flight_the_attempt_is_given_up_and_costs_nothing(self, yard: Yard) -> None:
        claim = in_flight(yard)
        (yard.a / "ds1" / "retry.first").touch()
        assert actions(sweep(yard)) == [("ds1", Action.GRANTED)]
        found = sorted(os.listdir(yard.a / "ds1"))
        assert found == ["a.txt", "ended.first.1", "retry.first.1", "taken.first.1"]
        assert registers(yard.a / "ds1")["ended.first.1"] == GRANTED
        assert not Path(claim.private).exists()
        assert sweep(yard) == []

    def test_in_flight_the_budget_stays_as_it_was(self, yard: Yard) -> None:
        failed_once(yard)
        yard.clock.advance(31)
        yard.fs.close(yard.claim("ds1").handle)
        (yard.a / "ds1" / "retry.first").touch()
        sweep(yard)
        assert registers(yard.a / "ds1")["ended.first.2"] == "retry:-:1:0:0:operator"

    def test_backing_off_a_virtual_attempt_gives_the_budget_back(self, yard: Yard) -> None:
        path = failed_once(yard)
        (path / "retry.first").touch()
        assert actions(sweep(yard)) == [("ds1", Action.GRANTED)]
        found = registers(path)
        assert (found["taken.first.2"], found["ended.first.2"]) == (ADMIN, GRANTED)
        assert (path / "retry.first.1").exists()
        claim = yard.claim("ds1")
        assert (claim.attempt.number, claim.before.failures) == (3, 0)
        yard.fs.close(claim.handle)

    def test_quarantined_it_comes_back_with_its_whole_budget(self, yard: Yard) -> None:
        (quarantined(yard) / "retry.first").touch()
        assert actions(sweep(yard)) == [("ds1", Action.GRANTED)]
        assert (yard.names("A"), yard.names("A/_failed")) == (["ds1"], [])
        yard.poller(FakeWork()).poll()
        assert yard.names("B") == ["ds1"]

    def test_a_mark_works_once(self, yard: Yard) -> None:
        (quarantined(yard) / "retry.first").touch()
        sweep(yard)
        yard.poller(FakeWork(fail())).poll()
        assert yard.names("A/_failed") == ["ds1"]
        assert sweep(yard) == []
        assert yard.names("A/_failed") == ["ds1"]

    def test_again_and_again(self, yard: Yard) -> None:
        path = quarantined(yard)
        for _ in range(3):
            (path / "retry.first").touch()
            sweep(yard)
            yard.poller(FakeWork(fail())).poll()
        assert sorted(name for name in os.listdir(path) if name.startswith("retry.")) == [
            "retry.first.1",
            "retry.first.3",
            "retry.first.5",
        ]

    def test_a_mark_on_a_dataset_nobody_tried_is_history_at_once(self, yard: Yard) -> None:
        path = yard.add("ds1")
        (path / "retry.first").touch()
        assert sweep(yard) == []
        assert sorted(os.listdir(path)) == ["a.txt", "retry.first.0"]

    def test_a_mark_of_another_stage_is_not_ours(self, yard: Yard) -> None:
        path = quarantined(yard)
        (path / "retry.second").touch()
        assert sweep(yard) == []
        assert (path / "retry.second").exists()

    def test_a_later_generation_takes_a_plain_mark(self, yard: Yard) -> None:
        yard.table = {"retry": {"attempts_max": 1}}
        yard.add("ds1+g2")
        yard.poller(FakeWork(fail())).poll()
        (yard.a / "_failed" / "ds1+g2" / "retry.first").touch()
        assert actions(sweep(yard)) == [("ds1+g2", Action.GRANTED)]
        assert (yard.a / "ds1+g2" / "retry.first+g2.1").exists()

    def test_a_sweeper_that_died_after_accepting_is_followed_by_another(self, yard: Yard) -> None:
        (quarantined(yard) / "retry.first").touch()
        yard.fs.fail("symlink", "taken.first.2", errno.EIO, times=1)
        assert actions(sweep(yard)) == [("ds1", Action.STORAGE)]
        assert actions(sweep(yard)) == [("ds1", Action.GRANTED)]

    def test_a_sweeper_that_died_within_the_virtual_attempt_is_followed_by_another(self, yard: Yard) -> None:
        path = quarantined(yard)
        (path / "retry.first").touch()
        yard.fs.fail("symlink", "ended.first.2", errno.EIO, times=1)
        sweep(yard)
        assert registers(path)["taken.first.2"] == ADMIN
        assert actions(sweep(yard)) == [("ds1", Action.REQUEUED)]
        assert registers(yard.a / "ds1")["ended.first.2"] == GRANTED

    def test_a_poller_that_is_quicker_has_granted_it_already(self, yard: Yard) -> None:
        path = failed_once(yard)
        (path / "retry.first").touch()
        yard.fs.before("symlink", "taken.first.2", lambda: os.symlink("01234567:n:1:-", path / "taken.first.2"))
        assert sweep(yard) == []

    def test_no_permission_to_accept_it(self, yard: Yard) -> None:
        (quarantined(yard) / "retry.first").touch()
        yard.fs.fail("rename_at", "retry.first", errno.EACCES)
        assert actions(sweep(yard)) == [("ds1", Action.NO_PERMISSION)]


class TestStale:
    def test_it_needs_a_lease_and_a_second_look(self, yard: Yard) -> None:
        claim, seen = in_flight(yard), Sightings()
        assert sweep(yard, seen) == []
        yard.clock.advance(181)
        assert actions(sweep(yard, seen)) == [("ds1", Action.SUSPECTED)]
        yard.clock.advance(44)
        assert actions(sweep(yard, seen)) == [("ds1", Action.SUSPECTED)]
        yard.clock.advance(1)
        assert actions(sweep(yard, seen)) == [("ds1", Action.REQUEUED)]
        said = registers(yard.a / "ds1")["ended.first.1"]
        assert said == "retry:-:0:1:0:lost: node1 pid 4711 was silent for more than 180 s"
        assert not Path(claim.private).exists()

    def test_a_heartbeat_is_believed(self, yard: Yard) -> None:
        claim, seen = in_flight(yard), Sightings()
        for beat in range(20):
            os.utime(claim.private, (beat, beat))
            assert sweep(yard, seen) == []
            yard.clock.advance(100)

    def test_an_owner_that_is_quicker_wins(self, yard: Yard) -> None:
        claim, seen = in_flight(yard), Sightings()
        path = yard.a / "ds1"
        for seconds in (181, 46):
            sweep(yard, seen)
            yard.clock.advance(seconds)
        published = f"publish:{claim.attempt.token}:0:0:0:ok"
        yard.fs.before("symlink", "ended.first.1", lambda: os.symlink(published, path / "ended.first.1"))
        sweep(yard, seen)
        assert (yard.names("A"), yard.names("B")) == ([], ["ds1"])

    def test_ten_times_lost_is_quarantined(self, yard: Yard) -> None:
        path, seen, told = yard.add("ds1"), Sightings(), list[Action]()
        for _ in range(10):
            yard.fs.close(yard.claim("ds1").handle)
            for seconds in (181, 46):
                sweep(yard, seen)
                yard.clock.advance(seconds)
            [finding] = sweep(yard, seen)
            told.append(finding.action)
        assert told == [Action.REQUEUED] * 9 + [Action.QUARANTINED]
        said = registers(yard.a / "_failed" / "ds1")["ended.first.10"]
        assert said.startswith("quarantine:-:0:10:0:its poller was lost 10 times")
        assert not path.exists()

    def test_the_cluster_s_fault_counts_nowhere(self, yard: Yard) -> None:
        claim = in_flight(yard)
        yard.store().leave(claim)
        assert actions(sweep(yard)) == [("ds1", Action.REQUEUED)]
        assert registers(yard.a / "ds1")["ended.first.1"].startswith("retry:-:0:0:0:lost: the storage failed")

    def test_a_job_that_has_ended_shortens_the_wait(self, yard: Yard) -> None:
        yard.add("ds1")
        yard.fs.close(yard.claim("ds1", identity(job="123.0")).handle)
        assert yard.sweeper(job_ended=lambda job: None).sweep().findings == ()
        report = yard.sweeper(job_ended=lambda job: job == "123.0").sweep()
        assert actions(list(report.findings)) == [("ds1", Action.REQUEUED)]


class TestPlace:
    def test_a_quarantined_dataset_that_nobody_moved_is_moved(self, yard: Yard) -> None:
        in_flight(yard)
        os.symlink("quarantine:-:3:0:0:boom", yard.a / "ds1" / "ended.first.1")
        assert actions(sweep(yard)) == [("ds1", Action.QUARANTINED)]
        assert (yard.names("A"), yard.names("A/_failed")) == ([], ["ds1"])
        assert sweep(yard) == []

    def test_a_committed_dataset_is_published(self, yard: Yard) -> None:
        claim = in_flight(yard)
        os.symlink(f"publish:{claim.attempt.token}:0:0:0:ok", yard.a / "ds1" / "ended.first.1")
        assert actions(sweep(yard)) == [("ds1", Action.PUBLISHED)]
        assert (yard.names("A"), yard.names("B")) == ([], ["ds1"])

    def test_a_dataset_moved_to_failed_by_hand_comes_back(self, yard: Yard) -> None:
        yard.add("ds1").rename(yard.a / "_failed" / "ds1")
        sweep(yard)
        assert yard.names("A") == ["ds1"]

    def test_one_in_flight_moved_to_failed_comes_back_too(self, yard: Yard) -> None:
        in_flight(yard)
        (yard.a / "ds1").rename(yard.a / "_failed" / "ds1")
        sweep(yard)
        assert yard.names("A") == ["ds1"]

    def test_one_quarantined_and_moved_back_by_hand_is_quarantined_again(self, yard: Yard) -> None:
        quarantined(yard).rename(yard.a / "ds1")
        sweep(yard)
        assert yard.names("A/_failed") == ["ds1"]

    def test_blocked_says_what_is_in_the_way_and_goes_on_once_it_is_not(self, yard: Yard) -> None:
        claim, seen = in_flight(yard), Sightings()
        os.symlink(f"publish:{claim.attempt.token}:0:0:0:ok", yard.a / "ds1" / "ended.first.1")
        (yard.b / "ds1").write_text("in the way")
        for _ in range(2):
            [finding] = sweep(yard, seen)
            assert (finding.action, finding.where) == (Action.BLOCKED, str(yard.a / "ds1"))
            assert finding.why == f"{yard.b / 'ds1'} is in the way: move it away"
            assert seen.troubles == {"ds1": "blocked"}
        (yard.b / "ds1").unlink()
        assert actions(sweep(yard, seen)) == [("ds1", Action.PUBLISHED)]
        assert seen.troubles == {}

    def test_a_second_dataset_of_a_name_waits_for_its_place_in_quarantine_and_says_so(self, yard: Yard) -> None:
        first, seen = quarantined(yard), Sightings()
        yard.add("ds1")
        yard.poller(FakeWork(fail())).poll()
        for _ in range(2):
            [finding] = sweep(yard, seen)
            assert (finding.action, finding.where) == (Action.BLOCKED, str(yard.a / "ds1"))
            assert finding.why == f"{first} is in the way: move it away"
            assert seen.troubles == {"ds1": "blocked"}
        assert yard.loss("ds1").refusal is Refusal.BLOCKED
        first.rename(yard.top / "elsewhere")
        assert actions(sweep(yard, seen)) == [("ds1", Action.QUARANTINED)]
        assert (yard.names("A"), yard.names("A/_failed")) == ([], ["ds1"])

    def test_one_that_is_to_come_back_waits_for_its_place_and_says_so(self, yard: Yard) -> None:
        first, seen = quarantined(yard), Sightings()
        yard.add("ds1")
        (first / "retry.first").touch()
        assert actions(sweep(yard, seen)) == [("ds1", Action.GRANTED)]
        for _ in range(2):
            [finding] = sweep(yard, seen)
            assert (finding.action, finding.where) == (Action.BLOCKED, str(first))
            assert finding.why == f"{yard.a / 'ds1'} is in the way: move it away"
            assert seen.troubles == {"ds1": "blocked"}
        yard.poller(FakeWork()).poll()
        assert sweep(yard, seen) == []
        assert (yard.names("A"), yard.names("A/_failed")) == (["ds1"], [])


class TestBell:
    def test_it_rings_once_when_a_not_before_has_passed(self, yard: Yard) -> None:
        path, seen = failed_once(yard), Sightings()

        def rung() -> bool:
            os.utime(path, (1, 1))
            sweep(yard, seen)
            return path.stat().st_mtime > 1

        assert [rung(), rung()] == [False, False]
        yard.clock.advance(31)
        assert [rung(), rung()] == [True, False]
