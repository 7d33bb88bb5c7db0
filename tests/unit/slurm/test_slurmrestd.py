"""Does the transport `slurmrestd` ask once for all, hand in once, and say what is wrong with its set-up?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from infra.slurm.inquiry import ended_jobs
from infra.slurm.pace import Pace
from infra.slurm.rest_client import RestClient, read_address
from infra.slurm.slurmrestd import PATH, QUICK_SECONDS, SlurmrestdTransport, open_slurmrestd
from infra.slurm.states import JobState
from infra.slurm.token import TokenFile
from infra.slurm.transport import SubmissionRefusedError, TransportUnavailableError
from tests.contract.clusters import report_of
from tests.contract.rest_daemon import URL, RestCluster
from tests.unit.slurm.recordings import VERSIONS
from tests.unit.slurm.test_token import token_file


@pytest.fixture(params=VERSIONS)
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RestCluster]:
    made = RestCluster(tmp_path, str(request.param))
    yield made
    made.close()


def asked(cluster: RestCluster) -> list[str]:
    """Return what was asked since the last time, but for the search for the version."""
    requests = [one.replace(cluster.daemon.version, "V") for one in cluster.daemon.requests]
    cluster.daemon.requests.clear()
    return [one for one in requests if not one.endswith("/ping")]


def test_one_question_answers_for_all_jobs(cluster: RestCluster) -> None:
    jobs = [cluster.transport.submit(cluster.held(f"a.{number}")) for number in range(5)]
    assert asked(cluster) == ["POST /slurm/V/job/submit"] * 5
    assert len(cluster.transport.look(jobs)) == 5
    assert asked(cluster) == ["GET /slurm/V/jobs"]
    cluster.transport.look([])
    cluster.transport.cancel([])
    assert cluster.transport.find(["a.0", "a.9"]) == {"a.0": jobs[0]}
    assert asked(cluster) == []


def test_a_job_whose_answer_was_lost_is_found_by_its_comment(cluster: RestCluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    directory = cluster.jobs / "a.1"
    (directory / "submitted").unlink()
    (directory / "job").unlink()
    assert cluster.another.find(["a.1"]) == {"a.1": job}
    assert (directory / "submitted").readlink() == Path("1")
    (directory / "submitted").unlink()
    assert cluster.another.submit(cluster.held("a.1")) == job
    assert len(cluster.daemon.jobs) == 1


def test_a_second_submission_is_never_taken_for_the_first(cluster: RestCluster) -> None:
    """The first's answer was lost, and SLURM had not listed it yet: the second ends at once, with exit code 0."""
    cluster.transport.submit(cluster.held("a.1"))
    directory = cluster.jobs / "a.1"
    second = cluster.transport.submit(cluster.held("a.2"))
    cluster.daemon.jobs[2].comment = "a.1"
    cluster.daemon.end(2, JobState.COMPLETED)
    job = f"2:{directory}"
    assert second == f"2:{cluster.jobs / 'a.2'}"
    assert report_of(cluster.transport, job).state is JobState.RUNNING
    cluster.transport.cancel([job])
    assert cluster.daemon.jobs[1].state is JobState.CANCELLED


