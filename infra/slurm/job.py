"""A job as the worker hands it in, and the script that carries it out: pure (DESIGN 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from shlex import quote

NO_DIRECTORY = 72  # EX_OSFILE: the script's exit code when there is no working directory


class JobSpecError(ValueError):
    """No script can carry this job out; the text says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One job. `tag` names it for ever: `<flow-run id>.<run count>`; `directory` is its own, on shared storage.

    `name` is for people. `environment` is all that the job gets of ours. The job's `script`, its
    `output` (stdout and stderr together) and its `result` stand in `directory`.
    """

    tag: str
    name: str
    directory: str
    command: tuple[str, ...]
    working_directory: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    time_limit_seconds: int | None = None
    grace_seconds: int = 30
    cpus: int = 1
    memory_mb: int | None = None
    gpus: int = 0
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""

    @property
    def warning_seconds(self) -> int:
        """How long before its time limit a job is sent USR1: its grace, but never more than half of its time."""
        return min(self.grace_seconds, (self.time_limit_seconds or 0) // 2)


def render_script(spec: JobSpec) -> str:
    """Return the bash script of a job, the same under every transport. Raises JobSpecError.

    Command, environment and paths arrive in the command exactly as they are: whatever is in them, nothing is expanded.
    An #SBATCH line cannot hold a line break: control characters in the name become spaces, in a directory (and a
    backslash there, which sbatch takes for itself) they are refused, as are NUL bytes anywhere, names that bash cannot
    export, and PREFECT_* in `environment`. PREFECT_* that the script inherits is unset.

    USR1, of which batch systems tell the script alone, is passed on to the command, once for each. So is TERM, except
    under SLURM, which sends it to every process of a job itself: a second TERM would mean "quicker".
    The script ends with the command's exit code, 128 + n for a signal as shells do; NO_DIRECTORY, 126 and 127 if the
    command could not be started. Under SLURM it leaves `result.<job id>.<restart>` first, see `infra.slurm.result`:
    what is known of the end when SLURM has forgotten the job. Under `local` the launcher writes `result`, as it alone
    knows of limits and cancellation.
    """
    _check(spec)
    lines = ["#!/bin/bash", *(f"#SBATCH --{option}" for option in _directives(spec)), "", _SIGNALS]
    lines += ["carry_out() {  # a function, so that bash tells of its death without quoting what is in it"]
    lines += [f"    cd -- {quote(spec.working_directory)} || exit {NO_DIRECTORY}", '    unset "${!PREFECT_@}"']
    lines += [f"    export {name}={quote(value)}" for name, value in sorted(spec.environment.items())]
    lines += ["    trap - INT QUIT", f"    exec -- {' '.join(map(quote, spec.command))}", "}", "carry_out </dev/null &"]
    lines += [_WAITING, _RESULT.replace("DIRECTORY", quote(spec.directory)), 'exit "$code"']
    return "\n".join(lines) + "\n"


_SIGNALS = """\
command='' early='' again=yes
pass_on() { again=yes; if [[ -n $command ]]; then kill -s "$1" "$command" 2>/dev/null; else early=$1; fi; }
trap 'pass_on USR1' USR1
if [[ -n ${SLURM_JOB_ID-} ]]; then trap 'again=yes' TERM; else trap 'pass_on TERM' TERM; fi
printf -v started '%(%s)T' -1"""

# `wait` returns early when a signal is caught, and says the same again when asked twice. When TERM and USR1 arrive in
# the same moment bash drops USR1: the one that matters stays.
_WAITING = """\
command=$!
[[ -z $early ]] || kill -s "$early" "$command"
while [[ -n $again ]]; do again=''; wait "$command"; code=$?; done"""

_RESULT = """\
if [[ -n ${SLURM_JOB_ID-} ]]; then
    printf -v ended '%(%s)T' -1
    state=COMPLETED exit_code=$code signal=null restarts=${SLURM_RESTART_COUNT:-0}
    (( code == 0 )) || state=FAILED
    (( code <= 128 || code > 192 )) || { signal=$(( code - 128 )); exit_code=null; }
    result=DIRECTORY/result.$SLURM_JOB_ID.$restarts
    {
        printf '{"state": "%s", "exit_code": %s, "signal": %s, ' "$state" "$exit_code" "$signal"
        printf '"restarts": %s, "started": %s, "ended": %s, ' "$restarts" "$started" "$ended"
        printf '"node": "%s"}\\n' "${SLURMD_NODENAME:-$HOSTNAME}"
    } >"$result.new" && mv -f -- "$result.new" "$result"
