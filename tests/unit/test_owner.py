"""Is the owner of an attempt gone, and whose fault is that?"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.engine import names
from stages.engine.identity import current
from stages.engine.owner import Owners, Silence, read_process
from stages.engine.policy import Cause
from stages.engine.posix import Posix
from stages.engine.records import Taken
from stages.engine.sightings import Freshness, Lease, Sightings

LEASE = Lease(heartbeat_seconds=30.0, expires_seconds=180.0)
OWNER = Taken(token="ab9c6d45", host="node1", pid=4711, job="123.0")
ATTEMPT = names.Attempt("ds1", 1, "ab9c6d45")
HERE = current().process


@pytest.fixture
def private(tmp_path: Path) -> Path:
    (tmp_path / ATTEMPT.directory).mkdir()
    os.utime(tmp_path / ATTEMPT.directory, (1, 1))
    return tmp_path / ATTEMPT.directory


def silence(
    private: Path,
    *nows: float,
    owner: Taken = OWNER,
    job: str = "-",
    job_ended: Callable[[str], bool | str | None] | None = None,
) -> Silence | Freshness:
    owners = Owners(fs=Posix(), lease=LEASE, here=HERE, job=job, job_ended=job_ended)
    seen, found = Sightings(), Freshness.FRESH
    for now in nows or (0.0,):
        found = owners.silence(seen, ATTEMPT, str(private), owner, lambda now=now: now)
    return found


def write_attempt(private: Path, **changes: object) -> None:
    process = {
        "boot_id": HERE.boot_id,
        "pid_namespace": HERE.pid_namespace,
        "pid": HERE.pid,
        "started_ticks": HERE.started_ticks,
        **changes,
    }
    (private / "attempt.json").symlink_to(json.dumps({"format": 1, "process": process}))
    os.utime(private, (1, 1))


def test_silence_for_a_lease_seen_twice_is_lost(private: Path) -> None:
    assert silence(private, 0.0, 180.0) is Freshness.FRESH
    assert silence(private, 0.0, 181.0) is Freshness.SUSPECT
    found = silence(private, 0.0, 181.0, 226.0)
    assert found == Silence(cause=Cause.LOST, why="lost: node1 pid 4711 was silent for more than 180 s")


def test_an_owner_that_never_made_its_place_is_lost_too(tmp_path: Path) -> None:
    assert silence(tmp_path / "nothing") is Freshness.FRESH
    assert isinstance(silence(tmp_path / "nothing", 0.0, 181.0, 226.0), Silence)


def test_a_note_that_the_storage_failed_is_known_at_once_and_counts_nowhere(private: Path) -> None:
    (private / names.STORAGE_NOTE).touch()
    assert silence(private) == Silence(cause=Cause.CLUSTER, why="lost: the storage failed on node1 pid 4711")


def test_a_process_of_this_host_that_is_alive_is_no_hint(private: Path) -> None:
    write_attempt(private)
    assert silence(private) is Freshness.FRESH
    assert isinstance(silence(private, 0.0, 181.0, 226.0), Silence)  # and prolongs nothing


def test_a_process_of_this_host_that_is_gone_shortens_the_wait(private: Path) -> None:
    write_attempt(private, started_ticks=HERE.started_ticks - 1)  # its number was given to another one since
    assert silence(private) == Silence(cause=Cause.LOST, why="lost: its poller (node1 pid 4711) is gone")


@pytest.mark.parametrize("changes", [{"boot_id": "another"}, {"pid_namespace": "pid:[1]"}])
def test_a_process_of_elsewhere_is_no_hint(private: Path, changes: dict[str, object]) -> None:
    write_attempt(private, **{"started_ticks": 1, **changes})
    assert silence(private) is Freshness.FRESH


@pytest.mark.parametrize("answer", [True, False, None])
def test_only_a_job_that_has_ended_is_a_hint(private: Path, answer: bool | None) -> None:
    asked: list[str] = []

    def job_ended(job: str) -> bool | None:
        asked.append(job)
        return answer

    found = silence(private, job_ended=job_ended)
    assert asked == ["123.0"]
    ended = Silence(cause=Cause.LOST, why="lost: its job 123.0 on node1 has ended")
    assert found == (ended if answer else Freshness.FRESH)
    assert isinstance(silence(private, 0.0, 181.0, 226.0, job_ended=job_ended), Silence)


@pytest.mark.parametrize("word", ["preempted", "requeued"])
def test_what_the_cluster_took_away_counts_nowhere(private: Path, word: str) -> None:
    """Also if the process is known to be gone: why it is gone says more."""
    write_attempt(private, started_ticks=HERE.started_ticks - 1)
    found = silence(private, job_ended=lambda job: word)
    assert found == Silence(cause=Cause.CLUSTER, why=f"lost: its job 123.0 on node1 was {word}")


def test_without_a_job_nobody_is_asked(private: Path) -> None:
    owner = Taken(token="ab9c6d45", host="node1", pid=1, job="-")
    assert silence(private, owner=owner, job_ended=lambda job: True) is Freshness.FRESH


def test_an_earlier_start_of_ones_own_job_has_ended_and_that_counts_nowhere(private: Path) -> None:
    found = silence(private, job="123.2")
    assert found == Silence(cause=Cause.CLUSTER, why="lost: its job 123.0 on node1 was requeued")


@pytest.mark.parametrize("job", ["123.0", "-", "", "124.1", "1123.1", "123.", "123.x", "123"])
def test_no_other_job_says_anything_of_it(private: Path, job: str) -> None:
    assert silence(private, job=job) is Freshness.FRESH


@pytest.mark.parametrize("job", ["-", "", ".0", "123.2", "123.10"])
def test_what_is_no_earlier_start_is_no_hint(private: Path, job: str) -> None:
    owner = Taken(token="ab9c6d45", host="node1", pid=1, job=job)
    assert silence(private, owner=owner, job="123.2") is Freshness.FRESH


@pytest.mark.parametrize(
    "said", ["{", "[]", "{}", '{"process": 7}', '{"process": {"pid": "x"}}', '{"process": {"pid": 1}}']
)
def test_an_attempt_json_that_says_something_else_is_no_hint(private: Path, said: str) -> None:
    assert read_process(said) is None
    (private / "attempt.json").symlink_to(said)
    assert silence(private) is Freshness.FRESH


def test_a_file_of_that_name_is_no_hint(private: Path) -> None:
    (private / "attempt.json").write_text("{}")
    assert silence(private) is Freshness.FRESH
