"""Do the transports keep what `Transport` promises on a real SLURM: by its tools, by its API on TCP and on a socket?"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from infra.cluster.cluster import Cluster
from infra.cluster.shape import REST, REST_LOCAL
from infra.slurm.sbatch import SbatchTransport
from infra.slurm.slurmrestd import SlurmrestdTransport, connect
from infra.slurm.spec import JobSpec
from infra.slurm.tools import Tools
from infra.slurm.transport import Transport
from tests.contract import test_transport
from tests.contract.clusters import LIMIT_SECONDS, Held
from tests.ports import free_port
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.cluster,
    # httpcore leaves a Unix socket that nobody listens on to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
globals().update({name: test for name, test in vars(test_transport).items() if name.startswith("test_")})

ONE_SLOT = ("exclusive", "nodelist=n1")


class RealCluster(Held):
    """See `tests.contract.clusters.Cluster`. `environment` is the worker's: it points elsewhere while SLURM is away."""

    def __init__(self, top: Path, slurm: Cluster, make: Callable[[str, Mapping[str, str]], Transport]) -> None:
        super().__init__(top)
        self.slurm, self._make = slurm, make
        self.token = top / "token"
        self.token.touch(0o600)
        self.token.write_text(slurm.ask("scontrol", "token", "lifespan=3600"))
        self.environment = {**os.environ, **slurm.environment()}
        self._tags: set[str] = set()
        self.transport: Transport = self.worker()
        self.another: Transport = self.worker()

    def worker(self) -> Transport:
        return self._make(str(self.jobs), self.environment)

    def held(self, tag: str) -> JobSpec:
        self._tags.add(tag)
        return replace(super().held(tag), directives=ONE_SLOT, memory_mb=16)

    @contextmanager
    def away(self) -> Generator[None]:
        """Nobody listens where SLURM was, and the storage is not mounted."""
        before = dict(self.environment)
        elsewhere = self.jobs.parent.parent / "elsewhere.conf"
        configuration = Path(self.environment["SLURM_CONF"])
        elsewhere.write_text(f"{configuration.read_text()}\nSlurmctldPort={free_port()}\n")
        self.environment["SLURM_CONF"] = str(elsewhere)
        for daemon in (REST, REST_LOCAL):
            self.slurm.stop(daemon)
        try:
            with self.unmounted():
                yield
        finally:
            self.environment.clear()
            self.environment.update(before)
            self.slurm.up()

    def close(self) -> None:
        """End what the test has left."""
        jobs = self.transport.find(self._tags).values()
        self.transport.cancel(jobs)
        wait_until(lambda: "n1" not in self.slurm.ask("squeue", "-h", "-o", "%N"), LIMIT_SECONDS, "n1 to be free")


def by_tools(jobs: str, environment: Mapping[str, str]) -> Transport:
    controller, accounts = (Tools(environment=environment, call_seconds=2.0) for _ in range(2))
    return SbatchTransport(jobs, tools=controller, accounts=accounts)


@pytest.fixture(params=["sbatch", "slurmrestd over TCP", "slurmrestd by its socket"])
def cluster(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Generator[RealCluster]:
    """A node of a real cluster that only one job at a time can have."""

    def by_rest(jobs: str, environment: Mapping[str, str]) -> Transport:
        named = {"PHASELINE_SLURMRESTD_URL": cluster.rest_url, "PHASELINE_SLURMRESTD_TOKEN_FILE": f"{tmp_path}/token"}
        if "socket" in request.param:
            named = {"PHASELINE_SLURMRESTD_URL": cluster.rest_socket_url}
        return SlurmrestdTransport(jobs, connect=lambda: connect({**environment, **named}), environment=environment)

    made = RealCluster(tmp_path, cluster, by_tools if request.param == "sbatch" else by_rest)
    yield made
    made.close()