fi"""

# What bash computes itself, or lets nobody set: an export would fail, or say something else.
_BASHS_OWN = re.compile(
    r"(BASHOPTS|BASHPID|BASH_(ALIASES|ARGC|ARGV|ARGV0|CMDS|COMMAND|LINENO|SOURCE|SUBSHELL|VERSINFO)|COMP_WORDBREAKS"
    r"|DIRSTACK|EPOCHREALTIME|EPOCHSECONDS|E?UID|FUNCNAME|GROUPS|HISTCMD|LINENO|PIPESTATUS|PPID|S?RANDOM|SECONDS|SHELLOPTS"
    r"|SHLVL|_)\Z"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_PLAIN = re.compile(r"[^A-Za-z0-9_.,:/@%+=-]")


def _check(spec: JobSpec) -> None:
    if not spec.command or not spec.command[0]:
        raise JobSpecError(
            "there is no command: set the job variable `command`, a list such as [phaseline, poll, phase4]"
        )
    for what in (*spec.command, *spec.environment.values()):
        if "\0" in what:
            raise JobSpecError(f"no program can be given a NUL byte: {what!r}")
    for what in (spec.directory, spec.working_directory):
        if _CONTROL.search(what) or "\\" in what or not what.startswith("/"):
            raise JobSpecError(
                f"a batch script can name an absolute path without control characters and backslashes only: {what!r}"
            )
    if not _TAG.match(spec.tag):
        raise JobSpecError(f"no tag of a job: {spec.tag!r}")
    if spec.time_limit_seconds is not None and spec.time_limit_seconds < 1:
        raise JobSpecError(f"a time limit is at least a second: {spec.time_limit_seconds}")
    for name in spec.environment:
        if not _VARIABLE.match(name) or _BASHS_OWN.match(name):
            raise JobSpecError(
                f"bash cannot set a variable {name!r} for the job: take another name in the job variable `env`"
            )
        if name.startswith("PREFECT_"):
            raise JobSpecError(f"jobs get no Prefect settings: take {name} out of the job variable `env`")


def _directives(spec: JobSpec) -> Iterator[str]:
    """Yield what is asked of SLURM. A requeued job adds to its output: what was read of it stays where it is."""
    yield f"job-name={_plain(_CONTROL.sub(' ', spec.name).strip() or spec.tag)}"
    yield f"comment={_plain(spec.tag)}"
    yield f"output={_plain(spec.directory.replace('%', '%%'))}/output"
    yield "open-mode=append"
    yield f"chdir={_plain(spec.working_directory)}"
    yield "nodes=1"
    yield "ntasks=1"
    yield f"cpus-per-task={spec.cpus}"
    if spec.memory_mb is not None:
        yield f"mem={spec.memory_mb}M"
    if spec.gpus:
        yield f"gres=gpu:{spec.gpus}"
    if spec.time_limit_seconds is not None:
        yield f"time={_duration(spec.time_limit_seconds)}"
        yield f"signal=B:USR1@{spec.warning_seconds}"
    for option in ("partition", "account", "qos", "constraint"):
        value: str = getattr(spec, option)
        if value:
            yield f"{option}={_plain(_CONTROL.sub(' ', value))}"


def _duration(seconds: int) -> str:
    """Return it as SLURM reads it, days-hours:minutes:seconds; SLURM rounds up to minutes."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 1440}-{minutes // 60 % 24:02}:{minutes % 60:02}:{rest:02}"


def _plain(value: str) -> str:
    """Return the value so that sbatch reads it as one word: a backslash before all that might mean something to it."""
    return _PLAIN.sub(lambda found: "\\" + found[0], value)
