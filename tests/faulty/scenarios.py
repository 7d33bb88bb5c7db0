"""Where a dataset may stand when a poller takes a turn or a sweeper makes a pass, and what they do about it then."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from stages.engine import names
from stages.engine.errors import StageSetupError
from stages.engine.policy import NOTHING_SPENT, Cause
from stages.engine.store import Claim
from stages.engine.work.order import Log, Order, Watch
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind, stopped
from tests.fakes import Deed, fail, in_turn, write_result
from tests.faulty.scene import DATASET, Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`begin` brings the dataset where it stands and returns the author's deed; then a turn or a sweep comes."""

    begin: Callable[[Scene], Deed]
    sweeps: bool = False
    failures_allowed: int = 0
    may_be_quarantined: bool = False
    table: Mapping[str, object] = field(default_factory=dict[str, object])

    def stage(self, top: Path) -> tuple[Scene, Deed]:
        """Set the scene, with everything that can be made durable."""
        table = {"output": {"durability": "full"}, **self.table}
        scene = Scene(
            top=top,
            table=table,
            failures_allowed=self.failures_allowed,
            may_be_quarantined=self.may_be_quarantined,
        )
        scene.add(DATASET, {"a.txt": "hello", "deep/b.txt": "hello again"})
        return scene, self.begin(scene)

    def act(self, scene: Scene, deed: Deed) -> Callable[[], object]:
        """Return what happens here: one turn of a poller, or one pass of the sweeper."""
        return scene.sweep if self.sweeps else scene.employ(deed).turn


def busy(scene: Scene) -> Deed:
    """Do what authors do: a log, a heartbeat's time, files, directories, links."""

    def deed(order: Order, watch: Watch, log: Log) -> Outcome:
        log(b"reading\n")
        scene.clock.advance(scene.spec.lease.heartbeat_seconds + 1)
        stop = watch()
        if stop is not None:
            return stopped(stop)
        out = Path(order.output)
        (out / "deep").mkdir(mode=0o700)
        (out / "deep" / "result.txt").write_text(order.dataset)
        (out / "link").symlink_to("deep/result.txt")
        log(b"written\n")
        return PUBLISHED

    return deed


# ---- before a poller's turn


def fresh(scene: Scene) -> Deed:
    return busy(scene)


def released(scene: Scene) -> Deed:
    end(scene, scene.claim(DATASET), Cause.RELEASED)
    return busy(scene)


def failing(scene: Scene) -> Deed:
    return in_turn(fail("boom"), *[write_result] * 20)


def always_failing(scene: Scene) -> Deed:
    return fail("boom")


def rejected(scene: Scene) -> Deed:
    return lambda order, watch, log: Outcome(kind=OutcomeKind.REJECT, why="no text in it")


def revoked(scene: Scene) -> Deed:
    """A sweeper ends the first attempt while it is being made."""

    def deed(order: Order, watch: Watch, log: Log) -> Outcome:
        if order.number == 1:
            store, attempt = scene.elsewhere(), names.Attempt(order.dataset, order.number, order.token)
            handle = store.fs.opendir(order.input)
            store.decide(handle, attempt, before=NOTHING_SPENT, cause=Cause.CLUSTER, why="preempted")
            store.fs.close(handle)
        return busy(scene)(order, watch, log)

    return deed


def fenced(scene: Scene) -> Deed:
    """The sweeper could not remove the private place, so that its owner learns of it at the commit only."""

    def deed(order: Order, watch: Watch, log: Log) -> Outcome:
        if order.number == 1:
            os.symlink("retry:-:0:1:0:lost", f"{order.input}/ended.first.1")
        return write_result(order, watch, log)

    return deed


def set_up_fails(scene: Scene) -> Deed:
    def refuse(order: Order, watch: Watch, log: Log) -> Outcome:
        raise StageSetupError("setup() failed")

    return in_turn(refuse, *[write_result] * 20)


# ---- half-finished: before a poller's turn or a sweeper's pass


def died_before(method: str, where: str) -> Callable[[Scene], Deed]:
    """Return a scene in which a poller died just before a call."""

    def begin(scene: Scene) -> Deed:
        scene.fs.before(method, where, _die)
        with suppress(DiedError):
            scene.employ(busy(scene)).turn()
        scene.fs.calm()
        return busy(scene)

    return begin


class DiedError(Exception):
    """The process died here."""


def _die() -> None:
    raise DiedError


def quarantined(scene: Scene) -> Deed:
    put(scene, scene.claim(DATASET), "quarantine:-:0:0:0:rejected")
    return busy(scene)


