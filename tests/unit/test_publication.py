"""What an attempt comes to, before anything is committed."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stages.engine.attemptlog import AttemptLog
from stages.engine.drain import Drain
from stages.engine.errors import RevokedError
from stages.engine.policy import Cause
from stages.engine.publication import PUBLISH, Publication, Terms, Verdict
from stages.engine.store import Claim, Loss, Refusal
from stages.engine.vigil import Limits, Vigil
from stages.engine.work.order import Log, Order, Watch
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind, Stop, stopped
from tests.fakes import Deed, FakeWork, Yard, answer, fail, raising, write_result


def judge(
    yard: Yard,
    deed: Deed = write_result,
    *,
    claim: Claim | None = None,
    terms: Terms | None = None,
    limits: Limits | None = None,
    drain: Drain | None = None,
) -> Verdict:
    """Carry out an attempt at ds1 and judge it."""
    store, terms = yard.store(), terms or Terms()
    claim = claim or yard.claim("ds1")
    watch = Vigil(store=store, drain=drain or Drain(), limits=limits or Limits(), heartbeat_seconds=30.0)
    watch.begin(claim)
    publication = Publication(store=store, work=FakeWork(deed), terms=terms, vigil=watch)
    try:
        return publication.judge(claim, AttemptLog(yard.fs, claim, 1000))
    finally:
        yard.fs.close(claim.handle)


def private(yard: Yard) -> Path:
    [place] = (yard.a / "_work").iterdir()
    return place


def writing(action: Callable[[Path], object]) -> Deed:
    """A stage that does that to its output and says that it is done."""

    def deed(order: Order, watch: Watch, log: Log) -> Outcome:
        action(Path(order.output))
        return PUBLISHED

    return deed


def test_good_work_is_to_be_published_with_its_manifest(yard: Yard) -> None:
    yard.add("ds1")
    assert judge(yard) == PUBLISH
    out = private(yard) / "out"
    assert sorted(os.listdir(out)) == ["manifest.json", "result.txt"]
    facts = json.loads((out / "manifest.json").read_bytes())
    assert (facts["dataset"], facts["stage"], facts["bytes_in"], facts["bytes_out"]) == ("ds1", "first", 5, 3)
    assert [item["path"] for item in facts["inputs"]["files"]] == ["a.txt"]
    assert [item["path"] for item in facts["outputs"]] == ["result.txt"]


@pytest.mark.parametrize("where", ["A/ds1", "A/ds1/deep"])
def test_what_may_not_be_read_waits_for_a_person_and_costs_no_attempt(yard: Yard, where: str) -> None:
    yard.add("ds1", {"deep/a.txt": "hello"})
    path = f"{yard.root.path}/{where}"
    yard.fs.before("scan", path, raising(errno.EACCES, path), times=1)
    assert judge(yard) == Verdict(cause=Cause.LATER, why=f"no permission to read {path}: chmod -R g+rX")


def test_the_author_is_told_what_he_needs(yard: Yard) -> None:
    yard.add("ds1")
    seen: list[Order] = []

    def deed(order: Order, watch: Watch, log: Log) -> Outcome:
        seen.append(order)
        return PUBLISHED

    judge(yard, deed)
    [order] = seen
    place = private(yard)
    assert (order.dataset, order.stage, order.number, order.input) == ("ds1", "first", 1, str(yard.a / "ds1"))
    assert (order.output, order.scratch) == (str(place / "out"), str(place / "scratch"))
    assert order.token == place.name.rpartition(".")[2]


def test_at_the_commit_the_place_holds_output_and_plain_files_only(yard: Yard) -> None:
    yard.add("ds1")

    def deed(order: Order, watch: Watch, log: Log) -> Outcome:
        Path(order.scratch).mkdir()
        Path(order.scratch, "large").touch()
        Path(order.output).with_name("stray").mkdir()
        return PUBLISHED

    assert judge(yard, deed) == PUBLISH
    assert sorted(os.listdir(private(yard))) == ["attempt.json", "out"]


def test_an_empty_dataset_waits_half_a_minute_and_then_longer(yard: Yard) -> None:
    yard.add("ds1", {})
    verdict = judge(yard)
    assert verdict == Verdict(cause=Cause.LATER, why="the dataset is empty", after_seconds=30.0)
    again = yard.store().claim("ds1")
    assert again == Loss(refusal=Refusal.IN_FLIGHT)  # judged, not ended yet


def test_an_empty_dataset_waits_longer_each_time(yard: Yard) -> None:
    yard.add("ds1", {})
    for seconds in (30.0, 60.0, 120.0):
        claim = yard.claim("ds1")
        verdict = judge(yard, claim=replace(claim, handle=os.dup(claim.handle)))
        assert verdict.after_seconds == seconds
        yard.store().end(claim, Cause.LATER, verdict.why, verdict.after_seconds)
        yard.fs.close(claim.handle)
        yard.clock.advance(seconds + 1)


def test_a_dataset_of_markers_and_directories_is_empty_too(yard: Yard) -> None:
    path = yard.add("ds1", {"manifest.json": "{}"})
    (path / "directory").mkdir()
    (path / "retry.first.0").touch()
    assert judge(yard).why == "the dataset is empty"


def test_what_is_required_and_missing_is_rejected_before_any_work(yard: Yard) -> None:
    yard.add("ds1", {"a.npy": "x"})
    verdict = judge(yard, fail(), terms=Terms(requires=("*.npy", "tokenizer.json", "*.txt")))
    assert verdict == Verdict(cause=Cause.REJECTED, why="required files are missing: tokenizer.json *.txt")


CHANGES: dict[str, Callable[[Path], object]] = {
    "larger": lambda path: (path / "a.txt").write_text("longer than before"),
    "removed": lambda path: (path / "a.txt").unlink(),
    "added": lambda path: (path / "another.txt").write_text("x"),
    "touched": lambda path: os.utime(path / "a.txt", (5, 5)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_input_that_changed_is_put_off_and_not_counted(yard: Yard, change: str) -> None:
    yard.add("ds1", {"a.txt": "hello", "b.txt": "stays"})

    def deed(order: Order, watch: Watch, log: Log) -> Outcome:
        CHANGES[change](Path(order.input))
        return PUBLISHED

    verdict = judge(yard, deed)
    assert verdict.cause is Cause.LATER
    assert verdict.why.startswith("input changed while it was read (a")
    assert verdict.why.endswith("copy into _incoming, then rename")


@pytest.mark.parametrize("kind", [OutcomeKind.FAIL, OutcomeKind.REJECT])
def test_whoever_fails_on_an_input_that_is_still_arriving_is_not_to_blame(yard: Yard, kind: OutcomeKind) -> None:
    yard.add("ds1", {"a.txt": "half of"})

    def deed(order: Order, watch: Watch, log: Log) -> Outcome:
        Path(order.input, "a.txt").write_text("half of it is there")
        return Outcome(kind=kind, why="unexpected end of file")

    verdict = judge(yard, deed)
    assert (verdict.cause, verdict.why[:33]) == (Cause.LATER, "input changed while it was read (")


def test_markers_that_come_meanwhile_are_no_change(yard: Yard) -> None:
    path = yard.add("ds1")
    assert judge(yard, writing(lambda out: (path / "retry.first").touch())) == PUBLISH


OUTPUTS: dict[str, Callable[[Path], object]] = {
    "'manifest.json', a name that is the engine's": lambda out: (out / "manifest.json").touch(),
    "'taken.x.1', a name that is the engine's": lambda out: (out / "taken.x.1").touch(),
    "leads outside of its output": lambda out: (out / "l").symlink_to("/etc"),
    "neither file nor directory": lambda out: os.mkfifo(out / "p"),
}


@pytest.mark.parametrize("said", OUTPUTS)
def test_an_output_that_cannot_be_published_is_the_stages_failure(yard: Yard, said: str) -> None:
    yard.add("ds1")
    verdict = judge(yard, writing(OUTPUTS[said]))
    assert verdict.cause is Cause.FAILED
    assert said in verdict.why
    assert verdict.signature
    assert not verdict.halt


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (OutcomeKind.REJECT, Cause.REJECTED),
        (OutcomeKind.FAIL, Cause.FAILED),
        (OutcomeKind.LATER, Cause.LATER),
    ],
)
def test_what_the_author_says_goes(yard: Yard, kind: OutcomeKind, cause: Cause) -> None:
    yard.add("ds1")
    verdict = judge(yard, answer(kind, "so it is", after_seconds=7.0 if kind is OutcomeKind.LATER else None))
    assert (verdict.cause, verdict.why, verdict.halt) == (cause, "so it is", False)
    assert verdict.after_seconds == (7.0 if kind is OutcomeKind.LATER else None)


def test_an_author_who_met_a_failing_storage_costs_no_attempt(yard: Yard) -> None:
    yard.add("ds1")
    verdict = judge(yard, answer(OutcomeKind.STORAGE, "no space left"))
    assert verdict == Verdict(cause=Cause.LATER, why="the storage failed: no space left", halt=True)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE])
def test_a_failure_beside_a_failing_storage_is_the_storages(yard: Yard, number: int) -> None:
    yard.add("ds1")
    yard.fs.fail("write_new", ".probe", number)
    verdict = judge(yard, fail())
    assert (verdict.cause, verdict.halt) == (Cause.LATER, True)


def test_a_failure_beside_a_sound_storage_is_the_authors(yard: Yard) -> None:
    yard.add("ds1")
    assert judge(yard, fail("boom", "X s.py:1")) == Verdict(cause=Cause.FAILED, why="boom", signature="X s.py:1")
    assert ".probe" not in os.listdir(private(yard))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_storage_that_fails_while_sealing_costs_no_attempt(yard: Yard, number: int) -> None:
    yard.add("ds1")
    yard.fs.fail("write_new", "manifest.json", number)
    verdict = judge(yard)
    assert (verdict.cause, verdict.halt) == (Cause.LATER, True)


def test_any_other_error_while_sealing_is_counted(yard: Yard) -> None:
    yard.add("ds1")
    yard.fs.fail("digest", "result.txt", errno.EACCES)
    verdict = judge(yard)
    assert (verdict.cause, verdict.signature, verdict.halt) == (Cause.FAILED, str(int(errno.EACCES)), False)


def test_an_output_that_vanished_is_a_failure(yard: Yard) -> None:
    yard.add("ds1")
    assert judge(yard, writing(lambda out: out.rmdir())).cause is Cause.FAILED


@pytest.mark.parametrize("kind", [OutcomeKind.FAIL, OutcomeKind.REJECT, OutcomeKind.PUBLISH])
def test_a_dataset_that_was_moved_while_it_was_at_work_is_not_to_blame(yard: Yard, kind: OutcomeKind) -> None:
    yard.add("ds1")

    def deed(order: Order, watch: Watch, log: Log) -> Outcome:
        Path(order.input).rename(yard.a / "_failed" / "ds1")  # an earlier quarantine, carried out late
        return Outcome(kind=kind, why="no text in it")

    verdict = judge(yard, deed)
    assert (verdict.cause, verdict.why) == (Cause.RELEASED, "released: the dataset was moved while it was at work")


def test_processes_that_could_not_be_stopped_publish_nothing(yard: Yard) -> None:
    yard.add("ds1")
    escaped = Outcome(kind=OutcomeKind.PUBLISH, why="done", contained=False)
    verdict = judge(yard, lambda order, watch, log: escaped)
    assert (verdict.cause, verdict.halt) == (Cause.RELEASED, True)


def test_asked_to_stop_it_is_released(yard: Yard) -> None:
    yard.add("ds1")
    verdict = judge(yard, lambda order, watch, log: stopped(Stop.DRAIN))
    assert verdict == Verdict(cause=Cause.RELEASED, why="released: its poller was asked to stop")


def test_revoked_while_at_work(yard: Yard) -> None:
    yard.add("ds1")
    with pytest.raises(RevokedError):
        judge(yard, lambda order, watch, log: stopped(Stop.REVOKED))


def test_revoked_while_hashing(yard: Yard) -> None:
    yard.add("ds1")

    def lose() -> None:
        yard.clock.advance(31.0)
        yard.fs.remove_tree(str(private(yard)))

    yard.fs.after("digest", "result.txt", lose)
    with pytest.raises(RevokedError):
        judge(yard)


def test_long_hashing_keeps_the_heart_beating(yard: Yard) -> None:
    yard.add("ds1")
    beats: list[int] = []

    def pass_time(out: Path) -> None:
        (out / "large").write_bytes(b"x" * (3 << 20))
        yard.fs.before("touch", str(private(yard)), lambda: beats.append(1), times=100)
        yard.clock.advance(31.0)

    assert judge(yard, writing(pass_time)) == PUBLISH
    assert beats


def test_a_drain_stops_a_long_hashing(yard: Yard) -> None:
    yard.add("ds1")
    drain = Drain()
    drain.request()
    drain.request()
    assert judge(yard, drain=drain).cause is Cause.RELEASED


@pytest.mark.parametrize("earlier", [0, 1])
def test_only_who_had_the_full_time_pays_for_a_deadline(yard: Yard, earlier: int) -> None:
    yard.add("ds1")
    claim, store = yard.claim("ds1"), yard.store()
    watch = Vigil(
        store=store,
        drain=Drain(),
        limits=Limits(deadline=yard.clock.monotonic() + 100, grace_seconds=20),
        heartbeat_seconds=30.0,
    )
    for _ in range(earlier + 1):
        watch.begin(claim)
    work = FakeWork(lambda order, watch, log: stopped(Stop.DEADLINE))
    verdict = Publication(store=store, work=work, terms=Terms(), vigil=watch).judge(
        claim, AttemptLog(yard.fs, claim, 9)
    )
    yard.fs.close(claim.handle)
    if earlier:
        assert verdict == Verdict(cause=Cause.RELEASED, why="released: the job's time limit was near")
    else:
        assert verdict == Verdict(cause=Cause.FAILED, why="does not fit into the job's time limit")
