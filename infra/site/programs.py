"""SLURM's own programs on this host, its controller, and the settings that matter to pollers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence

from infra.site.asking import Said
from infra.site.finding import Finding, fault, ok, warning

NEEDED = ("sbatch", "squeue", "scontrol", "scancel", "sinfo")
GRACE_SECONDS = 20  # of a poller, PHASELINE_GRACE_SECONDS
MIN_JOB_AGE_SECONDS = 60  # SLURM forgets a job after this; a worker asks every few seconds
_SETTING = re.compile(r"^(\w+)\s*=\s*(.*?)\s*$", re.MULTILINE)

Ask = Callable[[Sequence[str]], Said]


def programs(ask: Ask, which: Callable[[str], str | None] = shutil.which) -> Iterator[Finding]:
    """Say which programs there are and of what version."""
    there = [program for program in NEEDED if which(program) is not None]
    missing = [program for program in NEEDED if program not in there]
    if missing:
        todo = "load SLURM's module, or put its bin directory on PATH of the worker"
        yield fault("SLURM commands", f"not on PATH: {', '.join(missing)}", todo)
        return
    version = ask(("sbatch", "--version"))
    if not version.is_well:
        yield fault("SLURM commands", version.why, "mend the SLURM client on this host")
        return
    yield ok("SLURM commands", f"{' '.join(there)}; {version.output.strip()}")


def controller(ask: Ask) -> Iterator[Finding]:
    """Say whether the controller answers."""
    said = ask(("scontrol", "ping"))
    lines = "; ".join(line.strip() for line in said.output.splitlines() if line.strip())
    if said.is_well and " UP" in lines:
        yield ok("controller", lines)
    else:
        yield fault("controller", lines or said.why, "ask the site; until it answers, workers wait and pollers go on")


def read_settings(text: str) -> dict[str, str]:
    """Read what `scontrol show config` said."""
    return dict(_SETTING.findall(text))


def settings(said: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Finding]:
    """Say which of SLURM's settings pollers have to know of."""
    yield from _kill_wait(said, environment)
    age = _seconds(said.get("MinJobAge", ""))
    if age is not None and age < MIN_JOB_AGE_SECONDS:
        yield warning(
            "MinJobAge",
            f"SLURM forgets a job {age} s after its end: if that was the end of its node, nobody will know why",
            f"ask the site for {MIN_JOB_AGE_SECONDS} or more, or for accounting",
        )
    if said.get("AccountingStorageType", "").rpartition("/")[2] in {"", "none", "(null)"}:
        yield ok("accounting", "none: what became of a job is known from its result file, and while SLURM remembers it")
    else:
        yield ok("accounting", said["AccountingStorageType"])
    if said.get("JobRequeue") == "0":
        yield ok("JobRequeue", "0: a job whose node fails is not started again unless it asks for that, as pollers do")
    cluster = said.get("ClusterName", "")
    if cluster:
        yield ok("cluster", f"{cluster}, SLURM {said.get('SLURM_VERSION', '?')}")


def _kill_wait(said: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Finding]:
    """A poller that is killed before it has let go costs its dataset a lease; nothing is lost."""
    wait = _seconds(said.get("KillWait", ""))
    grace = float(environment.get("PHASELINE_GRACE_SECONDS") or GRACE_SECONDS)
    if wait is None:
        return
    if wait <= grace:
        yield warning(
            "KillWait",
            f"a job has {wait} s from TERM to KILL, and a poller takes up to {grace:g} s to let go",
            f"set PHASELINE_GRACE_SECONDS={max(1, wait * 2 // 3)} in the worker's environment",
        )
    else:
        yield ok("KillWait", f"{wait} s from TERM to KILL; a poller lets go within {grace:g} s")


def _seconds(text: str) -> int | None:
    number = text.split(maxsplit=1)[0] if text.strip() else ""
    return int(number) if number.isdecimal() else None
