"""Two jobs side by side, on two nodes where there are two: each with its own words for the deployments' command."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from infra.site.examination import Asked, asked_for, small, together
from infra.site.finding import Finding
from infra.site.probing import read_anew
from infra.site.wishes import Wish, WishError
from infra.slurm.spec import JobSpec
from infra.slurm.states import JobState, Phase
from infra.slurm.transport import JobReport, SubmissionRefusedError, Transport, TransportUnavailableError
from infra.slurm.transports import LOCAL, open_transport

LOOK_SECONDS = 0.5
PLAY_SECONDS = 300  # from the moment at which both are there
ONE_NODE = "there is one node for what the deployments ask for: both sides were on it, and shared its caches"
NO_SLURM = "no SLURM is used: both sides were processes of this host, and shared its caches"


class ApartError(Exception):
    """The two sides cannot be brought together; the text says why."""


@dataclass(slots=True, kw_only=True)
class Carried:
    """One side's job; times in seconds since the epoch."""

    spec: JobSpec
    job: str
    handed_in: float
    latest: JobReport | None = None
    is_over: bool = False

    @property
    def has_begun(self) -> bool:
        return self.is_over or (self.latest is not None and self.latest.state.phase is not Phase.WAITING)

    @property
    def node(self) -> str:
        return self.latest.node if self.latest is not None else ""

    @property
    def trouble(self) -> str:
        """What went wrong, with its last words; nothing if it ended well."""
        if self.latest is not None and self.latest.state is JobState.COMPLETED:
            return ""
        state = f"{self.latest.state} {self.latest.reason}".strip() if self.latest is not None else "gone"
        said = read_anew(os.path.join(self.spec.directory, "output")).strip().splitlines()[-1:]
        return f"job {self.job.partition(':')[0]} on {self.node or 'no node'}: {state}" + "".join(
            f": {one}" for one in said
        )


@dataclass(slots=True, kw_only=True)
class Pair:
    """Hands two jobs in, the second for another node than the first's, and waits for their ends."""

    transport: Transport
    wait_seconds: float
    now: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep
    notes: list[str] = field(default_factory=list[str], init=False)
    _carried: list[Carried] = field(default_factory=list[Carried], init=False)

    def carry(self, wishes: Sequence[Wish], words: Sequence[Sequence[str]]) -> list[str]:
        """Return what went wrong. Raises ApartError, WishError, SubmissionRefusedError, TransportUnavailableError."""
        try:
            first = self._hand_in(self._spec(wishes[0], words[0]))
            self._wait_until_begun(first)
            second = self._hand_in_elsewhere(wishes, words[1], first)
            self._wait_until_begun(second)
            until = self.now() + PLAY_SECONDS
            while not (first.is_over and second.is_over) and self.now() < until:
                self._look()
            return [one.trouble for one in self._carried if one.trouble]
        finally:
            self._clear_up()

    def _spec(self, wish: Wish, words: Sequence[str]) -> JobSpec:
        spec = wish.job(f"doctor-{secrets.token_hex(4)}.0", words)
        return small(spec, PLAY_SECONDS + round(self.wait_seconds))

    def _hand_in(self, spec: JobSpec) -> Carried:
        os.makedirs(spec.directory, exist_ok=True)
        try:
            one = Carried(spec=spec, job=self.transport.submit(spec), handed_in=self.now())
        except BaseException:
            shutil.rmtree(spec.directory, ignore_errors=True)
            raise
        self._carried.append(one)
        return one

    def _hand_in_elsewhere(self, wishes: Sequence[Wish], words: Sequence[str], first: Carried) -> Carried:
        """Exclude the first's node; SLURM refuses where that leaves none."""
        if self.transport.name == LOCAL:
            self.notes.append(NO_SLURM)
            return self._hand_in(self._spec(wishes[0], words))
        for wish in wishes:
            spec = self._spec(wish, words)
            others = ",".join(filter(None, (spec.exclude, first.node)))
            try:
                return self._hand_in(replace(spec, exclude=others))
            except SubmissionRefusedError:
                continue
        self.notes.append(ONE_NODE)
        return self._hand_in(self._spec(wishes[0], words))

    def _wait_until_begun(self, one: Carried) -> None:
        while not one.has_begun:
            self._look()
            if self.now() - one.handed_in > self.wait_seconds:
                reason = one.latest.reason if one.latest is not None else ""
                raise ApartError(f"no node in {self.wait_seconds:.0f} s ({reason or 'it waits'}); see --wait-seconds")

    def _look(self) -> None:
        reports = self.transport.look([one.job for one in self._carried if not one.is_over])
        for one in self._carried:
            if not one.is_over:
                report = reports[one.job]
                one.latest = report or one.latest
                one.is_over = report is None or report.state.phase is Phase.OVER
        self.pause(LOOK_SECONDS)

    def _clear_up(self) -> None:
        """A job that is still there writes into its directory, which stays then."""
        left = [one.job for one in self._carried if not one.is_over]
        try:
            if left:
                self.transport.cancel(left)
        except TransportUnavailableError:
            return
        for one in self._carried:
            if one.is_over:
                shutil.rmtree(one.spec.directory, ignore_errors=True)


def carry(
    root: str, wishes: Sequence[Wish], words: Sequence[Sequence[str]], wait_seconds: float
) -> tuple[list[str], list[str]]:
    """Start both; returns notes for people, and what went wrong. What jobs ask for is what the deployments ask for."""
    made = [asked_for(wish) for wish in wishes]
    asked = together([one for one in made if isinstance(one, Asked)])
    if not asked:
        return [], [one.line for one in made if isinstance(one, Finding)] or ["no deployment asks for pollers"]
    name = asked[0].transport
    try:
        pair = Pair(transport=open_transport(name, os.path.join(root, "_jobs")), wait_seconds=wait_seconds)
        troubles = pair.carry([one.wish for one in asked if one.transport == name], words)
    except (ApartError, WishError, TransportUnavailableError, SubmissionRefusedError, OSError, SystemExit) as error:
        return [], [str(error)]
    return pair.notes, troubles
