"""Sends a probe to a compute node as a job, and waits for what it has to say; leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.site import probe
from infra.slurm.spec import JobSpec
from infra.slurm.states import Phase
from infra.slurm.transport import JobReport, SubmissionRefusedError, Transport, TransportUnavailableError

LOOK_SECONDS = 0.5
SETTLE_SECONDS = 30.0  # what a node has written may be seen here so much later


@dataclass(slots=True, kw_only=True)
class Probe:
    """One job. Times in seconds since the epoch, by this host's clock.

    `waited`: when it was last known not to have begun; `begun`: when its first words were first seen here; `ended`:
    when it was first known to be over. `refused`: why there is no job.
    """

    spec: JobSpec
    job: str = ""
    refused: str = ""
    handed_in: float = 0.0
    waited: float = 0.0
    begun: float | None = None
    ended: float | None = None
    told: float | None = None  # when its last word was first seen here
    latest: JobReport | None = None
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """Waits at most `wait_seconds` for all probes together. `now` in seconds since the epoch."""

    transport: Transport
    wait_seconds: float
    now: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep

    def send(self, specs: Sequence[JobSpec]) -> list[Probe]:
        """Hand the probes in and wait for them; those that have not begun by then are cancelled.

        Raises TransportUnavailableError.
        """
        probes = [self._hand_in(spec) for spec in specs]
        handed_in = [one for one in probes if one.job]
        try:
            self._wait(handed_in)
        finally:
            self._clear_up(handed_in)
        return probes

    def _hand_in(self, spec: JobSpec) -> Probe:
        os.makedirs(spec.directory, exist_ok=True)
        now = self.now()
        one = Probe(spec=spec, handed_in=now, waited=now)
        try:
            one.job = self.transport.submit(spec)
        except SubmissionRefusedError as error:
            one.refused = str(error)
            shutil.rmtree(spec.directory, ignore_errors=True)
        return one

    def _wait(self, probes: Sequence[Probe]) -> None:
        until = self.now() + self.wait_seconds
        while True:
            open_ones = [one for one in probes if not self._is_done(one)]
            if not open_ones or self.now() >= until:
                return
            asked = self.now()
            reports = self.transport.look([one.job for one in open_ones])
            for one in open_ones:
                self._note(one, reports[one.job], asked)
            self.pause(LOOK_SECONDS)

    def _is_done(self, one: Probe) -> bool:
        return one.ended is not None and (one.told is not None or self.now() - one.ended > SETTLE_SECONDS)

    def _note(self, one: Probe, report: JobReport | None, asked: float) -> None:
        one.latest = report or one.latest
        if report is not None and report.state.phase is Phase.WAITING:
            one.waited = asked
            return
        one.output = read_anew(os.path.join(one.spec.directory, "output"))
        if one.begun is None and probe.has_begun(one.output):
            one.begun = self.now()
        if one.told is None and probe.read_report(one.output) is not None:
            one.told = self.now()
        if one.ended is None and (report is None or report.state.phase is Phase.OVER):
            one.ended = self.now()

    def _clear_up(self, probes: Sequence[Probe]) -> None:
        """A job that is still there writes into its directory, which stays then."""
        left = [one.job for one in probes if one.ended is None]
        try:
            if left:
                self.transport.cancel(left)
        except TransportUnavailableError:
            return
        for one in probes:
            if one.job not in left:
                shutil.rmtree(one.spec.directory, ignore_errors=True)


def read_anew(path: str) -> str:
    """Look anew: a network file system may answer from a cache what it has not been asked in a while."""
    try:
        os.listdir(os.path.dirname(path))
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
