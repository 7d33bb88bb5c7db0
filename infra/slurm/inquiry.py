"""The sweeper's question: which of the jobs that hold claims have ended for certain?"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from infra.slurm.transport import TransportUnavailableError


def ended_jobs(claims: Collection[str]) -> Mapping[str, bool]:
    """Tell of jobs by the names in their claims, `<job number>.<restart>`, whether they have ended. One question.

    True: that job, or that earlier start of it, has ended for certain. False: it runs or waits for certain. Absent:
    nobody knows: SLURM has forgotten it, or has lost sight of its node, where its processes may live. Names of jobs
    are those of one cluster: a data root that two clusters share must not be asked about here.
    Raises TransportUnavailableError: SLURM could not be asked, or there is none on this host.
    """
    if not claims:
        return {}
    raise TransportUnavailableError("not yet")
