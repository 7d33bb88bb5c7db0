"""What does a job's script say, as text, and what is refused before there is one?"""

from __future__ import annotations

import os
from dataclasses import replace
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.slurm.job import JobSpec, JobSpecError, render_script
from tests.unit.slurm.sbatch import read_directives

SPEC = JobSpec(
    tag="0a1b.1",
    name="phase4 poller 12:30:05",
    directory="/data/_jobs/0a1b.1",
    command=("phaseline", "poll", "phase4"),
    working_directory="/data",
    environment={"PHASELINE_ROOT": "/data", "A": "it's $(x)"},
)
FULL = replace(
    SPEC,
    time_limit_seconds=90_061,
    grace_seconds=40,
    cpus=4,
    memory_mb=2000,
    gpus=2,
    partition="gpu",
    account="me",
    qos="high",
    constraint="a100&nvme",
    reservation="friday",
    exclude="n[1-2],n7",
    gres=("shard:2",),
    requeue=False,
    directives=("licenses=matlab:1", "--exclusive", "mail-user=a b#c"),
)

SCRIPT = """\
#!/bin/bash
#SBATCH --job-name="phase4 poller 12:30:05"
#SBATCH --comment=0a1b.1
#SBATCH --output=/data/_jobs/0a1b.1/output
#SBATCH --open-mode=append
#SBATCH --chdir=/data
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --requeue

directory=/data/_jobs/0a1b.1 limit_seconds=0
command='' early='' again='' told='' ends_at=''
pass_on() { again=yes; if [[ -n $command ]]; then kill -s "$1" "$command" 2>/dev/null; else early=$1; fi; }
trap 'pass_on USR1' USR1
if [[ -n ${SLURM_JOB_ID-} ]]; then trap 'again=yes told=yes' TERM; else trap 'pass_on TERM' TERM; fi
printf -v started '%(%s)T' -1
if [[ -n ${SLURM_JOB_ID-} ]]; then
    restarts=${SLURM_RESTART_COUNT:-0}
    ln -sT -- "$SLURM_JOB_ID" "$directory/job" 2>/dev/null
    first=$(readlink -- "$directory/job")
    if [[ -z $first ]]; then
        printf 'phaseline: cannot write to %q: nothing was started
' "$directory" >&2
        exit 75
    fi
    if [[ $first != "$SLURM_JOB_ID" ]]; then
        printf 'phaseline: job %s carries this out; job %s, submitted again, starts nothing
' "$first" "$SLURM_JOB_ID"
        exit 0
    fi
    : >"$directory/began.$SLURM_JOB_ID.$restarts"
fi
if [[ ${SLURM_JOB_END_TIME-} =~ ^[0-9]+$ ]]; then
    ends_at=$SLURM_JOB_END_TIME
elif (( limit_seconds )); then
    ends_at=$(( started + limit_seconds ))
fi
carry_out() {  # a function, so that bash tells of its death without quoting what is in it
    cd -- /data || exit 72
    unset "${!PREFECT_@}"
    [[ -z $ends_at ]] || export PHASELINE_ENDS_AT=$ends_at
    export A='it'"'"'s $(x)'
    export PHASELINE_ROOT=/data
    trap - INT QUIT
    exec -- phaseline poll phase4
}
carry_out </dev/null &
command=$!
[[ -z $early ]] || kill -s "$early" "$command"
wait "$command"; code=$?
while [[ -n $again ]]; do
    again=''; wait "$command" 2>/dev/null; last=$?
    (( last < 0 || last == 127 )) || code=$last
done
if [[ -n ${SLURM_JOB_ID-} ]]; then
    printf -v ended '%(%s)T' -1
    state=COMPLETED exit_code=$code signal=null reason=''
    (( code == 0 )) || state=FAILED
    (( code <= 128 || code > 192 )) || { signal=$(( code - 128 )); exit_code=null; }
    [[ -z $told ]] || { state=CANCELLED reason='told to end'; }
    result=$directory/result.$SLURM_JOB_ID.$restarts
    {
        printf '{"state": "%s", "reason": "%s", "exit_code": %s, ' "$state" "$reason" "$exit_code"
        printf '"signal": %s, "restarts": %s, "started": %s, ' "$signal" "$restarts" "$started"
        printf '"ended": %s, "node": "%s"}\\n' "$ended" "${SLURMD_NODENAME:-$HOSTNAME}"
    } >"$result.new" && mv -f -- "$result.new" "$result"
fi
exit "$code"
"""


OPTIONS = ("partition", "account", "qos", "constraint", "reservation", "exclude")
LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30)
ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_the_script() -> None:
    assert render_script(SPEC) == SCRIPT


def test_what_is_asked_of_slurm() -> None:
    assert read_directives(render_script(FULL))[5:] == [
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=4",
        "--no-requeue",
        "--mem=2000M",
        "--gres=gpu:2,shard:2",
        "--time=1-01:01:01",
        "--signal=B:USR1@40",
        "--partition=gpu",
        "--account=me",
        "--qos=high",
        "--constraint=a100&nvme",
        "--reservation=friday",
        "--exclude=n[1-2],n7",
        "--licenses=matlab:1",
        "--exclusive",
        "--mail-user=a b#c",
    ]


