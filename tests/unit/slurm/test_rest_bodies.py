"""Does the body for slurmrestd say what the #SBATCH lines say, field by field, to every version of the API?"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.slurm.job import render_script
from infra.slurm.rest_bodies import submit_body, warning_line
from infra.slurm.rest_client import VERSIONS
from infra.slurm.spec import JobSpec, JobSpecError
from tests.unit.slurm.recordings import recorded
from tests.unit.slurm.sbatch import read_directives

Job = Mapping[str, object]

BASE = JobSpec(
    tag="a.1",
    name="a name",
    directory="/shared/jobs/a.1",
    command=("true",),
    working_directory="/shared",
)
WORDS = st.text("abcXYZ019_-&,:", min_size=1, max_size=12)
SPECS = st.builds(
    replace,
    st.just(BASE),
    name=st.text("abc '\"#$`\\\n\t%\u00e9", max_size=12),
    directory=st.sampled_from(["/shared/jobs/a.1", "/a b/100%/a.1", "/d\u00e9/'q'/a.1"]),
    working_directory=st.sampled_from(["/shared", "/a b/%j", "/$HOME/#x"]),
    time_limit_seconds=st.none() | st.integers(1, 10**7),
    grace_seconds=st.integers(0, 600),
    warning_seconds=st.none() | st.integers(0, 10**4),
    cpus=st.integers(1, 256),
    memory_mb=st.none() | st.integers(1, 10**7),
    gpus=st.integers(0, 8),
    gres=st.lists(st.sampled_from(["shard:2", "nic", "fs:lustre:1"]), unique=True, max_size=3).map(tuple),
    partition=st.just("") | WORDS,
    account=st.just("") | WORDS,
    qos=st.just("") | WORDS,
    constraint=st.just("") | WORDS,
    reservation=st.just("") | WORDS,
    exclude=st.just("") | st.just("n[1-3],n7"),
    requeue=st.booleans(),
)


def number(said: object) -> object:
    """Return a number as it is, or as the later versions wrap it."""
    if not isinstance(said, dict):
        return said
    wrapped = cast("Mapping[str, object]", said)
    assert (wrapped["set"], wrapped["infinite"]) == (True, False)
    return wrapped["number"]


def minutes(duration: str) -> int:
    """Return what sbatch makes of days-hours:minutes:seconds."""
    days, _, rest = duration.partition("-")
    hours, minutes, seconds = map(int, rest.split(":"))
    return int(days) * 1440 + hours * 60 + minutes + (seconds > 0)


def gres(job: Job) -> object:
    if "gres" in job:
        return job["gres"]
    said = str(job.get("tres_per_node", ""))
    return ",".join(one[len("gres/") :] for one in said.split(",")) if said else None


def signal(job: Job) -> object:
    flags = {"BATCH_JOB": "B"}
    which = cast("list[str]", job["kill_warning_flags"])
    return f"{''.join(flags[one] for one in which)}:{job['kill_warning_signal']}@{number(job['kill_warning_delay'])}"


def exclude(job: Job) -> object:
    said = job.get("exclude_nodes", job.get("excluded_nodes"))
    return ",".join(cast("list[str]", said)) if isinstance(said, list) else said


# Each directive, and where the body says the same.
SAYS: Mapping[str, Callable[[Job, str], bool]] = {
    "job-name": lambda job, value: job["name"] == value,
    "comment": lambda job, value: job["comment"] == value,
    "output": lambda job, value: job["standard_output"] == value,
    "open-mode": lambda job, value: job["open_mode"] in (value, [value.upper()]),
    "chdir": lambda job, value: job["current_working_directory"] == value,
    "nodes": lambda job, value: job["nodes"] == value,
    "ntasks": lambda job, value: job["tasks"] == int(value),
    "cpus-per-task": lambda job, value: job["cpus_per_task"] == int(value),
    "requeue": lambda job, value: job["requeue"] is True and "no_requeue" not in job,
    "no-requeue": lambda job, value: job.get("no_requeue") is True or job["requeue"] is False,
    "mem": lambda job, value: f"{number(job['memory_per_node'])}M" == value,
    "gres": lambda job, value: gres(job) == value,
    "time": lambda job, value: number(job["time_limit"]) == minutes(value),
    "signal": lambda job, value: signal(job) == value,
    "partition": lambda job, value: job["partition"] == value,
    "account": lambda job, value: job["account"] == value,
    "qos": lambda job, value: job["qos"] == value,
    "constraint": lambda job, value: job["constraints"] == value,
    "reservation": lambda job, value: job["reservation"] == value,
    "exclude": lambda job, value: exclude(job) == value,
}
# How many fields of the body a directive takes, where it is not one.
FIELDS = {"signal": {"v0.0.38": 0, "later": 3}}


def job_of(spec: JobSpec, version: str) -> Job:
    return cast("Job", submit_body(spec, render_script(spec), version, {"PATH": "/bin"})["job"])


@pytest.mark.parametrize("version", VERSIONS)
@given(spec=SPECS)
def test_the_body_says_what_the_script_says(version: str, spec: JobSpec) -> None:
    script = render_script(spec)
    body = submit_body(spec, script, version, {"PATH": "/bin"})
    job = cast("Job", body["job"])
    options = [option.removeprefix("--").partition("=") for option in read_directives(script)]
    for name, _, value in options:
        if (name, version) == ("signal", "v0.0.38"):  # it has no field for that: the script itself warns
            seconds = int(str(job["time_limit"])) * 60 - int(value.removeprefix("B:USR1@"))
            assert body["script"] == script.replace("\n", f"\n{warning_line(seconds)}\n", 1)
        else:
            assert SAYS[name](job, value), (name, value, job)
    era = version if version == "v0.0.38" else "later"
    fields = sum(FIELDS[name][era] if name in FIELDS else 1 for name, _, _ in options)
    assert len(job) == fields + len({"environment"}), "a field says what no directive says"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_environment_is_said_in_each_versions_way(version: str) -> None:
    body = submit_body(BASE, "script", version, {"PATH": "/bin", "USER": "alice"})
    job = cast("Job", body["job"])
    both = {"PATH": "/bin", "USER": "alice"}, ["PATH=/bin", "USER=alice"]
    assert job["environment"] == both[0 if version == "v0.0.38" else 1]
    assert body["script"] == "script"


@pytest.mark.parametrize(("version", "name"), [("v0.0.38", "gres"), ("v0.0.42", "tres_per_node")])
def test_fields_are_called_as_in_what_was_accepted(version: str, name: str) -> None:
    assert recorded(version, "submit_gres").status == 200
    assert name in job_of(replace(BASE, gpus=1), version)


def test_23_02_is_told_of_gres_in_its_own_way() -> None:
    assert job_of(replace(BASE, gpus=2, gres=("nic",)), "v0.0.39")["tres_per_node"] == "gres:gpu:2,gres:nic"
    assert job_of(replace(BASE, gpus=2, gres=("nic",)), "v0.0.40")["tres_per_node"] == "gres/gpu:2,gres/nic"


FREE = {
    "licenses=matlab:1": ({"licenses": "matlab:1"}, {"licenses": "matlab:1"}),
    "--nice=100": ({"nice": 100}, {"nice": 100}),
    "mail-type=END,fail": ({"mail_type": "END,fail"}, {"mail_type": ["END", "FAIL"]}),
    "nodelist=n[1-2]": ({"nodelist": "n[1-2]"}, {"required_nodes": ["n[1-2]"]}),
    "exclusive": ({"exclusive": "exclusive"}, {"shared": ["none"]}),
    "priority=7": ({"priority": 7}, {"priority": {"set": True, "infinite": False, "number": 7}}),
}


@pytest.mark.parametrize("directive", FREE)
def test_free_directives_are_said_too(directive: str) -> None:
    spec = replace(BASE, directives=(directive,))
    for version, fields in zip(("v0.0.38", "v0.0.45"), FREE[directive], strict=True):
        assert job_of(spec, version).items() >= fields.items()


@pytest.mark.parametrize("directive", ["begin=now+1hour", "exclusive=user", "nice=high", "spread-job"])
def test_free_directives_that_cannot_be_said_are_refused(directive: str) -> None:
    with pytest.raises(JobSpecError, match="directives"):
        job_of(replace(BASE, directives=(directive,)), "v0.0.42")


def test_a_script_that_warns_itself_is_warned_in_time_and_leaves_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script"
    body = "trap 'echo warned; kill $waiting' USR1\nsleep 60 & waiting=$!\nwait $waiting"
    script.write_text(f"#!/bin/bash\n{warning_line(0.1)}\n{body}\nexit 7\n")
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (7, "warned\n")
    script.write_text(f"#!/bin/bash\n{warning_line(60)}\nexit 7\n")
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


@given(arguments=st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=3))
def test_bytes_that_json_cannot_hold_reach_bash_as_they_are(arguments: list[bytes]) -> None:
    words = [word.replace(b"\0", b"").decode("utf-8", "surrogateescape") for word in arguments]
    line = " ".join(map(shlex.quote, ["printf", "%s\\0", *words]))
    script = cast("str", submit_body(BASE, line, "v0.0.38", {})["script"]).encode()
    printed = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env={"LC_ALL": "C"}).stdout
    assert printed == b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)


def test_a_path_that_json_cannot_hold_is_refused() -> None:
    spec = replace(BASE, working_directory="/caf\udce9")
    with pytest.raises(JobSpecError, match="UTF-8"):
        job_of(spec, "v0.0.42")
