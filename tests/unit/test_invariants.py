"""Does the judge of all roots notice what is wrong with one? Whatever is damaged here, it names the promise."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.engine.work.outcome import OutcomeKind
from tests.fakes import FakeWork, Yard, answer, write_result
from tests.invariants import Event, EventKind, Expectation, Observation, Stage, observe, violations

ARRIVED = {"A": ["one", "two", "bad"]}
STAGES = (Stage(name="first", reads="A", writes="B"),)
SOUND = Expectation(stages=STAGES, arrived=ARRIVED, may_fail=frozenset({"bad"}), durable=False)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Two datasets are published, one is rejected."""
    yard = Yard(top=tmp_path)
    for dataset in ARRIVED["A"]:
        yard.add(dataset)
    work = FakeWork(write_result, bad=answer(OutcomeKind.REJECT))
    yard.poller(work).poll()
    return yard


def seen(yard: Yard) -> Observation:
    return observe(yard.fs, yard.root.path, ["A", "B"])


def done(yard: Yard, dataset: str = "one") -> Path:
    return next((yard.a / "_done").glob(f"{dataset}~*"))


def failed(yard: Yard) -> Path:
    return yard.a / "_failed" / "bad"


def put(path: Path, value: str) -> None:
    """Put a register, whatever stood there."""
    path.unlink(missing_ok=True)
    path.symlink_to(value)


def edit_manifest(yard: Yard, **facts: object) -> None:
    path = yard.b / "one" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def test_a_sound_root_breaks_nothing(yard: Yard) -> None:
    assert violations(seen(yard), SOUND) == []


DAMAGES: dict[str, tuple[str, Callable[[Yard], object]]] = {
    "a dataset is gone": ("I1", lambda yard: shutil.rmtree(done(yard))),
    "a dataset is there twice": ("I1", lambda yard: shutil.copytree(done(yard), yard.a / "one", symlinks=True)),
    "its payload is gone": ("I1", lambda yard: (done(yard) / "a.txt").unlink()),
    "an attempt has no owner": ("I2", lambda yard: (done(yard) / "taken.first.1").unlink()),
    "an attempt is missing": ("I2", lambda yard: put(failed(yard) / "taken.first.3", "0123abcd:node1:1:-")),
    "it was published before its last attempt": (
        "I2",
        lambda yard: put(done(yard) / "taken.first.2", "0123abcd:node1:1:-"),
    ),
    "somebody else's attempt published it": (
        "I2",
        lambda yard: put(done(yard) / "taken.first.1", "0123abcd:node1:1:-"),
    ),
    "an output is there twice": ("I2", lambda yard: shutil.copytree(yard.b / "one", yard.b / "_done" / "one~1")),
    "an output nobody committed": ("I3", lambda yard: edit_manifest(yard, token="0123abcd")),
    "the output of another dataset": ("I3", lambda yard: edit_manifest(yard, dataset="two")),
    "an output made of something else": (
        "I3",
        lambda yard: edit_manifest(yard, inputs={"files": [{"path": "b.txt", "size": 5, "sha256": None}]}),
    ),
    "an output without a manifest": ("I3", lambda yard: (yard.b / "one" / "manifest.json").unlink()),
    "a file that the manifest does not name": ("I3", lambda yard: (yard.b / "one" / "more").touch()),
    "a file that only the manifest names": ("I3", lambda yard: (yard.b / "one" / "result.txt").unlink()),
    "bytes that were changed": ("I4", lambda yard: (yard.b / "one" / "result.txt").write_text("eno")),
    "a dataset that waits": ("I5", lambda yard: os.rename(failed(yard), yard.a / "bad")),
    "an attempt that left its place behind": (
        "I5",
        lambda yard: (yard.a / "_work" / f"one.1.{done(yard).name.partition('~')[2]}").mkdir(),
    ),
    "a quarantine without a reason": ("I5", lambda yard: put(failed(yard) / "ended.first.1", "retry:-:0:0:0:boom")),
    "failures from nowhere": ("I6", lambda yard: put(failed(yard) / "ended.first.1", "quarantine:-:2:0:0:boom")),
    "more failures than allowed": ("I6", lambda yard: put(failed(yard) / "ended.first.1", "quarantine:-:4:0:0:boom")),
    "an output that is gone": ("I7", lambda yard: shutil.rmtree(yard.b / "one")),
    "archived, and not published": ("I7", lambda yard: put(done(yard) / "ended.first.1", "retry:-:1:0:0:boom")),
    "archived as published by another": (
        "I7",
        lambda yard: os.rename(done(yard), yard.a / "_done" / "one~0123abcd"),
    ),
    "quarantined, and published": ("I7", lambda yard: os.rename(done(yard), yard.a / "_failed" / "one")),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_noticed(yard: Yard, name: str) -> None:
    promise, damage = DAMAGES[name]
    damage(yard)
    broken = violations(seen(yard), SOUND)
    assert promise in {line[:2] for line in broken}, broken


def test_a_quarantine_that_nobody_expects_is_noticed(yard: Yard) -> None:
    nobody = Expectation(stages=STAGES, arrived=ARRIVED, may_fail=frozenset(), durable=False)
    assert [line[:2] for line in violations(seen(yard), nobody)] == ["I6"]


def test_a_dataset_that_should_be_in_quarantine_is_noticed(yard: Yard) -> None:
    both = Expectation(stages=STAGES, arrived=ARRIVED, must_fail=frozenset({"bad", "one"}), durable=False)
    assert [line[:2] for line in violations(seen(yard), both)] == ["I6"]


def test_what_is_half_way_counts_only_at_rest(yard: Yard) -> None:
    yard.add("late")
    arrived = {"A": [*ARRIVED["A"], "late"]}
    at_rest = Expectation(stages=STAGES, arrived=arrived, may_fail=frozenset({"bad"}), durable=False)
    going_on = Expectation(stages=STAGES, arrived=arrived, may_fail=None, durable=False, at_rest=False)
    assert [line[:2] for line in violations(seen(yard), at_rest)] == ["I5"]
    assert violations(seen(yard), going_on) == []


def test_a_blocked_dataset_may_wait_if_that_is_expected(yard: Yard) -> None:
    (yard.b / "three").mkdir()
    (yard.b / "three" / "old.txt").touch()
    yard.add("three")
    yard.poller(FakeWork()).poll()
    arrived = {"A": [*ARRIVED["A"], "three"], "B": ["three"]}
    for may_block in (True, False):
        expected = Expectation(
            stages=STAGES, arrived=arrived, may_fail=frozenset({"bad"}), durable=False, may_block=may_block
        )
        assert (violations(seen(yard), expected) == []) == may_block


def test_a_witness_is_believed(yard: Yard) -> None:
    token = done(yard).name.partition("~")[2]
    archived = Event(EventKind.ARCHIVED, "A", "one", token, durable=False)
    published = Event(EventKind.PUBLISHED, "A", "one", token, durable=True)
    found = seen(yard)
    too_early = Observation(datasets=found.datasets, privates=found.privates, events=(archived, published))
    assert [line[:2] for line in violations(too_early, SOUND)] == ["I7"]
    durable = Expectation(stages=STAGES, arrived=ARRIVED, may_fail=frozenset({"bad"}))
    in_order = Observation(datasets=found.datasets, privates=found.privates, events=(published, archived))
    assert [line[:2] for line in violations(in_order, durable)] == ["I3"]
