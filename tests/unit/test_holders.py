"""Which jobs hold claims, and what is made of what the batch system says of them?"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Mapping

import pytest

from stages.engine.errors import StorageError
from stages.engine.finding import Action, Finding
from stages.engine.holders import Bulletin
from stages.engine.sightings import Sightings
from stages.engine.store import Claim
from tests.fakes import FakeWork, Yard, fail, identity, registers


class Batch:
    """A batch system that says what it is told to say."""

    def __init__(self, said: Mapping[str, bool], error: Exception | None = None) -> None:
        self._said, self._error = said, error
        self.asked: list[list[str]] = []

    def __call__(self, jobs: Collection[str]) -> Mapping[str, bool]:
        self.asked.append(list(jobs))
        if self._error is not None:
            raise self._error
        return {job: ended for job, ended in self._said.items() if job in jobs}


def take(yard: Yard, dataset: str, job: str = "-") -> Claim:
    """A claim of a process in a job, left as it is."""
    yard.add(dataset)
    claim = yard.claim(dataset, identity(job=job))
    yard.fs.close(claim.handle)
    return claim


def sweep(yard: Yard, bulletin: Bulletin, seen: Sightings | None = None) -> list[Finding]:
    sweeper = yard.sweeper(seen, job_ended=bulletin)
    survey = sweeper.survey()
    assert bulletin.learn(sweeper.jobs(survey)) == ""
    return sweeper.mend(survey.targets, full=survey.full)


def test_a_job_that_certainly_ended_frees_its_datasets_in_one_sweep(yard: Yard) -> None:
    for name, job in (("ds1", "7.0"), ("ds2", "7.0"), ("ds3", "8.0"), ("ds4", "9.1"), ("ds5", "-")):
        take(yard, name, job)
    batch = Batch({"7.0": True, "8.0": False})
    found = sweep(yard, Bulletin(batch))
    assert sorted((one.dataset, one.action) for one in found) == [("ds1", Action.REQUEUED), ("ds2", Action.REQUEUED)]
    assert registers(yard.a / "ds1")["ended.first.1"] == "retry:-:0:1:0:lost: its job 7.0 on node1 has ended"
    assert batch.asked == [["7.0", "8.0", "9.1"]]


def test_a_job_that_runs_makes_no_silent_heartbeat_look_alive(yard: Yard) -> None:
    take(yard, "ds1", "7.0")
    bulletin, seen = Bulletin(Batch({"7.0": False})), Sightings()
    assert sweep(yard, bulletin, seen) == []
    yard.clock.advance(181)
    assert [one.action for one in sweep(yard, bulletin, seen)] == [Action.SUSPECTED]
    yard.clock.advance(46)
    (found,) = sweep(yard, bulletin, seen)
    assert (found.action, found.why) == (Action.REQUEUED, "lost: node1 pid 4711 was silent for more than 180 s")


def test_what_was_said_is_forgotten_at_the_next_question(yard: Yard) -> None:
    bulletin = Bulletin(Batch({"7.0": True}))
    bulletin.learn({"7.0"})
    assert bulletin("7.0") is True
    bulletin.learn({"8.0"})
    assert (bulletin("7.0"), bulletin("8.0")) == (None, None)


@pytest.mark.parametrize(("count", "words"), [(1, "1 job that holds claims"), (3, "3 jobs that hold claims")])
def test_who_cannot_be_asked_changes_nothing_and_that_is_said(yard: Yard, count: int, words: str) -> None:
    bulletin = Bulletin(Batch({}, RuntimeError("Unable to contact slurm controller")))
    said = bulletin.learn({f"{number}.0" for number in range(count)})
    assert said == (
        f"the batch system could not be asked about {words}, so leases alone decide: Unable to contact slurm controller"
    )
    assert bulletin("0.0") is None


def test_without_claims_of_jobs_nobody_is_asked(yard: Yard) -> None:
    take(yard, "ds1")
    yard.add("ds2")
    batch = Batch({})
    assert sweep(yard, Bulletin(batch)) == []
    assert batch.asked == []


def test_one_question_however_many_hold_claims(yard: Yard) -> None:
    for number in range(60):
        take(yard, f"ds{number}", f"{number % 20}.0")
    batch = Batch({f"{number}.0": True for number in range(20)})
    assert len(sweep(yard, Bulletin(batch))) == 60
    assert len(batch.asked) == 1


def test_a_claim_whose_private_place_was_never_made_is_asked_about_once_it_was_seen(yard: Yard) -> None:
    claim = take(yard, "ds1", "7.0")
    yard.fs.remove_tree(claim.private)
    seen, batch = Sightings(), Batch({"7.0": True})
    assert sweep(yard, Bulletin(batch), seen) == []
    assert [one.action for one in sweep(yard, Bulletin(batch), seen)] == [Action.REQUEUED]


class TestFormerStarts:
    def test_a_requeued_job_ends_what_its_earlier_starts_hold_and_nothing_else(self, yard: Yard) -> None:
        others = ("7.2", "8.0", "17.0", "-")
        for name, job in zip(("ds1", "ds2", *(f"other{n}" for n in range(4))), ("7.0", "7.1", *others), strict=True):
            take(yard, name, job)
        me = identity("node2", job="7.2")
        found = yard.sweeper(who=me).end_former("7.2")
        assert sorted((one.dataset, one.action) for one in found) == [
            ("ds1", Action.REQUEUED),
            ("ds2", Action.REQUEUED),
        ]
        end = registers(yard.a / "ds1")["ended.first.1"]
        assert end == "retry:-:0:0:0:lost: its job 7.0 on node1 was requeued"  # nobody pays
        assert len(list((yard.a / "_work").iterdir())) == len(others)
        yard.poller(FakeWork(), who=me).poll()
        assert yard.names("B") == ["ds1", "ds2"]

    @pytest.mark.parametrize("job", ["-", "7.0"])
    def test_who_was_not_requeued_does_not_even_look(self, yard: Yard, job: str) -> None:
        take(yard, "ds1", "7.0")
        yard.fs.fail("listdir", "_work", errno.EIO)
        assert yard.sweeper(who=identity(job=job)).end_former(job) == []

    def test_another_job_that_was_requeued_ends_nothing(self, yard: Yard) -> None:
        take(yard, "ds1", "7.0")
        assert yard.sweeper(who=identity(job="8.1")).end_former("8.1") == []
        assert "ended.first.1" not in registers(yard.a / "ds1")

    def test_a_storage_that_fails_is_said(self, yard: Yard) -> None:
        yard.fs.fail("listdir", "_work", errno.EIO)
        with pytest.raises(StorageError):
            yard.sweeper(who=identity(job="7.1")).end_former("7.1")

    def test_an_orphan_of_the_earlier_start_publishes_nothing_any_more(self, yard: Yard) -> None:
        """It finds the register taken, whatever it did meanwhile; what the heir publishes is the heir's."""
        yard.add("ds1")
        orphan = yard.store(identity(job="7.0"))
        claim = yard.claim("ds1", identity(job="7.0"))
        (yard.a / "_work").joinpath(claim.attempt.directory, "out", "result.txt").write_text("the orphan's")
        me = identity("node2", job="7.1")
        yard.sweeper(who=me).end_former("7.1")
        assert orphan.commit(claim) is None
        yard.poller(FakeWork(), who=me).poll()
        assert orphan.commit(claim) is None
        yard.fs.close(claim.handle)
        assert (yard.b / "ds1" / "result.txt").read_text() == "ds1"
        assert (yard.names("A"), os.listdir(yard.a / "_work")) == ([], [])

    def test_what_the_earlier_start_had_committed_is_carried_out(self, yard: Yard) -> None:
        claim = take(yard, "ds1", "7.0")
        os.symlink(f"publish:{claim.attempt.token}:0:0:0:ok", yard.a / "ds1" / "ended.first.1")
        (found,) = yard.sweeper(who=identity(job="7.1")).end_former("7.1")
        assert (found.action, yard.names("B"), yard.names("A")) == (Action.PUBLISHED, ["ds1"], [])

    def test_failures_before_the_requeue_stay_counted(self, yard: Yard) -> None:
        path = yard.add("ds1")
        yard.poller(FakeWork(fail())).poll()
        yard.clock.advance(31)
        yard.fs.close(yard.claim("ds1", identity(job="7.0")).handle)
        yard.sweeper(who=identity(job="7.1")).end_former("7.1")
        assert registers(path)["ended.first.2"] == "retry:-:1:0:0:lost: its job 7.0 on node1 was requeued"

    def test_what_cannot_be_read_is_left_to_whoever_mends_it(self, yard: Yard) -> None:
        for name in ("ds1", "ds2", "ds3"):
            take(yard, name, "7.0")
        (yard.a / "ds1" / "taken.first.1").unlink()
        (yard.a / "ds1" / "taken.first.1").symlink_to("nonsense")
        (yard.a / "ds2").rename(yard.top / "taken away")
        (yard.a / "_work" / "no attempt").mkdir()
        found = yard.sweeper(who=identity(job="7.1")).end_former("7.1")
        assert [one.dataset for one in found] == ["ds3"]
