"""Is what a node says of itself read rightly, and told in words that help?"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from infra.site import probe
from infra.site.finding import Verdict
from infra.site.node import Here, judge
from infra.site.probe import Examination, read_report
from infra.site.probing import Probe
from infra.site.storage import compare, find_mount
from infra.slurm.spec import JobSpec
from infra.slurm.states import JobState
from infra.slurm.transport import JobReport

SPEC = JobSpec(tag="d.0", name="d", directory="/data/_jobs/d.0", command=("true",), working_directory="/")
FACTS = {
    "now": "1000.5",
    "host": "n1.example",
    "node": "n1",
    "boot": "boot-of-n1",
    "user": "ada (1000), groups pipeline, umask 0002",
    "gpus": "",
    "ends": "1300",
    "runtimes": "apptainer 1.4.5",
    "fuse": "usable",
    "namespaces": "15000",
    "root": "there",
    "mount": "36 35 0:40 / /data rw,relatime - nfs4 server:/export rw,vers=4.2,hard",
    "code": "0",
    "said": json.dumps({"root": "/data", "fit": True, "findings": []}, indent=2).replace("\n", " "),
    "end": "yes",
}
HERE = Here(root="/data", boot="boot-of-login", mounts=FACTS["mount"])


def said(**changes: str) -> str:
    facts = {**FACTS, **changes}
    return "".join(f"probe {name}={value}\n" for name, value in facts.items())


def told(**changes: str) -> Probe:
    return Probe(
        spec=SPEC,
        job="7:/data/_jobs/d.0",
        handed_in=990.0,
        waited=999.0,
        begun=1001.0,
        ended=1003.0,
        told=1003.5,
        latest=JobReport(state=JobState.COMPLETED, node="n1"),
        output=said(**changes),
    )


def lines(one: Probe, here: Here = HERE) -> list[str]:
    return [found.line for found in judge(one, here)]


def test_a_node_on_which_all_is_well() -> None:
    assert lines(told()) == [
        "ok       node n1: job 7 in probe as ada (1000), groups pipeline, umask 0002; it waited for about 9 s",
        "ok       node n1: its clock agrees with this host's, within 1.5 s",
        "ok       node n1: container runtimes: apptainer 1.4.5; /dev/fuse can be used",
        "ok       node n1: the root lies on nfs4 server:/export at /data (hard,vers=4.2)",
        "ok       node n1: as pollers are started, 0 things that the protocol needs of the root were tried out",
    ]


@pytest.mark.parametrize(
    ("now", "line"),
    [
        ("1002.9", "ok       node n1: its clock agrees with this host's, within 3.9 s"),
        ("1061.0", "warning  node n1: its clock is +60 s from this host's: backoffs and time limits are off by that. "),
        ("879.0", "warning  node n1: its clock is -120 s from this host's: backoffs and time limits are off by that. "),
    ],
)
def test_clocks_are_compared_as_far_as_can_be_known(now: str, line: str) -> None:
    assert lines(told(now=now))[1].startswith(line)


def test_a_node_that_does_not_see_the_root_is_a_fault() -> None:
    one = told()
    one.output = said().replace("probe root=there\n", "")
    assert lines(one)[-1] == (
        "fault    node n1: /data is not there. mount the root's storage on compute nodes, at the same path"
    )


def test_what_the_protocol_is_refused_there_is_a_fault() -> None:
    findings = [
        {"probe": "utime", "verdict": "refused", "detail": "no", "todo": "use another file system for the root"},
        {"probe": "exclusive symlink", "verdict": "ok", "detail": "", "todo": ""},
        {"probe": "clock", "verdict": "note", "detail": "7 s off", "todo": ""},
        {"probe": "mount", "verdict": "refused", "detail": "option 'soft'", "todo": "mount without it"},
    ]
    found = lines(told(said=json.dumps({"root": "/data", "fit": False, "findings": findings})))
    assert found[4:] == [
        "fault    node n1, utime: no. use another file system for the root",
        "warning  node n1, clock: 7 s off",
        "fault    node n1, mount: option 'soft'. mount without it",
    ]


def test_pollers_that_cannot_be_started_there_are_a_fault() -> None:
    found = lines(told(code="127", said="bash: line 1: phaseline: command not found"))
    assert found[-1] == (
        "fault    node n1: as pollers are started, `phaseline doctor` ends with 127: bash: line 1: phaseline: command "
        "not found. install phaseline where nodes see it (shared storage), or set image"
    )


def test_a_gpu_that_a_job_is_not_shown_is_a_warning() -> None:
    one = told()
    one.spec = replace(SPEC, gpus=1)
    assert any("is shown none" in line for line in lines(one))
    one.output = said(gpus="0")
    assert not any("is shown none" in line for line in lines(one))


def test_a_job_that_does_not_learn_when_it_ends_is_a_warning() -> None:
    one = told(ends="")
    assert lines(one) == lines(told())
    one.spec = replace(SPEC, time_limit_seconds=300)
    assert any("does not learn when its time limit ends it" in line for line in lines(one))


def test_a_node_for_few_kinds_of_containers_says_so() -> None:
    one = told(runtimes="", namespaces="0")
    one.output = one.output.replace("probe fuse=usable\n", "")
    assert (
        "ok       node n1: container runtimes: none; no /dev/fuse: no image in one file can be mounted; "
        "no user namespaces: only what root has installed setuid works"
    ) in lines(one)


def test_what_never_began_says_what_it_waited_for() -> None:
    one = Probe(spec=SPEC, job="7:/d", handed_in=0.0, waited=120.0)
    one.latest = JobReport(state=JobState.PENDING, reason="Resources")
    assert lines(one) == [
        (
            "warning  probe: no node for the probe in 120 s: Resources. "
            "examine again when there is room, or with a longer --wait-seconds"
        )
    ]


def test_what_ended_without_a_word_is_a_fault() -> None:
    one = Probe(spec=replace(SPEC, partition="cpu"), job="7:/d", ended=5.0)
    one.latest = JobReport(state=JobState.FAILED, reason="NonZeroExitCode", node="n1")
    assert lines(one) == [
        (
            "fault    partition cpu: the probe ended on n1 (FAILED NonZeroExitCode), and nothing that it wrote is seen "
            "here. is /data/_jobs/d.0 the same storage there, and may this user write to it?"
        )
    ]
    one.output = "probe now=1\nbash: line 3: hostname: command not found\n"
    assert "half-way (FAILED NonZeroExitCode): bash: line 3" in lines(one)[0]
    one.refused = "invalid partition"
    assert lines(one)[0].startswith("fault    partition cpu: the probe was refused: invalid partition.")


NFS3 = "36 35 0:40 / /data rw - nfs server:/export rw,vers=3"


@pytest.mark.parametrize(
    ("mount", "same_host", "expected"),
    [
        (FACTS["mount"], False, []),
        (NFS3 + ",lookupcache=positive", False, []),
        (NFS3, False, ["NFS version 3 hides new names for up to a minute"]),
        (FACTS["mount"].replace("hard", "soft,nocto"), False, []),
        (
            "36 35 0:40 / /data rw - ext4 /dev/sda1 rw",
            False,
            ["ext4 /dev/sda1 at /data looks like a disk of the node's own"],
        ),
        ("36 35 0:40 / /data rw - ext4 /dev/sda1 rw", True, []),
        ("36 35 0:40 / /data ro - lustre mgs:/fs rw", True, ["/data is mounted read-only"]),
        ("36 35 0:40 / /data rw - lustre mgs:/fs rw", False, ["lustre mgs:/fs at /data; here nfs4 server:/export at"]),
    ],
)
def test_mounts(mount: str, same_host: bool, expected: list[str]) -> None:
    here, there = find_mount(FACTS["mount"], "/data/root"), find_mount(mount, "/data/root")
    found = [one for one in compare("n", here, there, same_host=same_host) if one.verdict is not Verdict.OK]
    assert len(found) == len(expected)
    for one, begins in zip(found, expected, strict=True):
        assert one.detail.startswith(begins)


def test_a_mount_that_nobody_knows_is_said() -> None:
    (found,) = compare("n", None, None, same_host=True)
    assert found.verdict is Verdict.WARNING


@pytest.mark.parametrize("output", ["", "probe now=1\n", "something else\nprobe host=n1\n"])
def test_a_report_that_is_not_at_its_end_is_none(output: str) -> None:
    assert read_report(output) is None


def test_the_probe_runs_in_the_real_shell_and_is_read(tmp_path: Path) -> None:
    root = tmp_path / "a $root"
    root.mkdir()
    (root / "_phaseline").symlink_to("1")
    answer = json.dumps({"root": "x", "fit": True, "findings": [{"probe": "utime", "verdict": "ok"}]}, indent=2)
    words = probe.command(str(root), ("printf", "a warning of somebody's\n%s\n", answer))
    environment = {"PATH": os.environ["PATH"], "SLURMD_NODENAME": "n7", "PHASELINE_ENDS_AT": "99"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    found = read_report(done.stdout)
    assert found is not None
    assert (found.host, found.sees_root, found.ends_at, done.stderr) == ("n7", True, "99", "")
    assert found.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert find_mount(found.mounts, "/") is not None
    assert found.examination == Examination(fit=True, findings=({"probe": "utime", "verdict": "ok"},))
    lost = subprocess.run(probe.command("/nowhere", ("no-such-program",)), capture_output=True, text=True, check=True)
    found = read_report(lost.stdout)
    assert found is not None
    assert (found.sees_root, found.examination.code) == (False, 127)
    assert "no-such-program" in found.examination.trouble
