"""A few questions to a Prefect server, without Prefect: importing its client takes longer than all of them together."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from typing import cast
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from infra.stack import environment
from infra.stack.errors import StackError

TIMEOUT_SECONDS = 30.0
HEALTH_SECONDS = 2.0
Json = object  # as json reads it

PAGE, BULK = 200, 50  # as many as one answer holds, and one request may delete
NOT_FOUND, UNAVAILABLE = 404, 503
BUSY_SECONDS, PAUSE_SECONDS = 30.0, 0.5  # SQLite lets one write: whoever comes second may be told 503
PLANNED_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A flow run that is not over, as the server knows it."""

    id: str
    name: str
    state: str
    pool: str


class Api:
    """One server, asked from this machine; no proxy stands between."""

    def __init__(self, port: int) -> None:
        self._url = environment.api(port)
        self._opener = build_opener(ProxyHandler({}))

    def is_healthy(self) -> bool:
        """Tell whether a Prefect server answers here."""
        try:
            return self._send("GET", "/health", None, HEALTH_SECONDS) is True
        except (OSError, HTTPException, ValueError):
            return False

    def pool_type(self, pool: str) -> str | None:
        """Return the type of a work pool; None if there is none of that name."""
        found = self._find(f"/work_pools/{pool}")
        return None if found is None else str(found["type"])

    def create_pool(self, pool: Mapping[str, Json]) -> None:
        self._done("POST", "/work_pools/", pool)

    def update_pool(self, name: str, changes: Mapping[str, Json]) -> None:
        self._done("PATCH", f"/work_pools/{name}", changes)

    def online_since(self, pool: str, worker: str) -> float:
        """Return when a worker was heard of last, in seconds since the epoch; 0 if it never was."""
        answer = self._done("POST", f"/work_pools/{pool}/workers/filter", {"limit": PAGE})
        found = [one for one in cast("list[dict[str, str]]", answer) if one["name"] == worker]
        return datetime.fromisoformat(found[0]["last_heartbeat_time"]).timestamp() if found else 0.0

    def count_deployments(self) -> int:
        return cast("int", self._done("POST", "/deployments/count", {}))

    def set_interval(self, deployment: str, seconds: float) -> None:
        """Let a deployment's schedules be due every so many seconds. Raises StackError if it has none."""
        found = self._find(f"/deployments/name/{deployment}")
        schedules = [] if found is None else cast("list[dict[str, str]]", found["schedules"])
        if found is None or not schedules:
            raise StackError(f"the deployment {deployment} has no schedule: look into prefect.yaml")
        for schedule in schedules:
            path = f"/deployments/{found['id']}/schedules/{schedule['id']}"
            self._done("PATCH", path, {"schedule": {"interval": seconds}, "active": True})
        # The scheduler looks at a changed schedule at its next round only.
        self._done("POST", f"/deployments/{found['id']}/schedule", {"min_time": PLANNED_SECONDS})

    def unfinished(self, pools: Sequence[str], states: Sequence[str]) -> list[Run]:
        """Return the runs of these pools in these types of state, the first PAGE of them."""
        asked = {
            "work_pools": {"name": {"any_": [*pools]}},
            "flow_runs": {"state": {"type": {"any_": [*states]}}},
            "limit": PAGE,
        }
        answer = cast("list[dict[str, str]]", self._done("POST", "/flow_runs/filter", asked))
        return [
            Run(id=one["id"], name=one["name"], state=one["state_type"], pool=one["work_pool_name"]) for one in answer
        ]

    def forget_planned(self, pool: str) -> None:
        """Delete the runs that the scheduler has planned for a pool and nobody has begun; it plans new ones itself."""
        asked = {
            "work_pools": {"name": {"any_": [pool]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "limit": PAGE,
        }
        found = cast("list[dict[str, Json]]", self._done("POST", "/flow_runs/filter", asked))
        planned = [one["id"] for one in found if one["auto_scheduled"]]
        for start in range(0, len(planned), BULK):
            self._done("POST", "/flow_runs/bulk_delete", {"flow_runs": {"id": {"any_": planned[start : start + BULK]}}})

    def set_state(self, run: str, state: str, message: str) -> None:
        """Propose a state for a run, as the button in the UI does."""
        self._done("POST", f"/flow_runs/{run}/set_state", {"state": {"type": state, "message": message}})

    def _find(self, path: str) -> dict[str, Json] | None:
        try:
            return cast("dict[str, Json]", self._ask("GET", path))
        except HTTPError as error:
            if error.code == NOT_FOUND:
                return None
            raise self._refused("GET", path, error) from None

    def _done(self, method: str, path: str, body: Mapping[str, Json]) -> Json:
        try:
            return self._ask(method, path, body)
        except HTTPError as error:
            raise self._refused(method, path, error) from None
        except (OSError, HTTPException, ValueError) as error:
            raise StackError(f"the server at {self._url} does not answer: {error}") from None

    def _refused(self, method: str, path: str, error: HTTPError) -> StackError:
        said = error.read().decode("utf-8", errors="replace")[:500]
        return StackError(f"the server refused {method} {path} ({error.code}): {said}")

    def _ask(
        self, method: str, path: str, body: Mapping[str, Json] | None = None, *, seconds: float = TIMEOUT_SECONDS
    ) -> Json:
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return self._send(method, path, body, seconds)
            except HTTPError as error:
                if error.code != UNAVAILABLE or time.monotonic() > until:
                    raise
            time.sleep(PAUSE_SECONDS)

    def _send(self, method: str, path: str, body: Mapping[str, Json] | None, seconds: float) -> Json:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - always http
        with self._opener.open(request, timeout=seconds) as answer:
            text = cast("bytes", answer.read())
        return cast("Json", json.loads(text)) if text else None
