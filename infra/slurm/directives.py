"""What is asked of SLURM for a job: the #SBATCH lines of its script. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.slurm.spec import JobSpec

# Options that a job has from its variables or from us, and the job variable to use instead.
OWN_OPTIONS = {
    "account": "account",
    "array": "",
    "chdir": "working_directory",
    "clusters": "",
    "comment": "",
    "constraint": "constraint",
    "cpus-per-task": "cpus",
    "error": "",
    "exclude": "exclude",
    "export": "env",
    "export-file": "env",
    "gid": "",
    "gpus": "gpus",
    "gres": "gres",
    "help": "",
    "input": "",
    "job-name": "name",
    "mem": "memory_mb",
    "mem-per-cpu": "memory_mb",
    "no-requeue": "requeue",
    "nodes": "",
    "ntasks": "",
    "open-mode": "",
    "output": "",
    "parsable": "",
    "partition": "partition",
    "qos": "qos",
    "requeue": "requeue",
    "reservation": "reservation",
    "signal": "warning_seconds",
    "test-only": "",
    "time": "time_limit_minutes",
    "uid": "",
    "usage": "",
    "version": "",
    "wait": "",
    "wrap": "command",
}

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[^A-Za-z0-9_.,:/@%+=-]")
_QUOTED = re.compile(r'["\\]')
_DIRECTIVE = re.compile(r"(?:--)?([a-z][a-z0-9-]+)(?:=(.+))?\Z", re.DOTALL)
_GRES = re.compile(r"[A-Za-z0-9_./-]+(:[A-Za-z0-9_./-]+)*(\([A-Za-z0-9:,_-]+\))?\Z")


def has_control(text: str) -> bool:
    """Tell whether an #SBATCH line cannot hold the text: a line break or another control character is in it."""
    return _CONTROL.search(text) is not None


def directives(spec: JobSpec) -> Iterator[str]:
    """Yield the options without their dashes. A requeued job adds to its output: what was read of it stays there."""
    yield f"job-name={_plain(_CONTROL.sub(' ', spec.name).strip() or spec.tag)}"
    yield f"comment={_plain(spec.tag)}"
    yield f"output={_plain(spec.directory.replace('%', '%%'))}/output"
    yield "open-mode=append"
    yield f"chdir={_plain(spec.working_directory)}"
    yield "nodes=1"
    yield "ntasks=1"
    yield f"cpus-per-task={spec.cpus}"
    yield "requeue" if spec.requeue else "no-requeue"
    if spec.memory_mb is not None:
        yield f"mem={spec.memory_mb}M"
    gres = ((f"gpu:{spec.gpus}",) if spec.gpus else ()) + spec.gres
    if gres:
        yield f"gres={_plain(','.join(gres))}"
    if spec.time_limit_seconds is not None:
        yield f"time={_duration(spec.time_limit_seconds)}"
        yield f"signal=B:USR1@{spec.notice_seconds}"
    for option in ("partition", "account", "qos", "constraint", "reservation", "exclude"):
        value: str = getattr(spec, option)
        if value:
            yield f"{option}={_plain(_CONTROL.sub(' ', value))}"
    for directive in spec.directives:
        yield _plain(directive.removeprefix("--"))


def request_problem(spec: JobSpec) -> str:
    """Return why the job's generic resources or free directives cannot be asked for, "" if they can."""
    problems = [_gres_problem(spec), *map(_directive_problem, spec.directives)]
    return next((problem for problem in problems if problem), "")


def _gres_problem(spec: JobSpec) -> str:
    for one in spec.gres:
        if not _GRES.match(one):
            return f"job variable 'gres' holds {one!r}; an element is such as shard:2 or gpu:a100:1"
        if spec.gpus and one.partition(":")[0] == "gpu":
            return f"job variables 'gpus' ({spec.gpus}) and 'gres' ({one}) both ask for GPUs: leave one of them out"
    return ""


def _directive_problem(directive: str) -> str:
    """An abbreviation counts as what it stands for, as sbatch takes it so."""
    found = _DIRECTIVE.match(directive)
    if found is None or has_control(directive):
        return f"job variable 'directives' holds {directive!r}; an element is one line such as licenses=matlab:1"
    name = found[1]
    own = next((option for option in sorted(OWN_OPTIONS) if option.startswith(name)), None)
    if own is None:
        return ""
    instead = f"use the job variable '{OWN_OPTIONS[own]}'" if OWN_OPTIONS[own] else "phaseline sets or needs it itself"
    return f"job variable 'directives' holds {directive!r}, which is sbatch's --{own}: {instead}"


def _duration(seconds: int) -> str:
    """Return it as SLURM reads it, days-hours:minutes:seconds; SLURM rounds up to minutes."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 1440}-{minutes // 60 % 24:02}:{minutes % 60:02}:{rest:02}"


def _plain(value: str) -> str:
    """Return the value so that sbatch reads it as one word: quoted where it holds what might mean something to it.

    A backslash alone will not do: a space ends the word all the same (seen with 22.05).
    """
    if not _PLAIN.search(value):
        return value
    return '"' + _QUOTED.sub(lambda found: "\\" + found[0], value) + '"'