def given_back(scene: Scene) -> Deed:
    put(scene, scene.claim(DATASET), "retry:-:0:0:0:released")
    return busy(scene)


# ---- before a sweeper's pass


def stale(scene: Scene) -> Deed:
    scene.fs.close(scene.claim(DATASET).handle)
    scene.sweep()
    scene.clock.advance(scene.spec.lease.expires_seconds + 1)
    scene.sweep()
    scene.clock.advance(2 * scene.spec.lease.heartbeat_seconds)
    return busy(scene)


def noted(scene: Scene) -> Deed:
    """Its owner left a note that the storage failed."""
    claim = scene.claim(DATASET)
    scene.elsewhere().leave(claim)
    scene.fs.close(claim.handle)
    return busy(scene)


def backing_off(scene: Scene) -> Deed:
    end(scene, scene.claim(DATASET), Cause.FAILED)
    scene.sweep()
    scene.clock.advance(31)
    return busy(scene)


def asked_while_backing_off(scene: Scene) -> Deed:
    end(scene, scene.claim(DATASET), Cause.FAILED)
    (scene.a / DATASET / "retry.first").touch()
    return busy(scene)


def asked_while_quarantined(scene: Scene) -> Deed:
    end(scene, scene.claim(DATASET), Cause.REJECTED)
    (scene.a / "_failed" / DATASET / "retry.first").touch()
    return busy(scene)


def asked_while_at_work(scene: Scene) -> Deed:
    scene.fs.close(scene.claim(DATASET).handle)
    (scene.a / DATASET / "retry.first").touch()
    return busy(scene)


def granted_by_halves(scene: Scene) -> Deed:
    """A sweeper died between the two registers of a virtual attempt."""
    end(scene, scene.claim(DATASET), Cause.REJECTED)
    there = scene.a / "_failed" / DATASET
    (there / "retry.first.1").touch()
    os.symlink("admin:-:0:-", there / "taken.first.2")
    return busy(scene)


# ---- steps of somebody whose storage is sound


def end(scene: Scene, claim: Claim, cause: Cause) -> None:
    scene.elsewhere().end(claim, cause, "so it is")
    scene.fs.close(claim.handle)


def put(scene: Scene, claim: Claim, value: str) -> None:
    """Put the end of an attempt, and die."""
    os.symlink(value, f"{claim.input}/ended.first.{claim.attempt.number}")
    scene.fs.close(claim.handle)


TURNS: Final = {
    "fresh": Scenario(begin=fresh),
    "released before": Scenario(begin=released),
    "failing once": Scenario(begin=failing, failures_allowed=1),
    "failing for good": Scenario(
        begin=always_failing, may_be_quarantined=True, failures_allowed=1, table={"retry": {"attempts_max": 1}}
    ),
    "rejected": Scenario(begin=rejected, may_be_quarantined=True),
    "revoked": Scenario(begin=revoked),
    "fenced": Scenario(begin=fenced),
    "set-up fails": Scenario(begin=set_up_fails),
    "help: committed": Scenario(begin=died_before("rename", "/out ")),
    "help: published": Scenario(begin=died_before("rename", "/_done/")),
    "help: quarantined": Scenario(begin=quarantined, may_be_quarantined=True),
}
SWEEPS: Final = {
    "committed": Scenario(begin=died_before("rename", "/out "), sweeps=True),
    "published": Scenario(begin=died_before("rename", "/_done/"), sweeps=True),
    "archived": Scenario(begin=died_before("unlink", "attempt.json"), sweeps=True),
    "quarantined": Scenario(begin=quarantined, may_be_quarantined=True, sweeps=True),
    "released": Scenario(begin=given_back, sweeps=True),
    "stale": Scenario(begin=stale, sweeps=True),
    "storage failed": Scenario(begin=noted, sweeps=True),
    "backing off": Scenario(begin=backing_off, sweeps=True, failures_allowed=1),
    "asked while backing off": Scenario(begin=asked_while_backing_off, sweeps=True, failures_allowed=1),
    "asked while quarantined": Scenario(begin=asked_while_quarantined, sweeps=True),
    "asked while at work": Scenario(begin=asked_while_at_work, sweeps=True),
    "granted by halves": Scenario(begin=granted_by_halves, sweeps=True),
}
SCENARIOS: Final = pytest.mark.parametrize(
    "scenario",
    [
        *(pytest.param(scenario, id=f"turn: {name}") for name, scenario in TURNS.items()),
        *(pytest.param(scenario, id=f"sweep: {name}") for name, scenario in SWEEPS.items()),
    ],
)
