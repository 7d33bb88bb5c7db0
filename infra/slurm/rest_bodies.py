"""What slurmrestd is told of a job, by version of its API: pure.

slurmrestd does not read #SBATCH lines: the body says all that `infra.slurm.directives` says, and a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from infra.slurm.directives import has_control
from infra.slurm.spec import JobSpec, JobSpecError

FIRST = "v0.0.38"  # SLURM 22.05: its options are those of sbatch; later versions have fields, and ignore what they lack
_COLONS = "v0.0.39"  # SLURM 23.02 says gres:gpu:1, later ones gres/gpu:1

# Free directives that can be said: the field of v0.0.38, that of later versions, and what the value is.
_FREE: Mapping[str, tuple[str, str, Literal["text", "number", "words", "nodes", "priority", "flag"]]] = {
    "dependency": ("dependency", "dependency", "text"),
    "exclusive": ("exclusive", "shared", "flag"),
    "licenses": ("licenses", "licenses", "text"),
    "mail-type": ("mail_type", "mail_type", "words"),
    "mail-user": ("mail_user", "mail_user", "text"),
    "mcs-label": ("mcs_label", "mcs_label", "text"),
    "mincpus": ("minimum_cpus_per_node", "minimum_cpus_per_node", "number"),
    "nice": ("nice", "nice", "number"),
    "nodelist": ("nodelist", "required_nodes", "nodes"),
    "priority": ("priority", "priority", "priority"),
    "threads-per-core": ("threads_per_core", "threads_per_core", "number"),
    "wckey": ("wckey", "wckey", "text"),
}
_MINUTE = 60
_NOT_UTF8 = re.compile("[\udc80-\udcff]+")


def submit_body(spec: JobSpec, script: str, version: str, environment: Mapping[str, str]) -> Mapping[str, object]:
    """Return what to hand in; `environment` is what the script itself begins with. Raises JobSpecError."""
    for path in (spec.directory, spec.working_directory):
        if _NOT_UTF8.search(path):
            raise JobSpecError(f"slurmrestd can be told no path that is not UTF-8: {path!r}")
    job = _common(spec) | (_of_first(spec) if version == FIRST else _of_later(spec, version))
    for directive in spec.directives:
        name, value = _free(directive, is_first=version == FIRST)
        job[name] = value
    job["environment"] = (
        dict(environment) if version == FIRST else [f"{name}={value}" for name, value in environment.items()]
    )
    if version == FIRST and spec.time_limit_seconds is not None:
        first, rest = script.split("\n", 1)
        warns_after = _minutes(spec.time_limit_seconds) * _MINUTE - spec.notice_seconds
        script = f"{first}\n{warning_line(warns_after)}\n{rest}"
    return {"job": job, "script": _in_ascii(script)}


def warning_line(seconds: float) -> str:
    """Return what sends USR1 to a script after a while: v0.0.38 refuses `B:`, a signal for the script itself.

    No program waits there that could outlive the job.
    """
    return (
        f"( exec 3<> <(:); read -rt {seconds} -u 3; kill -s USR1 $$ ) <&- >/dev/null 2>&1 &\n"
        'trap "kill $! 2>/dev/null" EXIT'
    )


def _common(spec: JobSpec) -> dict[str, object]:
    """Return what all versions are told in the same way."""
    job: dict[str, object] = {
        "name": _NOT_UTF8.sub("?", _one_line(spec.name).strip() or spec.tag),
        "comment": spec.tag,
        "standard_output": f"{spec.directory.replace('%', '%%')}/output",
        "current_working_directory": spec.working_directory,
        "nodes": "1",
        "tasks": 1,
        "cpus_per_task": spec.cpus,
    }
    for field in ("partition", "account", "qos", "reservation"):
        value: str = getattr(spec, field)
        if value:
            job[field] = _one_line(value)
    if spec.constraint:
        job["constraints"] = _one_line(spec.constraint)
    return job


def _of_first(spec: JobSpec) -> dict[str, object]:
    """Return the rest for v0.0.38, which takes `requeue` for true whatever it is."""
    job: dict[str, object] = {"open_mode": "append", "requeue" if spec.requeue else "no_requeue": True}
    if spec.memory_mb is not None:
        job["memory_per_node"] = spec.memory_mb
    gres = _gres(spec)
    if gres:
        job["gres"] = ",".join(gres)
    if spec.time_limit_seconds is not None:
        job["time_limit"] = _minutes(spec.time_limit_seconds)  # its warning stands in the script
    if spec.exclude:
        job["exclude_nodes"] = _one_line(spec.exclude)
    return job


def _of_later(spec: JobSpec, version: str) -> dict[str, object]:
    job: dict[str, object] = {"open_mode": ["APPEND"], "requeue": spec.requeue}
    if spec.memory_mb is not None:
        job["memory_per_node"] = _number(spec.memory_mb)
    gres = _gres(spec)
    if gres:
        job["tres_per_node"] = ",".join(f"gres{':' if version == _COLONS else '/'}{one}" for one in gres)
    if spec.time_limit_seconds is not None:
        job["time_limit"] = _number(_minutes(spec.time_limit_seconds))
        job["kill_warning_flags"], job["kill_warning_signal"] = ["BATCH_JOB"], "USR1"
        job["kill_warning_delay"] = _number(spec.notice_seconds)
    if spec.exclude:
        job["excluded_nodes"] = [_one_line(spec.exclude)]
    return job


def _free(directive: str, *, is_first: bool) -> tuple[str, object]:
    """Return the field and the value of a free directive. Raises JobSpecError."""
    name, _, value = directive.removeprefix("--").partition("=")
    if name not in _FREE:
        raise JobSpecError(
            f"job variable 'directives' holds {directive!r}, which slurmrestd is not told; there are:"
            f" {', '.join(_FREE)}; use another one, or the transport sbatch"
        )
    first, later, kind = _FREE[name]
    field = first if is_first else later
    match kind:
        case "number":
            return field, _whole(directive, value)
        case "priority":
            return field, _whole(directive, value) if is_first else _number(_whole(directive, value))
        case "words":
            return field, value if is_first else value.upper().split(",")
        case "nodes":
            return field, value if is_first else [value]
        case "flag" if value:
            raise JobSpecError(f"job variable 'directives' holds {directive!r}; slurmrestd is told {name!r} alone")
        case "flag":
            return field, "exclusive" if is_first else ["none"]
        case "text":
            return field, value


def _whole(directive: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise JobSpecError(f"job variable 'directives' holds {directive!r}, which needs a whole number") from None


def _gres(spec: JobSpec) -> tuple[str, ...]:
    return ((f"gpu:{spec.gpus}",) if spec.gpus else ()) + spec.gres


def _minutes(seconds: int) -> int:
    """Return whole minutes, rounded up as sbatch does."""
    return -(-seconds // _MINUTE)


def _number(value: int) -> Mapping[str, object]:
    return {"set": True, "infinite": False, "number": value}


def _one_line(text: str) -> str:
    return "".join(" " if has_control(letter) else letter for letter in text)


def _in_ascii(script: str) -> str:
    r"""Return the script without bytes that are no UTF-8, as JSON holds none: in its '...' they become '$'\xff''."""
    return _NOT_UTF8.sub(
        lambda found: "'$'" + "".join(f"\\x{ord(letter) - 0xDC00:02x}" for letter in found[0]) + "''", script
    )
