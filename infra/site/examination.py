"""The examination of a site, check by check, in the order in which a person would do it."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from infra.site import node, partitions, probe, programs
from infra.site.asking import Said, ask
from infra.site.finding import Finding, fault, ok, warning
from infra.site.partitions import Partition
from infra.site.probing import Probing
from infra.site.wishes import Wish, WishesError, environment, read_wishes
from infra.slurm.job import render_script
from infra.slurm.spec import JobSpec
from infra.slurm.transport import SubmissionRefusedError, Transport, TransportUnavailableError
from infra.slurm.transports import AUTO, LOCAL, REST_URL, SLURMRESTD, choose_transport, open_transport

WAIT_SECONDS = 120.0
PROBE_SECONDS = 300
PROBE_MEMORY_MB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is examined: a data root from this host, with the deployments of a clone."""

    root: str
    clone: Path
    wait_seconds: float = WAIT_SECONDS
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    waiting: Callable[[], None] = field(default=lambda: None)

    @property
    def jobs_directory(self) -> str:
        return os.path.join(self.root, "_jobs")


def examine(site: Site) -> Iterator[Finding]:
    """Yield what is found, as soon as it is. Raises nothing for what is wrong with the site."""
    try:
        name = choose_transport(AUTO)
        if name == LOCAL and site.environment.get(REST_URL):
            name = SLURMRESTD
        transport = open_transport(name, site.jobs_directory)
    except (SubmissionRefusedError, TransportUnavailableError, SystemExit) as error:
        yield fault("transport", str(error))
        return
    yield _transport(name)
    there: Mapping[str, Partition] = {}
    if name != LOCAL and shutil.which("scontrol") is not None:
        yield from programs.programs(ask)
        yield from programs.controller(ask)
        yield from programs.settings(_settings(ask(("scontrol", "show", "config"))), site.environment)
        said = ask(partitions.QUESTION)
        there = partitions.read_partitions(said.output) if said.is_well else {}
        yield from map(partitions.describe, there.values())
        if not there:
            yield fault("partitions", said.why or "there are none", "ask the site")
    try:
        wishes = read_wishes(site.clone)
    except WishesError as error:
        yield fault("deployments", str(error), "examine from the clone that is deployed")
        return
    specs: list[JobSpec] = []
    for wish in wishes:
        spec, found = _wanted(site, wish)
        yield from found
        if spec is not None:
            yield from _fits(wish, spec, there)
            specs.append(spec)
    yield from _probe(site, transport, _distinct(specs, there))


def _transport(name: str) -> Finding:
    if name == LOCAL:
        return warning(
            "transport",
            "local: no SLURM is set up here, pollers are processes of this host",
            f"if there is a cluster, put SLURM's commands on PATH, or set {REST_URL}",
        )
    return ok("transport", name)


def _settings(said: Said) -> Mapping[str, str]:
    return programs.read_settings(said.output) if said.is_well else {}


def _wanted(site: Site, wish: Wish) -> tuple[JobSpec | None, list[Finding]]:
    """Make the job that these deployments ask for."""
    if wish.problem:
        return None, [fault(wish.check, wish.problem, "mend prefect.yaml, then deploy")]
    tag = f"doctor-{secrets.token_hex(4)}.0"
    try:
        return wish.job(tag, site.jobs_directory, environment(site.root, site.environment)), []
    except (ValueError, OSError) as error:
        return None, [fault(wish.check, str(error), "mend prefect.yaml, then deploy")]


def _fits(wish: Wish, spec: JobSpec, there: Mapping[str, Partition]) -> Iterator[Finding]:
    """Ask the partitions first, whose answer has words; then SLURM, which knows of accounts and features as well."""
    if not there:
        return
    found = list(partitions.judge(wish.check, spec, there))
    yield from found
    if found or shutil.which("sbatch") is None:
        return
    said = ask(("sbatch", "--test-only"), told=render_script(spec))
    if said.is_well:
        yield ok(wish.check, said.error.strip().removeprefix("sbatch: "))
    else:
        yield fault(wish.check, said.why, "ask for what this account may have, or ask the site")


def _distinct(specs: Sequence[JobSpec], there: Mapping[str, Partition]) -> list[JobSpec]:
    """Return a probe for each kind of node and image that is asked for: small and short, to be started soon."""
    probes: dict[tuple[object, ...], JobSpec] = {}
    for spec in specs:
        if there and any(name not in there for name in spec.partition.split(",") if name):
            continue
        small = replace(
            spec,
            cpus=1,
            memory_mb=min(spec.memory_mb or PROBE_MEMORY_MB, PROBE_MEMORY_MB),
            gpus=min(spec.gpus, 1),
            time_limit_seconds=min(spec.time_limit_seconds or PROBE_SECONDS, PROBE_SECONDS),
            requeue=False,
        )
        key = (small.partition, small.account, small.qos, small.constraint, small.reservation, small.gpus)
        probes.setdefault((*key, spec.environment.get("PHASELINE_IMAGE"), spec.command[:1]), small)
    return list(probes.values())


def _probe(site: Site, transport: Transport, specs: Sequence[JobSpec]) -> Iterator[Finding]:
    probing = Probing(transport=transport, wait_seconds=site.wait_seconds, waiting=site.waiting)
    sent = [replace(spec, command=probe.command(site.root, spec.command)) for spec in specs]
    try:
        probes = probing.send(sent)
    except (TransportUnavailableError, OSError) as error:
        yield fault("probe", f"no probe could be sent: {error}", "mend that, then examine again")
        return
    here = node.Here(
        root=site.root, boot=_read("/proc/sys/kernel/random/boot_id"), mounts=_read("/proc/self/mountinfo")
    )
    for one in probes:
        yield from node.judge(one, here)


def _read(path: str) -> str:
    return Path(path).read_text("utf-8", "surrogateescape").strip()


def now() -> str:
    """Return this moment, as a ticket wants it."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z")
