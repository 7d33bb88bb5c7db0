"""A fleet of `phaseline` processes: started, stopped, continued, killed, requeued, asked to end, and started anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from stages.engine.errors import ExitCode
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
CATALOG = Path(os.environ.get("STORM_CATALOG") or CHECKOUT / "tests" / "catalog_tiny")
END_SECONDS = 60.0
ORPHAN_SECONDS = 1.0  # how long it goes on after it has come back
FIRST_NUMBER = 1000  # of the jobs that pollers believe to be in
EXPECTED = {int(ExitCode.OK), int(ExitCode.ALWAYS_FAILS)}


def environment(root: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process that works in `root` with the tiny stages."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PHASELINE_", "SLURM_"))}
    return {
        **ours,
        "PYTHONPATH": str(CHECKOUT),
        "PHASELINE_ROOT": str(root),
        "PHASELINE_STAGES": str(CATALOG),
        "PHASELINE_ALLOW_SHORT_LEASE": "1",
        "PHASELINE_LOOK_SECONDS_MAX": "0.2",
        "PHASELINE_GRACE_SECONDS": "10",
        **more,
    }


def phaseline(*words: str) -> list[str]:
    """Return the command line; a process that it starts dies with this one."""
    return ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "stages.engine", *words]


def type_in(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Type one command and wait for its end."""
    return subprocess.run(
        phaseline(*words), env=environment(root), capture_output=True, text=True, timeout=END_SECONDS, check=False
    )


def living(root: Path) -> list[str]:
    """Return the command lines of all processes that were started for `root`."""
    sign, found = f"PHASELINE_ROOT={root}".encode(), list[str]()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or another user's
            if sign in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


class Process(Protocol):
    """What is done to a process, and asked of it, as a subprocess.Popen has it."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(eq=False, kw_only=True)
class Member:
    """One place in the fleet: what is typed there, and the process that does it now.

    A poller's place is a job, `number`, that is requeued whenever its process ends: `starts` counts.
    """

    words: tuple[str, ...]
    number: int
    process: Process
    log: Path
    starts: int = 1
    resumes: float | None = None  # on the monotonic clock, while it is stopped
    killed: bool = False
    asked: bool = False

    @property
    def stage(self) -> str | None:
        """Whose datasets it carries; None for a sweeper."""
        return self.words[1] if self.words[0] == "poll" else None


@dataclass(eq=False, kw_only=True)
class Orphan:
    """An earlier start of a job that lives on: stopped until `resumes`, then asked to end at `ends`."""

    process: Process
    log: Path
    resumes: float
    ends: float | None = None


class Fleet:
    """Keeps its members alive until it is ended; `strange` says which ended as none should."""

    def __init__(self, root: Path, logs: Path, more: Mapping[str, str] | None = None) -> None:
        self._root, self._logs, self._more = root, logs, dict(more or {})
        self._logs.mkdir(exist_ok=True)
        self.members: list[Member] = []
        self._orphans: list[Orphan] = []
        self.exits: Counter[int] = Counter()
        self.strange: list[str] = []
        self._is_ending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (*self.members, *self._orphans):
            if one.process.poll() is None:
                one.process.kill()
                one.process.wait(END_SECONDS)

    def add(self, *words: str) -> Member:
        """Start one more."""
        log = self._logs / f"{len(self.members):02}-{words[0]}-{words[1]}.log"
        number = FIRST_NUMBER + len(self.members)
        member = Member(words=words, number=number, process=self._start(words, number, 0, log), log=log)
        self.members.append(member)
        return member

    def _start(self, words: tuple[str, ...], number: int, restart: int, log: Path) -> Process:
        own = {"SLURM_JOB_ID": str(number), "SLURM_RESTART_COUNT": str(restart)} if words[0] == "poll" else {}
        with log.open("ab") as output:
            return self._process(words, number, environment(self._root, **self._more, **own), output.fileno())

    def _process(self, words: tuple[str, ...], number: int, environment: Mapping[str, str], output: int) -> Process:
        """Start what is typed at the place `number`."""
        del number
        return subprocess.Popen(phaseline(*words), env=environment, stdout=output, stderr=output)

    def _start_anew(self, member: Member) -> None:
        member.process = self._start(member.words, member.number, member.starts, member.log)
        member.starts += 1
        member.resumes, member.killed, member.asked = None, False, False

    def tend(self) -> None:
        """Continue whoever was stopped for long enough, start whoever ended anew."""
        now = time.monotonic()
        for member in self.members:
            if member.resumes is not None and member.resumes <= now:
                self.go_on(member)
            code = member.process.poll()
            if code is not None and not self._is_ending:
                self._note(member, code)
                self._start_anew(member)
        for orphan in self._orphans:
            self._tend_orphan(orphan, now)

    def _tend_orphan(self, orphan: Orphan, now: float) -> None:
        if orphan.ends is None and orphan.resumes <= now:
            orphan.process.send_signal(signal.SIGCONT)
            orphan.ends = now + ORPHAN_SECONDS
        elif orphan.ends is not None and orphan.ends <= now and orphan.process.poll() is None:
            orphan.process.terminate()
            orphan.ends = now + END_SECONDS

    def _note(self, member: Member, code: int) -> None:
        self.exits[code] += 1
        was_told = (member.killed and code == -signal.SIGKILL) or (member.asked and code == -signal.SIGTERM)
        if code not in EXPECTED and not was_told:
            said = member.log.read_text(errors="replace").splitlines()[-5:]
            self.strange.append(f"{' '.join(member.words)} ended with {code}: {said}")

    def kill(self, member: Member) -> None:
        """SIGKILL."""
        member.killed = True
        member.process.kill()
        member.process.wait(END_SECONDS)

    def stop(self, member: Member, seconds: float) -> None:
        """SIGSTOP; `tend` continues it once `seconds` have passed."""
        member.process.send_signal(signal.SIGSTOP)
        member.resumes = time.monotonic() + seconds

    def requeue(self, member: Member, seconds: float) -> None:
        """Start its job anew while its process is out of sight: stopped, it lives on after so many seconds."""
        member.process.send_signal(signal.SIGSTOP)
        self._orphans.append(Orphan(process=member.process, log=member.log, resumes=time.monotonic() + seconds))
        self._start_anew(member)

    def go_on(self, member: Member) -> None:
        """SIGCONT."""
        member.process.send_signal(signal.SIGCONT)
        member.resumes = None

    def ask(self, member: Member) -> None:
        """SIGTERM; who is stopped hears it once continued."""
        member.asked = True
        member.process.terminate()

    def end(self) -> None:
        """Ask all to end and wait for it; raises TimeoutError when one does not, or leaves something behind."""
        self._is_ending = True
        for member in self.members:
            self.ask(member)
            self.go_on(member)
        for orphan in self._orphans:
            orphan.process.terminate()
            orphan.process.send_signal(signal.SIGCONT)
        for member in self.members:
            self._note(member, member.process.wait(END_SECONDS))
        for orphan in self._orphans:
            code = orphan.process.wait(END_SECONDS)
            if code not in {*EXPECTED, -signal.SIGTERM}:
                said = [line for line in orphan.log.read_text(errors="replace").splitlines() if "phaseline: " in line]
                self.strange.append(f"an orphan ended with {code}: {said[-3:]}")
        wait_until(lambda: not living(self._root), END_SECONDS, lambda: f"still there: {living(self._root)}")