@pytest.mark.parametrize(("limit", "grace", "warning"), [(3600, 30, 30), (40, 30, 20), (1, 30, 0), (None, 30, 0)])
def test_the_warning_leaves_half_of_the_time(limit: int | None, grace: int, warning: int) -> None:
    assert replace(SPEC, time_limit_seconds=limit, grace_seconds=grace).notice_seconds == warning


def test_a_warning_of_ones_own() -> None:
    spec = replace(SPEC, time_limit_seconds=600, warning_seconds=120)
    assert spec.notice_seconds == 120
    assert replace(spec, warning_seconds=3600).notice_seconds == 300
    assert replace(spec, warning_seconds=0).notice_seconds == 0
    assert "--signal=B:USR1@120" in read_directives(render_script(spec))


@given(name=ANYTHING, directory=LINE, words=st.lists(LINE, min_size=6, max_size=6), free=LINE)
def test_sbatch_reads_what_was_meant(name: str, directory: str, words: list[str], free: str) -> None:
    """No text can add a directive, or change another one."""
    directory = "/" + directory.replace("\\", "_")
    partition, account, qos, constraint, reservation, exclude = words
    spec = replace(
        SPEC,
        name=name,
        directory=directory,
        working_directory=directory,
        partition=partition,
        account=account,
        qos=qos,
        constraint=constraint,
        reservation=reservation,
        exclude=exclude,
        directives=(f"licenses={free}",) if free else (),
    )
    options = [option.partition("=") for option in read_directives(render_script(spec))]
    assert [name for name, _, _ in options][:8] == [
        "--job-name",
        "--comment",
        "--output",
        "--open-mode",
        "--chdir",
        "--nodes",
        "--ntasks",
        "--cpus-per-task",
    ]
    said = {name: value for name, _, value in options}
    assert len(said) == len(options)
    assert said["--output"] == directory.replace("%", "%%") + "/output"
    assert said["--chdir"] == directory
    assert [said.get(f"--{option}", "") for option in OPTIONS] == words
    assert said.get("--licenses", "") == free


def test_a_name_in_lines_becomes_one() -> None:
    directives = read_directives(render_script(replace(SPEC, name="a\n#SBATCH --uid=0\r\tb\0")))
    assert directives[0] == "--job-name=a #SBATCH --uid=0  b"
    assert read_directives(render_script(replace(SPEC, name="\n")))[0] == f"--job-name={SPEC.tag}"


REFUSED = {
    "no command": replace(SPEC, command=()),
    "NUL byte": replace(SPEC, command=("a", "b\0c")),
    "NUL byte: ": replace(SPEC, environment={"A": "\0"}),
    "absolute path": replace(SPEC, directory="/a\nb"),
    "control characters": replace(SPEC, working_directory="/a\x1bb"),
    "backslashes": replace(SPEC, directory="/a\\b"),
    "'relative'": replace(SPEC, working_directory="relative"),
    "no tag": replace(SPEC, tag="a/b"),
    "at least a second": replace(SPEC, time_limit_seconds=0),
    "'a-b'": replace(SPEC, environment={"a-b": "1"}),
    "'x\\\\n'": replace(SPEC, environment={"x\n": "1"}),
    "'UID'": replace(SPEC, environment={"UID": "1"}),
    "take PREFECT_API_URL out": replace(SPEC, environment={"PREFECT_API_URL": "1"}),
    "'partition=gpu', which is sbatch's --partition: use the job variable 'partition'": replace(
        SPEC, directives=("partition=gpu",)
    ),
    "use the job variable 'time_limit_minutes'": replace(SPEC, directives=("--tim=5",)),
    "phaseline sets or needs it itself": replace(SPEC, directives=("array=1-3",)),
    "an element is one line such as licenses=matlab:1": replace(SPEC, directives=("licenses=a\n#SBATCH --uid=0",)),
    "holds '-n 2'": replace(SPEC, directives=("-n 2",)),
    "holds 'licenses='": replace(SPEC, directives=("licenses=",)),
    "'gres' holds 'shard:1,gpu:2'": replace(SPEC, gres=("shard:1,gpu:2",)),
    "both ask for GPUs": replace(SPEC, gpus=1, gres=("gpu:a100:1",)),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_no_script_can_hold_is_refused(why: str) -> None:
    with pytest.raises(JobSpecError, match=why):
        render_script(REFUSED[why])


@given(st.text(ascii_letters + digits + "._-", min_size=1))
def test_a_tag_is_a_directorys_name(tag: str) -> None:
    if tag[0] in "._-":
        with pytest.raises(JobSpecError):
            render_script(replace(SPEC, tag=tag))
    else:
        assert os.path.basename(tag) == tag
        render_script(replace(SPEC, tag=tag))
