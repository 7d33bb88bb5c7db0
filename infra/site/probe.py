"""What a probe job runs on a compute node, and what its output says: text, pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

_PREFIX = "probe "

# A line for each fact. $1 is the root; what follows is what pollers would be started as, examining the root instead.
_SCRIPT = """\
export LC_ALL=C USER=${USER-$(id -un)}
say() { printf 'probe %s=%s\\n' "$1" "${2//$'\\n'/ }"; }
say now "$EPOCHREALTIME"
say host "$(hostname)"
say node "${SLURMD_NODENAME-}"
say boot "$(cat /proc/sys/kernel/random/boot_id)"
say user "$(id -un) ($(id -u)), groups $(id -Gn), umask $(umask)"
say gpus "${CUDA_VISIBLE_DEVICES-${ROCR_VISIBLE_DEVICES-}}"
say ends "${PHASELINE_ENDS_AT-}"
has=''
for runtime in apptainer singularity ch-run podman; do
    if command -v "$runtime" >/dev/null; then
        [[ $("$runtime" --version 2>&1 </dev/null) =~ [0-9]+\\.[0-9][0-9.]* ]]
        has+="${has:+, }$runtime ${BASH_REMATCH[0]-}"
    fi
done
say runtimes "$has"
[[ ! -w /dev/fuse ]] || say fuse usable
read -r limit </proc/sys/user/max_user_namespaces && say namespaces "$limit"
[[ ! -e $1/_phaseline && ! -L $1/_phaseline ]] || say root there
sed 's/^/probe mount=/' /proc/self/mountinfo
shift
said=$("$@" 2>&1 </dev/null); code=$?
say code "$code"
say said "$said"
say end yes
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What the command that pollers are started with says of the root; `trouble` if it could not be started."""

    fit: bool = False
    findings: tuple[Mapping[str, str], ...] = ()
    trouble: str = ""
    code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a node says of itself. `now` in seconds since the epoch, by its own clock."""

    now: float
    host: str
    boot: str
    user: str
    gpus: str
    ends_at: str
    runtimes: str  # container runtimes with their versions
    has_fuse: bool
    has_namespaces: bool  # of users, for runtimes without setuid programs
    sees_root: bool
    mounts: str  # /proc/self/mountinfo
    examination: Examination


def command(root: str, examined: Sequence[str]) -> tuple[str, ...]:
    """Return what a probe job starts."""
    return ("bash", "-c", _SCRIPT, "probe", root, *examined)


def has_begun(output: str) -> bool:
    """Tell whether the node has said what time it is there."""
    return any(line.startswith(f"{_PREFIX}host=") for line in output.splitlines())


def read_report(output: str) -> Report | None:
    """Read what a probe has written; None if it has not come to its end."""
    facts: dict[str, str] = {}
    mounts: list[str] = []
    for line in output.splitlines():
        if not line.startswith(_PREFIX):
            continue
        name, _, value = line.removeprefix(_PREFIX).partition("=")
        if name == "mount":
            mounts.append(value)
        else:
            facts[name] = value
    if "end" not in facts:
        return None
    return Report(
        now=float(facts["now"]),
        host=facts.get("node") or facts["host"],
        boot=facts["boot"],
        user=facts["user"],
        gpus=facts["gpus"],
        ends_at=facts["ends"],
        runtimes=facts["runtimes"],
        has_fuse="fuse" in facts,
        has_namespaces=facts.get("namespaces", "0") != "0",
        sees_root="root" in facts,
        mounts="\n".join(mounts),
        examination=_examination(facts["said"], int(facts["code"])),
    )


def _examination(said: str, code: int) -> Examination:
    """Find the JSON in it: a container's runtime may have said something before."""
    try:
        begins = re.search(r'\{\s*"root"', said)
        facts = cast("dict[str, object]", json.JSONDecoder().raw_decode(said, begins.start() if begins else 0)[0])
        findings = cast("list[dict[str, str]]", facts["findings"])
        return Examination(fit=bool(facts["fit"]), findings=tuple(findings), code=code)
    except (ValueError, KeyError, TypeError):
        return Examination(trouble=said[-300:].strip() or "it said nothing", code=code)
