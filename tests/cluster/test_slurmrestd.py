"""Is a job by slurmrestd what it is by sbatch? What if its token expires, or the controller is away?"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from infra.cluster.cluster import Cluster
from infra.cluster.shape import CONTROLLER
from infra.slurm.runs import RunState
from infra.slurm.sbatch import SbatchTransport
from infra.slurm.slurmrestd import SlurmrestdTransport, connect
from infra.slurm.spec import JobSpec
from infra.slurm.states import JobState, Phase
from infra.slurm.tools import Tools
from infra.slurm.transport import SubmissionRefusedError, TransportUnavailableError
from tests.cluster.site import Site
from tests.contract.clusters import report_of, wait_for
from tests.end_to_end.prefect.ground import Ground
from tests.waiting import wait_until

pytestmark = pytest.mark.cluster

LIMIT_SECONDS = 60.0
# What differs from one submission to the next, whoever makes it; and `Command`, which slurmrestd has none of.
OF_THE_MOMENT = frozenset(
    {
        *("JobId", "Comment", "JobState", "Reason", "Priority", "Scheduler", "NodeList", "BatchHost", "AllocNode:Sid"),
        *("RunTime", "SubmitTime", "EligibleTime", "AccrueTime", "StartTime", "EndTime", "LastSchedEval", "Deadline"),
        *("SuspendTime", "SecsPreSuspend", "PreemptTime", "Command", "Nodes", "CPU_IDs"),
    }
)


def rest(cluster: Cluster, jobs: Path, token: Path | None = None) -> SlurmrestdTransport:
    named = {"PHASELINE_SLURMRESTD_URL": cluster.rest_socket_url}
    if token is not None:
        named = {"PHASELINE_SLURMRESTD_URL": cluster.rest_url, "PHASELINE_SLURMRESTD_TOKEN_FILE": str(token)}
    return SlurmrestdTransport(str(jobs), connect=lambda: connect(named))


def spec(jobs: Path, tag: str, *command: str) -> JobSpec:
    return JobSpec(
        tag=tag,
        name="a 'name' $(of) \"it\" %j ü",
        directory=str(jobs / tag),
        command=command or ("true",),
        working_directory=str(jobs),
    )


def number_of(job: str) -> str:
    return job.partition(":")[0]


def shown(cluster: Cluster, job: str) -> Mapping[str, str]:
    """Return what SLURM keeps of a job, by its own words, without what is of the moment and the job's own directory."""
    number, _, directory = job.partition(":")
    said = cluster.ask("scontrol", "-d", "show", "job", number).replace(directory, "DIRECTORY")
    said = said.replace("TimeLimit=UNLIMITED", "TimeLimit=365-00:00:00")  # what its backfill makes of none
    pairs = re.findall(r"(?:^|\s)([A-Z][\w/:]*)=(.*?)(?=\s[A-Z][\w/:]*=|\s*$)", said, re.MULTILINE)
    return {name: value for name, value in pairs if name not in OF_THE_MOMENT}


SPECS: Mapping[str, Mapping[str, object]] = {
    "nothing more": {},
    "everything": {
        "time_limit_seconds": 4000,
        "cpus": 3,
        "memory_mb": 321,
        "gpus": 1,
        "partition": "gpu",
        "account": "physics",
        "exclude": "n3",
        "requeue": False,
    },
    "gres of another kind": {"gres": ("gpu:2",), "partition": "gpu"},
    "days": {"time_limit_seconds": 3 * 86_400 + 61},
    "free directives": {
        "directives": ("nice=7", "mail-type=END,FAIL", "mail-user=somebody", "nodelist=n2", "exclusive", "mincpus=2"),
    },
}


@pytest.mark.parametrize("kind", SPECS)
def test_slurm_keeps_the_same_of_a_job_as_by_sbatch(cluster: Cluster, tmp_path: Path, kind: str) -> None:
    tools = Tools(environment={**os.environ, **cluster.environment()})
    kept: list[Mapping[str, str]] = []
    for number, transport in enumerate((SbatchTransport(str(tmp_path), tools=tools), rest(cluster, tmp_path))):
        one = replace(spec(tmp_path, f"a.{number}", "sleep", "60"), **SPECS[kind])  # pyright: ignore[reportArgumentType]  # by name
        job = transport.submit(one)
        wait_for(transport, job, JobState.RUNNING)
        kept.append(shown(cluster, job))
        transport.cancel([job])
        wait_until(
            lambda job=job: number_of(job) not in cluster.ask("squeue", "-h", "-o", "%A").split(), LIMIT_SECONDS, job
        )
    by_sbatch, by_rest = kept
    assert by_rest == by_sbatch


