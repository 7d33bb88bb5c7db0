"""What a probe's report means: the node as pollers will find it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from infra.site import probe, storage
from infra.site.finding import Finding, fault, ok, warning
from infra.site.probe import Examination, Report
from infra.site.probing import Probe
from infra.slurm.states import Phase

CLOCK_SECONDS = 2.0  # a clock that is further off is worth a word; nothing is decided by comparing clocks
SEEN_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """This host, the worker's: what a node is compared with."""

    root: str
    boot: str
    mounts: str


def judge(one: Probe, here: Here) -> Iterator[Finding]:
    """Say what is to be said of a probe."""
    where = f"partition {one.spec.partition}" if one.spec.partition else "probe"
    if one.refused:
        yield fault(where, f"the probe was refused: {one.refused}", "mend what it says, then examine again")
        return
    report = probe.read_report(one.output)
    if report is None:
        yield _silent(where, one)
        return
    node = f"node {report.host}"
    number = one.job.partition(":")[0]
    job = f"job {number} in {where}" if number.isdecimal() else "the probe ran"
    yield ok(node, f"{job} as {report.user}; it waited for about {one.waited - one.handed_in:.0f} s")
    yield _clock(node, report, one)
    if one.ended is not None and one.told is not None and one.told - one.ended > SEEN_SECONDS:
        late = one.told - one.ended
        yield warning(node, f"what it wrote was seen here {late:.0f} s late", "look at docs/clusters.md, mount options")
    if one.spec.time_limit_seconds is not None and not report.ends_at:
        todo = "report this: the job's script should have said it (PHASELINE_ENDS_AT)"
        yield warning(node, "a job does not learn when its time limit ends it", todo)
    yield ok(node, _runtimes(report))
    if one.spec.gpus and not report.gpus:
        yield warning(node, "a job with a GPU is shown none (CUDA_VISIBLE_DEVICES is empty)", "ask the site: gres.conf")
    if not report.sees_root:
        yield fault(node, f"{here.root} is not there", "mount the root's storage on compute nodes, at the same path")
        return
    there = storage.find_mount(report.mounts, here.root)
    same_host = report.boot == here.boot
    yield from storage.compare(node, storage.find_mount(here.mounts, here.root), there, same_host=same_host)
    yield from _examination(node, one, report.examination)


def _runtimes(report: Report) -> str:
    fuse = "/dev/fuse can be used" if report.has_fuse else "no /dev/fuse: no image in one file can be mounted"
    namespaces = "" if report.has_namespaces else "; no user namespaces: only what root has installed setuid works"
    return f"container runtimes: {report.runtimes or 'none'}; {fuse}{namespaces}"


def _silent(where: str, one: Probe) -> Finding:
    latest = one.latest
    if one.ended is None and latest is not None and latest.state.phase is Phase.WAITING:
        return warning(
            where,
            f"no node for the probe in {one.waited - one.handed_in:.0f} s: {latest.reason or 'it waits'}",
            "examine again when there is room, or with a longer --wait-seconds",
        )
    if one.ended is None:
        return warning(where, "the probe is not over yet", "examine again with a longer --wait-seconds")
    said = f"{latest.state} {latest.reason}".strip() if latest is not None else "SLURM does not remember it"
    node = f" on {latest.node}" if latest is not None and latest.node else ""
    if one.output:
        last = one.output.strip().splitlines()[-1][-200:]
        return fault(where, f"the probe ended{node} half-way ({said}): {last}", "look at that node")
    return fault(
        where,
        f"the probe ended{node} ({said}), and nothing that it wrote is seen here",
        f"is {one.spec.directory} the same storage there, and may this user write to it?",
    )


def _clock(node: str, report: Report, one: Probe) -> Finding:
    """The node said what time it was there after the job was last seen waiting, and before that was read here."""
    ahead_min = report.now - (one.begun if one.begun is not None else report.now)
    ahead_max = report.now - one.waited
    if ahead_min - CLOCK_SECONDS <= 0 <= ahead_max + CLOCK_SECONDS:
        return ok(node, f"its clock agrees with this host's, within {max(abs(ahead_min), abs(ahead_max)):.1f} s")
    apart = ahead_min if ahead_min > 0 else ahead_max
    return warning(
        node,
        f"its clock is {apart:+.0f} s from this host's: backoffs and time limits are off by that",
        "chronyd or ntpd on both",
    )


def _examination(node: str, one: Probe, said: Examination) -> Iterator[Finding]:
    as_pollers = "as pollers are started"
    if said.trouble:
        missing = said.code in {126, 127}
        todo = "install phaseline where nodes see it (shared storage), or set image" if missing else "look at its log"
        yield fault(node, f"{as_pollers}, `phaseline doctor` ends with {said.code}: {said.trouble}", todo)
        return
    notes = 0
    for found in said.findings:
        check, verdict = f"{node}, {found.get('probe', '')}", found.get("verdict")
        if verdict == "refused":
            yield fault(check, found.get("detail", ""), found.get("todo", ""))
        elif verdict == "note" and found.get("probe") != "mount":  # of mounts all is said
            yield warning(check, found.get("detail", ""), found.get("todo", ""))
        else:
            notes += 1
    if said.fit:
        image = one.spec.environment.get("PHASELINE_IMAGE", "")
        inside = f", in {image}" if image else ""
        yield ok(node, f"{as_pollers}{inside}, {notes} things that the protocol needs of the root were tried out")
