"""Runs SLURM's command line tools: no shell, a time limit for each call, patience with a controller that is away."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loguru import logger

from infra.slurm.answers import Kind, Verdict, judge
from infra.slurm.inheritance import inherited
from infra.slurm.transport import SubmissionRefusedError, TransportUnavailableError

CALL_SECONDS = 30.0  # with its controller down, squeue gives up after 18 s
TRIES = 3
PAUSE_SECONDS = 0.5  # before the second try; twice as long before the next
RETRY_WITHIN_SECONDS = 10.0  # a call that took longer has been patient itself
FAILURES_MAX = 3  # calls in a row; then the controller is left alone for a while
QUIET_SECONDS = 2.0  # at first; twice as long after each call that fails again
QUIET_SECONDS_MAX = 60.0
# Where the site's SLURM is to be found. No SBATCH_*, SQUEUE_* and their like: what is asked stands in the arguments,
# and no SLURM_* of a job that the worker may be in.
_SLURMS = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWKS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tool printed. `verdict` is None where it succeeded."""

    text: str
    verdict: Verdict | None = None


@dataclass(slots=True, kw_only=True)
class Tools:
    """`environment` is the worker's; `monotonic` and `pause` are in seconds; `jitter` gives a number from 0 to 1."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    call_seconds: float = CALL_SECONDS
    monotonic: Callable[[], float] = time.monotonic
    pause: Callable[[float], object] = time.sleep
    jitter: Callable[[], float] = random.random
    _failures: int = 0
    _quiet_until: float = float("-inf")
    _why: str = ""

    def has(self, program: str) -> bool:
        """Tell whether there is such a program."""
        return shutil.which(program, path=self.environment.get("PATH")) is not None

    def ask(self, *command: str) -> Answer:
        """Run a tool that only asks, or may be told twice: again after a while where SLURM is away.

        Its verdict is None, UNKNOWN_JOB, OVER or NO_ACCOUNTING. Raises TransportUnavailableError for all others.
        """
        begun, tried = self.monotonic(), 1
        while True:
            answer = self._run(command)
            kind = answer.verdict.kind if answer.verdict is not None else None
            if kind in {None, Kind.UNKNOWN_JOB, Kind.OVER, Kind.NO_ACCOUNTING}:
                return answer
            is_patient = self._failures == 0 and self.monotonic() - begun < RETRY_WITHIN_SECONDS
            if kind is not Kind.AWAY or tried == TRIES or not is_patient:
                raise self._unavailable(command, answer)
            self.pause(PAUSE_SECONDS * 2 ** (tried - 1) * (0.5 + self.jitter()))
            tried += 1

    def hand_in(self, *command: str) -> str:
        """Run a tool once that must not be run twice; return what it printed.

        Raises TransportUnavailableError, whatever it has done, and SubmissionRefusedError.
        """
        answer = self._run(command)
        if answer.verdict is None:
            return answer.text
        if answer.verdict.kind in {Kind.REFUSED, Kind.STRANGE}:
            raise SubmissionRefusedError(f"SLURM refuses the job: {answer.verdict.text}")
        raise self._unavailable(command, answer)

    def _run(self, command: tuple[str, ...]) -> Answer:
        """Raises TransportUnavailableError while SLURM is left alone."""
        if self.monotonic() < self._quiet_until:
            raise TransportUnavailableError(f"{self._why} (SLURM is left alone for a while)")
        environment = inherited(self.environment, same_host=False)
        environment |= {name: self.environment[name] for name in _SLURMS if name in self.environment}
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self.call_seconds,
                check=False,
                cwd="/",
                env=environment,
            )
        except subprocess.TimeoutExpired:
            return _away(f"no answer within {self.call_seconds:g} s")
        except OSError as error:
            return _away(str(error))
        text, said = (out.decode("utf-8", "replace") for out in (done.stdout, done.stderr))
        if done.returncode == 0:
            self._failures = 0
            return Answer(text=text)
        verdict = judge(said or text)
        if verdict.kind is not Kind.AWAY:
            self._failures = 0
        return Answer(text=text, verdict=verdict)

    def _unavailable(self, command: tuple[str, ...], answer: Answer) -> TransportUnavailableError:
        """A controller that stays away is asked ever more rarely; a limit that passes by is no reason for that."""
        verdict = answer.verdict
        words = f"{command[0]}: {verdict.text if verdict is not None else answer.text}"
        if verdict is None or verdict.kind is not Kind.AWAY:
            return TransportUnavailableError(words)
        self._failures += 1
        self._why = words
        if self._failures >= FAILURES_MAX:
            seconds = min(QUIET_SECONDS_MAX, QUIET_SECONDS * 2 ** min(self._failures - FAILURES_MAX, 10))
            self._quiet_until = self.monotonic() + seconds * (0.5 + self.jitter() / 2)
            logger.bind(reason=words, failures=self._failures).debug("SLURM is left alone for a while")
        return TransportUnavailableError(words)


def _away(text: str) -> Answer:
    return Answer(text="", verdict=Verdict(kind=Kind.AWAY, text=text))
