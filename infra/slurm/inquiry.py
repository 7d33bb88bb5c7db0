"""The sweeper's question: which of the jobs that hold claims have ended for certain?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping

from infra.slurm.answers import Kind
from infra.slurm.listing import QUEUE_FORMAT, Listed, read_queue
from infra.slurm.states import JobState, Phase, UnknownStateError, parse_state
from infra.slurm.tools import Tools
from infra.slurm.transports import REST_URL

# SLURM has lost sight of the node; its processes may live there.
_OUT_OF_SIGHT = frozenset({JobState.NODE_FAIL, JobState.BOOT_FAIL, JobState.REVOKED})
REQUEUED = "requeued"
# Not CANCELLED: without cgroups that is also what a job looks like that used too much memory.
_TAKEN_AWAY = frozenset({JobState.PREEMPTED})


def ended_jobs(claims: Collection[str], tools: Tools | None = None) -> Mapping[str, bool]:
    """Tell of jobs by the names in their claims, `<job number>.<restart>`, whether they have ended. One question.

    True: that job, or that earlier start of it, has ended for certain. False: it runs or waits for certain. Absent:
    nobody knows: SLURM has forgotten it, or has lost sight of its node, where its processes may live. Names of jobs
    are those of one cluster: a data root that two clusters share must not be asked about here.
    Raises TransportUnavailableError: SLURM could not be asked, or there is none on this host.
    """
    starts = starts_of(claims)
    return judge_claims(starts, _ask(starts, tools))


def ends_of_jobs(claims: Collection[str], tools: Tools | None = None) -> Mapping[str, bool | str]:
    """Tell as `ended_jobs` does, but instead of True of a job that the cluster took from its node, how it is called."""
    starts = starts_of(claims)
    return judge_ends(starts, _ask(starts, tools))


def starts_of(claims: Collection[str]) -> dict[str, tuple[int, int]]:
    """Return job number and restart of the names that are a job's, by name: pure."""
    return {claim: start for claim in claims if (start := _start_of(claim)) is not None}


def judge_ends(starts: Mapping[str, tuple[int, int]], listed: Collection[Listed]) -> Mapping[str, bool | str]:
    """Decide as `judge_claims` does, a word instead of True for what the cluster took away: pure."""
    taken = taken_away(starts, listed)
    return {claim: taken.get(claim, ended) for claim, ended in judge_claims(starts, listed).items()}


def judge_claims(starts: Mapping[str, tuple[int, int]], listed: Iterable[Listed]) -> Mapping[str, bool]:
    """Decide: pure. `starts` are job number and restart by claim, `listed` what SLURM knows."""
    known = {one.number: one for one in listed}
    return {
        claim: ended
        for claim, (number, restart) in starts.items()
        if number in known and (ended := _has_ended(known[number], restart)) is not None
    }


def taken_away(starts: Mapping[str, tuple[int, int]], listed: Iterable[Listed]) -> Mapping[str, str]:
    """Return the claims whose job the cluster ended for reasons of its own, in a word: pure."""
    known = {one.number: one for one in listed}
    found: dict[str, str] = {}
    for claim, (number, restart) in starts.items():
        one = known.get(number)
        if one is not None and restart < one.restarts:
            found[claim] = REQUEUED
        elif one is not None and restart == one.restarts and one.state in _TAKEN_AWAY:
            found[claim] = one.state.lower()
    return found


def _ask(starts: Mapping[str, tuple[int, int]], tools: Tools | None) -> Collection[Listed]:
    """Ask SLURM by its commands; over HTTP where they are not installed and its API is named."""
    if not starts:
        return ()
    if tools is None and os.environ.get(REST_URL) and shutil.which("squeue") is None:
        from infra.slurm.slurmrestd import list_jobs  # noqa: PLC0415  # an HTTP client, for those who need one

        return list_jobs({number for number, _ in starts.values()})
    asked = ",".join(map(str, sorted({number for number, _ in starts.values()})))
    answer = (tools or Tools()).ask("squeue", "-h", "-t", "all", "-j", asked, "-O", QUEUE_FORMAT)
    if answer.verdict is not None and answer.verdict.kind is Kind.UNKNOWN_JOB:
        return ()
    return read_queue(answer.text).values()


def _has_ended(one: Listed, restart: int) -> bool | None:
    """Return None where that is open."""
    try:
        state = parse_state(one.state)
    except UnknownStateError:
        return None
    if restart > one.restarts or (restart == one.restarts - 1 and state is JobState.COMPLETING):
        return None  # it was just put back into the queue: its processes may not have heard of it yet
    if restart < one.restarts:
        return True
    return None if state in _OUT_OF_SIGHT else state.phase is Phase.OVER


def _start_of(claim: str) -> tuple[int, int] | None:
    number, _, restart = claim.partition(".")
    return (int(number), int(restart)) if number.isdecimal() and restart.isdecimal() else None
