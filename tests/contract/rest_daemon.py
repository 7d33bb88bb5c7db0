"""A slurmrestd of one slot, in memory: it answers in the shapes that real ones of three versions were recorded with."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx
import respx

from infra.slurm.pace import Pace
from infra.slurm.rest_client import RestClient, read_address
from infra.slurm.slurmrestd import SlurmrestdTransport
from infra.slurm.spec import JobSpec
from infra.slurm.states import JobState, Phase
from infra.slurm.token import TokenFile
from infra.slurm.transport import Transport
from tests.unit.slurm.recordings import Recorded, recorded

URL = "http://slurm.example:6820"
TOKEN = "secret"
FIRST = "v0.0.38"


@dataclass(slots=True, kw_only=True)
class _Job:
    number: int
    comment: str
    directory: Path
    state: JobState = JobState.PENDING
    node: str = ""
    exit_code: int = 0
    signal: int = 0


class FakeDaemon:
    """Jobs do not run: what their scripts would leave first, the link `job`, it makes itself."""

    def __init__(self, version: str, slots: int = 1) -> None:
        self.version, self.is_away = version, False
        self.jobs: dict[int, _Job] = {}
        self.requests: list[str] = []
        self._slots = slots

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as slurmrestd does; away, nobody is there."""
        if self.is_away:
            raise httpx.ConnectError("Connection refused")
        path = request.url.path
        self.requests.append(f"{request.method} {path}")
        said = recorded(self.version, "ping")
        if not path.startswith(f"/slurm/{self.version}/"):
            said = recorded(self.version, "unknown_version")
        elif "X-SLURM-USER-TOKEN" not in request.headers:
            said = recorded(self.version, "no_token")
        elif request.headers["X-SLURM-USER-TOKEN"] != TOKEN:
            said = recorded(self.version, "bad_token_job")
        elif path.endswith("/job/submit"):
            return self._submit(cast("dict[str, object]", json.loads(request.content)))
        elif path.endswith("/jobs"):
            return httpx.Response(200, json={"jobs": [self._show(job) for job in self.jobs.values()], "errors": []})
        elif request.method == "DELETE":
            said = self._delete(int(path.rpartition("/")[2]))
        return httpx.Response(said.status, content=said.content())

    def begin(self) -> None:
        """Start what waits while there is room."""
        for job in self.jobs.values():
            running = sum(one.state is JobState.RUNNING for one in self.jobs.values())
            if job.state is JobState.PENDING and running < self._slots:
                job.state, job.node = JobState.RUNNING, "n1"
                os.symlink(str(job.number), job.directory / "job")

    def end(self, number: int, state: JobState, *, exit_code: int = 0, signal: int = 0) -> None:
        job = self.jobs[number]
        job.state, job.exit_code, job.signal = state, exit_code, signal
        self.begin()

    def _submit(self, body: dict[str, object]) -> httpx.Response:
        job = cast("dict[str, str]", body["job"])
        if job.get("partition") == "nope":
            said = recorded(self.version, "submit_bad_partition")
            return httpx.Response(said.status, content=said.content())
        for mandatory in ("environment", "current_working_directory"):
            assert job[mandatory]
        assert isinstance(job["environment"], dict if self.version == FIRST else list)
        number = len(self.jobs) + 1
        directory = Path(os.path.dirname(job["standard_output"].replace("%%", "%")))
        self.jobs[number] = _Job(number=number, comment=job["comment"], directory=directory)
        self.begin()
        said = cast("dict[str, object]", copy.deepcopy(recorded(self.version, "submit_ok").body))
        return httpx.Response(200, json=said | {"job_id": number})

    def _delete(self, number: int) -> Recorded:
        job = self.jobs.get(number)
        if job is None:
            return recorded(self.version, "cancel_unknown")
        if job.state.phase is Phase.OVER:
            return recorded(self.version, "cancel_again")
        self.end(number, JobState.CANCELLED, signal=15 if job.node else 0)
        return recorded(self.version, "cancel_running")

    def _show(self, job: _Job) -> Mapping[str, object]:
        is_first = self.version == FIRST
        status: object = job.exit_code << 8 | job.signal
        if not is_first:
            status = {
                "status": ["SIGNALED" if job.signal else "SUCCESS"],
                "return_code": {"set": not job.signal, "infinite": False, "number": job.exit_code},
                "signal": {"id": {"set": bool(job.signal), "infinite": False, "number": job.signal}, "name": ""},
            }
        return recorded(self.version, "job_RUNNING").jobs[0] | {
            "job_id": job.number,
            "comment": job.comment,
            "job_state": str(job.state) if is_first else [str(job.state)],
            "state_reason": "Resources" if job.state is JobState.PENDING else "None",
            "exit_code": status,
            "nodes": job.node,
            "batch_host": job.node,
        }


class RestCluster:
    """See `tests.contract.clusters.Cluster`."""

    def __init__(self, top: Path, version: str) -> None:
        self.daemon = FakeDaemon(version)
        self._root, self._elsewhere = top / "root", top / "elsewhere"
        self.jobs = self._root / "_jobs"
        self.jobs.mkdir(parents=True)
        self.token = top / "token"
        self.token.touch(0o600)
        self.token.write_text(TOKEN)
        self._router = respx.mock(assert_all_called=False)
        self.route = self._router.route(url__regex=re.escape(URL))
        self.route.mock(side_effect=self.daemon.answer)
        self._router.start()
        self.transport: Transport = self.worker()
        self.another: Transport = self.worker()

    def worker(self) -> SlurmrestdTransport:
        """Return another worker's transport."""
        file = TokenFile(str(self.token), "alice")
        return SlurmrestdTransport(
            str(self.jobs),
            connect=lambda: RestClient(read_address(URL), user="alice", file=file, pause=lambda _: None),
            environment={"PATH": "/bin"},
            pace=Pace(pause=lambda _: None),
        )

    def held(self, tag: str) -> JobSpec:
        return self.held_in(self.jobs, tag)

    @staticmethod
    def held_in(jobs: Path, tag: str) -> JobSpec:
        return JobSpec(tag=tag, name=tag, directory=str(jobs / tag), command=("true",), working_directory=str(jobs))

    def tell(self, job: str, exit_code: int) -> None:
        state = JobState.FAILED if exit_code else JobState.COMPLETED
        self.daemon.end(int(job.partition(":")[0]), state, exit_code=exit_code)

    @contextmanager
    def away(self) -> Generator[None]:
        """Nobody answers, and what stands on the storage is no answer either."""
        self.daemon.is_away = True
        self._root.rename(self._elsewhere)
        try:
            yield
        finally:
            self._elsewhere.rename(self._root)
            self.daemon.is_away = False

    def close(self) -> None:
        self._router.stop()