def test_a_token_that_expires_is_said_and_the_next_one_used(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token, jobs = tmp_path / "token", tmp_path / "jobs"
    jobs.mkdir()
    token.touch(0o600)
    token.write_text(cluster.ask("scontrol", "token", "lifespan=3600"))
    transport = rest(cluster, jobs, token)
    job = transport.submit(spec(jobs, "a.1", "sleep", "60"))
    token.write_text(cluster.ask("scontrol", "token", "lifespan=1"))
    ends = time.time() + 2
    wait_until(lambda: time.time() > ends, LIMIT_SECONDS, "its end")
    with pytest.raises(TransportUnavailableError, match=r"/token has expired: write a new one with `scontrol token"):
        transport.look([job])
    token.write_text(cluster.ask("scontrol", "token", "lifespan=3600"))
    assert report_of(transport, job).state.phase is not Phase.OVER
    transport.cancel([job])
    assert wait_for(transport, job, JobState.CANCELLED).state is JobState.CANCELLED
    assert "httpcore" in {record.name.partition(".")[0] for record in caplog.records}
    assert token.read_text().strip().removeprefix("SLURM_JWT=") not in caplog.text


@pytest.mark.parametrize("secret", ["nonsense", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdW4iOiJyb290In0.AAAA"])
def test_a_token_that_is_none_is_no_answer(cluster: Cluster, tmp_path: Path, secret: str) -> None:
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(secret)
    with pytest.raises(TransportUnavailableError, match="scontrol token") as raised:
        rest(cluster, tmp_path, token).submit(spec(tmp_path, "a.1"))
    assert secret not in str(raised.value)


def test_what_slurm_refuses_says_what_to_set(cluster: Cluster, tmp_path: Path) -> None:
    transport = rest(cluster, tmp_path)
    for change, words in (
        ({"partition": "nope"}, "job variable 'partition'"),
        ({"constraint": "nope"}, "job variable 'constraint'"),
        ({"reservation": "nope"}, "job variable 'reservation'"),
        ({"directives": ("licenses=nope:1",)}, "job variable 'directives'"),
        ({"gres": ("nope:1",)}, "job variables 'gres' and 'directives'"),
        ({"exclude": "nope"}, "job variable 'exclude'"),
    ):
        with pytest.raises(SubmissionRefusedError, match=words):
            transport.submit(replace(spec(tmp_path, "a.1"), **change))


def test_the_controller_is_away_and_comes_back(own_cluster: Cluster, tmp_path: Path) -> None:
    transport = rest(own_cluster, tmp_path)
    job = transport.submit(spec(tmp_path, "a.1", "sleep", "60"))
    wait_for(transport, job, JobState.RUNNING)
    own_cluster.stop(CONTROLLER)
    with pytest.raises(TransportUnavailableError, match="slurmrestd at unix:"):
        transport.look([job])
    own_cluster.up()

    def is_asked() -> bool:
        try:
            return report_of(transport, job).state is JobState.RUNNING
        except TransportUnavailableError:
            return False

    wait_until(is_asked, LIMIT_SECONDS, "it to be asked again")
    transport.cancel([job])
    assert wait_for(transport, job, JobState.CANCELLED).node


def test_a_script_is_warned_before_its_limit(cluster: Cluster, tmp_path: Path) -> None:
    """SLURM 22.05 has no such warning over this API; the script warns itself, half a minute before the end."""
    transport = rest(cluster, tmp_path)
    waits = "trap 'echo warned; exit 5' USR1; sleep 70 & wait"
    job = transport.submit(
        replace(spec(tmp_path, "a.1", "bash", "-c", waits), time_limit_seconds=60, warning_seconds=30)
    )
    wait_until(
        lambda: report_of(transport, job).state.phase is Phase.OVER, 90.0, lambda: f"{report_of(transport, job)}"
    )
    over = report_of(transport, job)
    assert (over.state, over.exit_code) == (JobState.FAILED, 5)
    assert "warned" in (tmp_path / "a.1" / "output").read_text()


def test_a_poller_goes_through_over_the_api(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELINE_SLURMRESTD_URL", cluster.rest_socket_url)
    ground = Ground(top=tmp_path / "site", works=("carry",))
    with Site(cluster=cluster, ground=ground, transport="slurmrestd") as site:
        ground.add(3)
        run = site.ask("poll")
        site.wait(run, RunState.COMPLETED)
        assert site.lines(run) == site.printed(run)
        site.finish()
