"""A small SLURM: sbatch, squeue, scontrol, scancel and sacct on PATH, real scripts on this machine, state in files.

`python fake_slurm.py STATE PROGRAM ARGUMENTS`; `install` makes the programs. In STATE: `jobs/<number>.json`, `slots`,
`calls` (what was asked), and what a test puts there: `down` (the controller is away, with what the file says on
stderr), `refuse` (what sbatch refuses with), `lose` (sbatch does its work, and its answer is lost), `accounting` (what
there is of it), `accounting.away`. It prints what 22.05 printed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, cast

PROGRAMS = ("sbatch", "squeue", "scontrol", "scancel", "sacct")
KILL_WAIT_SECONDS = 2.0
AWAY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
UNKNOWN = "slurm_load_jobs error: Invalid job id specified"
QUEUE = {
    "JobID": "number",
    "State": "state",
    "RestartCnt": "restarts",
    "NodeList": "node",
    "Reason": "reason",
    "Comment": "comment",
}


class Job(TypedDict):
    """One job's record. `status` is the script's wait status, `pid` that of its process group while it runs."""

    number: int
    state: str
    reason: str
    restarts: int
    node: str
    comment: str
    name: str
    script: str
    output: str
    directory: str
    pid: int
    code: int
    signal: int
    by: int | None


def install(state: Path, *, slots: int) -> Path:
    """Make the programs and an empty cluster; return the directory to put on PATH."""
    (state / "jobs").mkdir(parents=True)
    (state / "bin").mkdir()
    (state / "slots").write_text(str(slots))
    for program in PROGRAMS:
        path = state / "bin" / program
        words = shlex.join([sys.executable, "-I", "-S", __file__, str(state), program])
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        path.chmod(0o755)
    return state / "bin"


class Cluster:
    """What the programs share."""

    def __init__(self, state: Path) -> None:
        self.state = state

    @contextmanager
    def locked(self) -> Generator[None]:
        with open(self.state / "lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def jobs(self) -> list[Job]:
        paths = sorted((self.state / "jobs").glob("*.json"), key=lambda path: int(path.stem))
        return [cast("Job", json.loads(path.read_text())) for path in paths]

    def job(self, number: int) -> Job | None:
        path = self.state / "jobs" / f"{number}.json"
        return cast("Job", json.loads(path.read_text())) if path.exists() else None

    def save(self, job: Job) -> None:
        path = self.state / "jobs" / f"{job['number']}.json"
        path.with_suffix(".new").write_text(json.dumps(job))
        path.with_suffix(".new").replace(path)

    def fill(self) -> None:
        """Start waiting jobs while there are slots; the caller holds the lock."""
        free = int((self.state / "slots").read_text()) - sum(job["state"] == "RUNNING" for job in self.jobs())
        for job in [job for job in self.jobs() if job["state"] == "PENDING"][: max(0, free)]:
            self.save({**job, "state": "RUNNING", "reason": "None", "node": "n1"})
            subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(self.state), "run", str(job["number"])],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


def sbatch(cluster: Cluster, arguments: Sequence[str]) -> int:
    script = arguments[-1]
    refusal = cluster.state / "refuse"
    if refusal.exists():
        return _fail(refusal.read_text())
    said = _directives(Path(script).read_text(encoding="utf-8", errors="surrogateescape"))
    with cluster.locked():
        number = max([100, *(job["number"] for job in cluster.jobs())]) + 1
        cluster.save(
            {
                "number": number,
                "state": "PENDING",
                "reason": "Resources",
                "restarts": 0,
                "node": "(null)",
                "comment": said.get("comment", "(null)"),
                "name": said.get("job-name", "(null)"),
                "script": Path(script).read_text(encoding="utf-8", errors="surrogateescape"),
                "output": said["output"].replace("%%", "%"),
                "directory": said["chdir"],
                "pid": 0,
                "code": 0,
                "signal": 0,
                "by": None,
            }
        )
        cluster.fill()
    if (cluster.state / "lose").exists():
        return _fail("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    print(number)
    return 0


def squeue(cluster: Cluster, arguments: Sequence[str]) -> int:
    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    wanted = options.get("-j")
    jobs = [job for job in cluster.jobs() if wanted is None or str(job["number"]) in wanted.split(",")]
    if wanted is not None and not jobs and "," not in wanted:
        return _fail(UNKNOWN)
    for job in jobs:
        fields = (field.partition(":") for field in options["-O"].split(","))
        print("".join(f"{job[QUEUE[name]]!s:{width}.{width}}" for name, _, width in fields))
    return 0


def scontrol(cluster: Cluster, arguments: Sequence[str]) -> int:
    job = cluster.job(int(arguments[-1]))
    if job is None:
        return _fail(UNKNOWN)
    print(f"JobId={job['number']} JobName={job['name']}")
    print("   UserId=me(1) GroupId=me(1) MCS_label=N/A")
    print(f"   JobState={job['state']} Reason={job['reason']} Dependency=(null)")
    print(f"   Requeue=1 Restarts={job['restarts']} BatchFlag=1 Reboot=0 ExitCode={job['code']}:{job['signal']}")
    print("   ReqNodeList=(null) ExcNodeList=(null)")
    print(f"   NodeList={job['node']}")
    print(f"   Comment={job['comment']} ")
    print(f"   WorkDir={job['directory']}\n")
    return 0


def scancel(cluster: Cluster, arguments: Sequence[str]) -> int:
    with cluster.locked():
        for job in cluster.jobs():
            if str(job["number"]) not in arguments:
                continue
            if job["state"] == "PENDING":
                cluster.save({**job, "state": "CANCELLED", "by": os.getuid()})
            elif job["state"] == "RUNNING":
                cluster.save({**job, "by": os.getuid()})
                if job["pid"]:
                    os.killpg(job["pid"], signal.SIGTERM)
    return 0


def sacct(cluster: Cluster, arguments: Sequence[str]) -> int:
    if (cluster.state / "accounting.away").exists():
        return _fail("sacct: error: Problem talking to the database: Connection refused")
    if not (cluster.state / "accounting").exists():
        return _fail("Slurm accounting storage is disabled")
    options = dict(zip(arguments[3::2], arguments[4::2], strict=True))
    for line in (cluster.state / "accounting").read_text().splitlines():
        number, state, ended, node, comment = line.split("|")
        if options.get("-j", number) == number:
            print(f"{number}|{comment}" if "Comment" in options["-o"] else f"{number}|{state}|{ended}|{node}")
    return 0


def run(cluster: Cluster, number: int) -> int:
    """Carry a job out, as slurmd and slurmstepd do."""
    with cluster.locked():
        job = cluster.job(number)
        assert job is not None
        path = cluster.state / f"script.{number}"
        path.write_text(job["script"], encoding="utf-8", errors="surrogateescape")
        environment = {
            **os.environ,
            "SLURM_JOB_ID": str(number),
            "SLURM_RESTART_COUNT": str(job["restarts"]),
            "SLURMD_NODENAME": job["node"],
        }
        with open(job["output"], "ab") as output:
            script = subprocess.Popen(
                ["/bin/bash", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=job["directory"],
                env=environment,
                start_new_session=True,
            )
        job["pid"] = script.pid
        cluster.save(job)
        if job["by"] is not None:
            os.killpg(script.pid, signal.SIGTERM)
    told_at = None
    while script.poll() is None:
        now = cluster.job(number)
        if now is not None and now["by"] is not None:
            told_at = told_at or time.monotonic()
            if time.monotonic() - told_at > KILL_WAIT_SECONDS:
                os.killpg(script.pid, signal.SIGKILL)
        time.sleep(0.02)
    with cluster.locked():
        _end(cluster, number, script.returncode)
        cluster.fill()
    return 0


def _end(cluster: Cluster, number: int, status: int) -> None:
    job = cluster.job(number)
    if job is None:
        return
    code, killed = max(status, 0), max(-status, 0)
    if job["by"] is not None:
        state, reason, code, killed = "CANCELLED", job["reason"], 0, killed or int(signal.SIGTERM)
    elif status:
        state, reason = "FAILED", "NonZeroExitCode"
    else:
        state, reason = "COMPLETED", "None"
    cluster.save({**job, "state": state, "reason": reason, "code": code, "signal": killed, "pid": 0})


def _directives(script: str) -> dict[str, str]:
    """Read what phaseline writes: one option a line, in quotes or with a backslash where it is not plain."""
    said: dict[str, str] = {}
    for line in script.splitlines():
        if line.startswith("#SBATCH --"):
            letters, option = iter(line.removeprefix("#SBATCH --")), ""
            for letter in letters:
                option += next(letters) if letter == "\\" else letter.replace('"', "")
            name, _, value = option.partition("=")
            said[name] = value
    return said


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


def main() -> int:
    cluster, program, arguments = Cluster(Path(sys.argv[1])), sys.argv[2], sys.argv[3:]
    with open(cluster.state / "calls", "a", encoding="utf-8") as calls:
        calls.write(f"{program} {' '.join(arguments)}\n")
    down = cluster.state / "down"
    if program == "run":
        return run(cluster, int(arguments[0]))
    if down.exists():
        return _fail(down.read_text() or AWAY)
    programs = {"sbatch": sbatch, "squeue": squeue, "scontrol": scontrol, "scancel": scancel, "sacct": sacct}
    return programs[program](cluster, arguments)


if __name__ == "__main__":
    sys.exit(main())
