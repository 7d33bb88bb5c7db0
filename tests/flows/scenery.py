"""A root in which everything is half-way, and what the API says of a run afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import cast
from uuid import UUID

import httpx

from stages.engine.errors import StorageError
from stages.engine.policy import Cause
from stages.engine.work.outcome import OutcomeKind
from tests.fakes import FakeWork, answer, raising
from tests.invariants import Expectation, Stage, observe, violations
from tests.unit.chain import Chain
from tests.waiting import wait_until

NAMES = ("asked", "committed", "fresh", "lost", "refused", "rejected", "untidy")
RECORDED_SECONDS = 20.0


def half_way(chain: Chain) -> None:
    """Put datasets into the first stage and let them be left in every way that a sweep mends."""
    for name in ("asked", "rejected"):
        chain.put(name)
    chain.poll("first", FakeWork(answer(OutcomeKind.REJECT, "empty")))
    chain.path("IN/_failed/asked/retry.first").touch()
    chain.put("committed")
    chain.fs.before("rename", "MID/committed", raising(5))
    try:
        chain.poll("first")
    except StorageError:
        pass  # the poller ends with its output committed and not yet published
    chain.fs.calm()
    for name in ("lost", "refused", "untidy"):
        chain.put(name)
        chain.claim("first", name)
    (private,) = chain.path("IN/_work").glob("lost.1.*")
    (private / "attempt.json").rename(private / "storage.json")
    os.symlink("quarantine:-:1:0:0:boom", chain.path("IN/refused/ended.first.1"))
    os.symlink(f"retry:-:0:0:0:{Cause.RELEASED}", chain.path("IN/untidy/ended.first.1"))
    chain.put("fresh")


def broken(chain: Chain, *, at_rest: bool) -> Sequence[str]:
    """Every promise that is broken, in words."""
    stages = (Stage(name="first", reads="IN", writes="MID"), Stage(name="second", reads="MID", writes="RESULTS"))
    expected = Expectation(
        stages=stages,
        arrived={"IN": NAMES},
        may_fail=frozenset({"asked", "refused", "rejected"}),
        must_fail=frozenset({"refused", "rejected"}),
        may_block=False,
        at_rest=at_rest,
        durable=False,
    )
    return violations(observe(chain.fs, chain.root.path, ["IN", "MID", "RESULTS"]), expected)


class Records:
    """What a server has recorded of a run."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _post(self, path: str, body: object) -> object:
        response = httpx.post(f"{self._url}/{path}", json=body, timeout=30)
        response.raise_for_status()
        return response.json()

    def table(self, key: str, run: UUID) -> list[dict[str, str]]:
        """The rows of the artifact that a run has written."""
        of_run = {"key": {"any_": [key]}, "flow_run_id": {"any_": [str(run)]}}
        (found,) = cast("list[dict[str, object]]", self._post("artifacts/filter", {"artifacts": of_run}))
        return cast("list[dict[str, str]]", httpx.Response(200, text=str(found["data"])).json())

    def runs(self, run: UUID) -> list[str]:
        """The names of its mapped runs, once they are recorded as ended."""
        of_run = {"flow_runs": {"id": {"any_": [str(run)]}}}

        def ended() -> list[dict[str, object]]:
            found = cast("list[dict[str, object]]", self._post("task_runs/filter", of_run))
            return [one for one in found if one["state_type"] == "COMPLETED"]

        wait_until(lambda: bool(ended()), RECORDED_SECONDS, lambda: "no mapped run was recorded")
        return sorted(str(one["name"]) for one in ended())

    def events(self, run: UUID, count: int) -> dict[str, Mapping[str, object]]:
        """What it told of datasets, by event: payload and resource together. Waits for so many."""
        related = {"related": {"id": [f"prefect.flow-run.{run}"]}, "event": {"prefix": ["datasets."]}}

        def told() -> list[dict[str, object]]:
            answer = cast("dict[str, list[dict[str, object]]]", self._post("events/filter", {"filter": related}))
            return answer["events"]

        wait_until(lambda: len(told()) >= count, RECORDED_SECONDS, lambda: f"{count} events expected, {told()} told")
        both = [(str(one["event"]), one["payload"], one["resource"]) for one in told()]
        assert len({event for event, *_ in both}) == len(both), "one event of a kind for a stage and a sweep"
        return {
            event: {**cast("dict[str, object]", payload), **cast("dict[str, object]", resource)}
            for event, payload, resource in both
        }
