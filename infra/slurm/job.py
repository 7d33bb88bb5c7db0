"""The script that carries a job out: pure (DESIGN 5)."""

from __future__ import annotations

import re
from shlex import quote

from infra.slurm.directives import directives, has_control, request_problem
from infra.slurm.spec import JobSpec, JobSpecError

__all__ = ["JobSpec", "JobSpecError", "render_script"]

NO_DIRECTORY = 72  # EX_OSFILE: the script's exit code when there is no working directory
NO_STORAGE = 75  # EX_TEMPFAIL: under SLURM, when the job's own directory cannot be written to


def render_script(spec: JobSpec) -> str:
    """Return the bash script of a job, the same under every transport. Raises JobSpecError.

    Command, environment and paths arrive in the command exactly as they are: whatever is in them, nothing is expanded.
    An #SBATCH line cannot hold a line break: control characters in the name become spaces, in a directory (and a
    backslash there, which sbatch takes for itself) they are refused, as are NUL bytes anywhere, names that bash cannot
    export, and PREFECT_* in `environment`. PREFECT_* that the script inherits is unset.

    The command finds PHASELINE_ENDS_AT, the second since the epoch at which it will be ended, where that is known.
    USR1, of which batch systems tell the script alone, is passed on to the command, once for each. So is TERM, except
    under SLURM, which sends it to every process of a job itself: a second TERM would mean "quicker".
    The script ends with the command's exit code, 128 + n for a signal as shells do; NO_DIRECTORY, 126 and 127 if the
    command could not be started.

    Under SLURM it makes the link `job` first, which names the job that carries this tag out: a second one, submitted
    because the first's answer was lost, ends there with exit code 0. It leaves `began.<job id>.<restart>` and, last,
    `result.<job id>.<restart>`, see `infra.slurm.result`: what is known of the end when SLURM has forgotten the job.
    Under `local` the launcher writes `result`, as it alone knows of limits and cancellation.
    """
    _check(spec)
    place = f"directory={quote(spec.directory)} limit_seconds={spec.time_limit_seconds or 0}"
    lines = ["#!/bin/bash", *(f"#SBATCH --{option}" for option in directives(spec)), "", place, _BEGINNING]
    lines += ["carry_out() {  # a function, so that bash tells of its death without quoting what is in it"]
    lines += [f"    cd -- {quote(spec.working_directory)} || exit {NO_DIRECTORY}", '    unset "${!PREFECT_@}"']
    lines += ["    [[ -z $ends_at ]] || export PHASELINE_ENDS_AT=$ends_at"]
    lines += [
        f"    export {name}={quote(value)}"
        for name, value in sorted(spec.environment.items())
        if name != "PHASELINE_ENDS_AT"  # the worker's own, where it is a job itself
    ]
    lines += ["    trap - INT QUIT", f"    exec -- {' '.join(map(quote, spec.command))}", "}", "carry_out </dev/null &"]
    lines += [_WAITING, _RESULT, 'exit "$code"']
    return "\n".join(lines) + "\n"


# `told`: whoever sent TERM knows better than the exit code how the job ended. A link is made once, also where its
# answer is lost: what is asked for afterwards is whose it is.
_BEGINNING = f"""\
command='' early='' again='' told='' ends_at=''
pass_on() {{ again=yes; if [[ -n $command ]]; then kill -s "$1" "$command" 2>/dev/null; else early=$1; fi; }}
trap 'pass_on USR1' USR1
if [[ -n ${{SLURM_JOB_ID-}} ]]; then trap 'again=yes told=yes' TERM; else trap 'pass_on TERM' TERM; fi
printf -v started '%(%s)T' -1
if [[ -n ${{SLURM_JOB_ID-}} ]]; then
    restarts=${{SLURM_RESTART_COUNT:-0}}
    ln -sT -- "$SLURM_JOB_ID" "$directory/job" 2>/dev/null
    first=$(readlink -- "$directory/job")
    if [[ -z $first ]]; then
        printf 'phaseline: cannot write to %q: nothing was started\n' "$directory" >&2
        exit {NO_STORAGE}
    fi
    if [[ $first != "$SLURM_JOB_ID" ]]; then
        printf 'phaseline: job %s carries this out; job %s, submitted again, starts nothing\n' "$first" "$SLURM_JOB_ID"
        exit 0
    fi
    : >"$directory/began.$SLURM_JOB_ID.$restarts"
fi
if [[ ${{SLURM_JOB_END_TIME-}} =~ ^[0-9]+$ ]]; then
    ends_at=$SLURM_JOB_END_TIME
elif (( limit_seconds )); then
    ends_at=$(( started + limit_seconds ))
fi"""

# `wait` returns early when a signal is caught, and says the same again when asked twice. When TERM and USR1 arrive in
# the same moment bash drops USR1: the one that matters stays. Of a command that dies while the signal is being caught,
# bash 5.2 says -1 then, for ever, and 5.3 complains, and says 127: the first answer stays, which names the signal.
_WAITING = """\
command=$!
[[ -z $early ]] || kill -s "$early" "$command"
wait "$command"; code=$?
while [[ -n $again ]]; do
    again=''; wait "$command" 2>/dev/null; last=$?
    (( last < 0 || last == 127 )) || code=$last
done"""

_RESULT = """\
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
fi"""

# What bash computes itself, or lets nobody set: an export would fail, or say something else.
_BASHS_OWN = re.compile(
    r"(BASHOPTS|BASHPID|BASH_(ALIASES|ARGC|ARGV|ARGV0|CMDS|COMMAND|LINENO|SOURCE|SUBSHELL|VERSINFO)|COMP_WORDBREAKS"
    r"|DIRSTACK|EPOCHREALTIME|EPOCHSECONDS|E?UID|FUNCNAME|GROUPS|HISTCMD|LINENO|PIPESTATUS|PPID|S?RANDOM|SECONDS|SHELLOPTS"
    r"|SHLVL|_)\Z"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def _check(spec: JobSpec) -> None:
    if not spec.command or not spec.command[0]:
        raise JobSpecError(
            "there is no command: set the job variable `command`, a list such as [phaseline, poll, phase4]"
        )
    for what in (*spec.command, *spec.environment.values()):
        if "\0" in what:
            raise JobSpecError(f"no program can be given a NUL byte: {what!r}")
    for what in (spec.directory, spec.working_directory):
        if has_control(what) or "\\" in what or not what.startswith("/"):
            raise JobSpecError(
                f"a batch script can name an absolute path without control characters and backslashes only: {what!r}"
            )
    if not _TAG.match(spec.tag):
        raise JobSpecError(f"no tag of a job: {spec.tag!r}")
    if spec.time_limit_seconds is not None and spec.time_limit_seconds < 1:
        raise JobSpecError(f"a time limit is at least a second: {spec.time_limit_seconds}")
    if problem := request_problem(spec):
        raise JobSpecError(problem)
    for name in spec.environment:
        if not _VARIABLE.match(name) or _BASHS_OWN.match(name):
            raise JobSpecError(
                f"bash cannot set a variable {name!r} for the job: take another name in the job variable `env`"
            )
        if name.startswith("PREFECT_"):
            raise JobSpecError(f"jobs get no Prefect settings: take {name} out of the job variable `env`")
