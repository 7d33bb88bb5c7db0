"""Are two jobs put on two nodes, and is it said where that cannot be?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.site.sides import NO_SLURM, ONE_NODE, ApartError, Pair
from infra.site.wishes import Wish
from infra.slurm.spec import JobSpec
from infra.slurm.transport import SubmissionRefusedError, Transport
from tests.fakes_slurm import FakeTransport

WORDS = (("doctor", "--play", "a"), ("doctor", "--play", "b"))


def wish(partition: str = "cpu", **values: object) -> Wish:
    said = {"command": ["phaseline", "poll", "first"], "partition": partition, **values}
    return Wish(name="poll/first", own={}, values=said)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHASELINE_ROOT", str(tmp_path))
    (tmp_path / "_jobs").mkdir()
    return tmp_path


class Cluster:
    """Plays SLURM while the pair waits: jobs begin on the nodes in turn, and end when both are there."""

    def __init__(self, transport: FakeTransport, nodes: tuple[str, ...] = ("n1", "n2"), code: int = 0) -> None:
        self.transport, self.nodes, self.code, self.seconds = transport, nodes, code, 0.0

    def pair(self, transport: Transport | None = None, wait_seconds: float = 60.0) -> Pair:
        return Pair(
            transport=transport or self.transport, wait_seconds=wait_seconds, now=lambda: self.seconds, pause=self.pause
        )

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
        for job, node in zip(list(self.transport.jobs), self.nodes, strict=False):
            if len(self.transport.jobs) == len(self.nodes) == 2 and self.transport.jobs[job].report.node == node:
                self.transport.say(job, "phaseline: last words\n")
                self.transport.end(job, self.code)
            elif not self.transport.jobs[job].report.node:
                self.transport.begin(job, node)

    def specs(self) -> list[JobSpec]:
        return [job.spec for job in self.transport.jobs.values()]


class WithoutExclude(FakeTransport):
    """A cluster of which one partition, or all, have one node."""

    def __init__(self, single: Callable[[JobSpec], bool]) -> None:
        super().__init__()
        self._single = single

    def submit(self, spec: JobSpec) -> str:
        if spec.exclude and self._single(spec):
            raise SubmissionRefusedError("Requested node configuration is not available")
        return super().submit(spec)


def test_the_second_goes_where_the_first_is_not(root: Path) -> None:
    cluster = Cluster(FakeTransport())
    pair = cluster.pair()
    assert pair.carry([wish(), wish("gpu")], WORDS) == []
    first, second = cluster.specs()
    assert (first.partition, first.exclude, first.command) == ("cpu", "", ("phaseline", *WORDS[0]))
    assert (second.partition, second.exclude, second.command) == ("cpu", "n1", ("phaseline", *WORDS[1]))
    assert (first.cpus, first.requeue, pair.notes) == (1, False, [])
    assert os.listdir(root / "_jobs") == []


def test_what_a_deployment_excludes_stays_excluded(root: Path) -> None:
    cluster = Cluster(FakeTransport())
    cluster.pair().carry([wish(exclude="n7")], WORDS)
    assert [spec.exclude for spec in cluster.specs()] == ["n7", "n7,n1"]


def test_a_partition_of_one_node_leads_to_another_partition(root: Path) -> None:
    cluster = Cluster(WithoutExclude(lambda spec: spec.partition == "cpu"), ("n1", "n3"))
    assert cluster.pair().carry([wish(), wish("gpu")], WORDS) == []
    assert [spec.partition for spec in cluster.specs()] == ["cpu", "gpu"]


def test_one_node_in_all_is_told(root: Path) -> None:
    cluster = Cluster(WithoutExclude(lambda spec: True), ("n1", "n1"))
    pair = cluster.pair()
    assert pair.carry([wish(), wish("gpu")], WORDS) == []
    assert pair.notes == [ONE_NODE]


def test_without_slurm_that_is_told(root: Path) -> None:
    class Local(FakeTransport):
        @property
        def name(self) -> str:
            return "local"

    cluster = Cluster(Local(), ("here", "here"))
    pair = cluster.pair()
    assert pair.carry([wish()], WORDS) == []
    assert pair.notes == [NO_SLURM]


def test_a_side_that_fails_has_its_last_words_told(root: Path) -> None:
    cluster = Cluster(FakeTransport(), code=1)
    assert cluster.pair().carry([wish()], WORDS) == [
        "job fake on n1: FAILED NonZeroExitCode: phaseline: last words",
        "job fake on n2: FAILED NonZeroExitCode: phaseline: last words",
    ]


def test_no_node_in_time_is_an_error_and_nothing_is_left_waiting(root: Path) -> None:
    cluster = Cluster(FakeTransport(), ("n1",))
    with pytest.raises(ApartError, match=r"no node in 5 s \(Resources\); see --wait-seconds"):
        cluster.pair(wait_seconds=5.0).carry([wish()], WORDS)
    assert len(cluster.transport.cancelled) == 2


def test_a_refused_job_leaves_no_directory(root: Path) -> None:
    transport = FakeTransport()
    transport.refusal = "Invalid account"
    with pytest.raises(SubmissionRefusedError):
        Cluster(transport).pair().carry([wish()], WORDS)
    assert os.listdir(root / "_jobs") == []