def test_a_job_that_slurm_has_forgotten_is_known_by_its_result(cluster: RestCluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    cluster.daemon.jobs.clear()
    assert cluster.transport.look([job]) == {job: None}
    result = {"state": "FAILED", "exit_code": 3, "signal": None, "restarts": 0, "started": 1, "ended": 2, "node": "n1"}
    (cluster.jobs / "a.1" / "began.1.0").touch()
    (cluster.jobs / "a.1" / "result.1.0").write_text(json.dumps(result))
    assert report_of(cluster.transport, job).exit_code == 3


def test_a_number_that_is_another_tags_now_is_not_ours(cluster: RestCluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    cluster.daemon.jobs[1].comment = "b.1"
    assert cluster.transport.look([job]) == {job: None}
    cluster.transport.cancel([job])
    assert cluster.daemon.jobs[1].state is JobState.RUNNING


def test_what_slurm_refuses_is_refused_and_not_looked_for(cluster: RestCluster) -> None:
    with pytest.raises(SubmissionRefusedError, match=r"Invalid partition name.*sinfo -s"):
        cluster.transport.submit(replace(cluster.held("a.1"), partition="nope"))
    with pytest.raises(SubmissionRefusedError, match="spread-job"):
        cluster.transport.submit(replace(cluster.held("a.1"), directives=("spread-job",)))
    assert cluster.transport.find(["a.1"]) == {}
    assert asked(cluster) == ["POST /slurm/V/job/submit"]


def test_a_token_for_somebody_else_is_no_answer(cluster: RestCluster, tmp_path: Path) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    token_file(tmp_path, "another")
    with pytest.raises(TransportUnavailableError, match="scontrol token"):
        cluster.transport.look([job])


def test_slurmrestd_away_is_no_answer_and_hands_in_nothing_twice(cluster: RestCluster) -> None:
    cluster.daemon.is_away = True
    for _ in range(2):
        with pytest.raises(TransportUnavailableError, match="Connection refused"):
            cluster.transport.submit(cluster.held("a.1"))
    with pytest.raises(TransportUnavailableError, match="Connection refused"):
        cluster.another.find(["a.1"])
    cluster.daemon.is_away = False
    job = cluster.worker().submit(cluster.held("a.1"))
    assert cluster.another.find(["a.1"]) == {"a.1": job}
    assert len(cluster.daemon.jobs) == 1


def test_a_long_queue_is_asked_for_the_more_seldom(cluster: RestCluster) -> None:
    now = [0.0]

    def slowly(request: httpx.Request) -> httpx.Response:
        now[0] += 4 * QUICK_SECONDS
        return cluster.daemon.answer(request)

    transport = cluster.worker()
    transport.monotonic = lambda: now[0]
    jobs = [transport.submit(cluster.held(f"a.{number}")) for number in range(2)]
    cluster.route.mock(side_effect=slowly)
    asked(cluster)
    for _ in range(100):
        now[0] += 2.0
        transport.look(jobs)
    assert len(asked(cluster)) <= 12
    transport.look([transport.submit(cluster.held("a.3"))])
    assert asked(cluster) == ["POST /slurm/V/job/submit", "GET /slurm/V/jobs"]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "PHASELINE_SLURMRESTD_URL is not set"),
        ({"PHASELINE_SLURMRESTD_URL": "host"}, "it must be http://host:6820"),
        ({"PHASELINE_SLURMRESTD_URL": URL}, "PHASELINE_SLURMRESTD_TOKEN_FILE is not set"),
    ],
)
def test_a_wrong_set_up_says_what_to_set(tmp_path: Path, environment: dict[str, str], words: str) -> None:
    transport = open_slurmrestd(str(tmp_path), environment)
    job = f"1:{tmp_path / 'a.1'}"
    with pytest.raises(TransportUnavailableError, match=words):
        transport.look([job])
    with pytest.raises(TransportUnavailableError, match=words):
        transport.cancel([job])
    with pytest.raises(SubmissionRefusedError, match=words):
        transport.submit(RestCluster.held_in(tmp_path, "a.1"))
    assert os.listdir(tmp_path) == []


def test_the_environment_names_slurmrestd_token_and_user(cluster: RestCluster) -> None:
    said = {
        "PHASELINE_SLURMRESTD_URL": URL,
        "PHASELINE_SLURMRESTD_TOKEN_FILE": str(cluster.token),
        "PHASELINE_SLURMRESTD_USER": "bob",
        "LANG": "C.UTF-8",
        "PREFECT_API_KEY": "secret",
    }
    transport = open_slurmrestd(str(cluster.jobs), said)
    assert transport.name == "slurmrestd"
    transport.submit(cluster.held("a.1"))
    request = cluster.route.calls.last.request
    assert request.headers["X-SLURM-USER-NAME"] == "bob"
    job = json.loads(request.content)["job"]
    inherited = {"PATH": PATH, "LANG": "C.UTF-8"}
    assert job["environment"] in (inherited, [f"{name}={value}" for name, value in inherited.items()])


def test_the_sweepers_question_goes_over_http_where_there_is_no_command(
    cluster: RestCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster.transport.submit(cluster.held("a.1"))
    cluster.transport.submit(cluster.held("a.2"))
    cluster.daemon.end(1, JobState.FAILED, exit_code=3)
    monkeypatch.setenv("PHASELINE_SLURMRESTD_URL", URL)
    monkeypatch.setenv("PHASELINE_SLURMRESTD_TOKEN_FILE", str(cluster.token))
    monkeypatch.setenv("PATH", str(tmp_path))
    asked(cluster)
    assert ended_jobs(["1.0", "2.0", "3.0", "nonsense"]) == {"1.0": True, "2.0": False}
    assert asked(cluster) == ["GET /slurm/V/jobs"]


def test_submissions_keep_a_pace(cluster: RestCluster) -> None:
    pauses: list[float] = []
    transport = SlurmrestdTransport(
        str(cluster.jobs),
        connect=lambda: RestClient(read_address(URL), user="alice", file=TokenFile(str(cluster.token), "alice")),
        pace=Pace(burst=2, per_second=1, monotonic=lambda: 0.0, pause=pauses.append),
    )
    for number in range(4):
        transport.submit(cluster.held(f"a.{number}"))
    assert len(pauses) == 2
