"""The examination of a site, check by check, in the order in which a person would do it."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from infra.containers.image import DIRECTORY as IMAGES
from infra.containers.runtime import Runtime
from infra.site import node, partitions, probe, programs
from infra.site.asking import ask
from infra.site.finding import Finding, Verdict, fault, ok, warning
from infra.site.partitions import Partition
from infra.site.probing import Probing
from infra.site.wishes import Wish, WishError, read_wishes
from infra.slurm.job import render_script
from infra.slurm.spec import JobSpec, JobSpecError
from infra.slurm.transport import SubmissionRefusedError, TransportUnavailableError
from infra.slurm.transports import AUTO, LOCAL, REST_URL, SBATCH, SLURMRESTD, choose_transport, open_transport
from infra.slurm.variables import RUNTIME

WAIT_SECONDS = 120.0
PROBE_SECONDS = 300
PROBE_MEMORY_MB = 1024
MEND = "mend prefect.yaml, then deploy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is examined: a data root from this host, with the deployments of a clone, as a worker here would act."""

    root: str
    clone: Path
    wait_seconds: float = WAIT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Deployments that ask for the same: `wish` is one of them, `spec` a job of it, `transport` what would carry it."""

    check: str
    wish: Wish
    spec: JobSpec
    transport: str

    @property
    def kind(self) -> str:
        return f"{self.transport} {self.spec!r}"


def examine(site: Site) -> Iterator[Finding]:
    """Yield what is found, as soon as it is. Raises nothing for what is wrong with the site."""
    try:
        wishes = read_wishes(site.clone)
    except WishError as error:
        yield fault("deployments", str(error), "examine from the clone that is deployed")
        return
    made = [asked_for(wish) for wish in wishes]
    asked = together([one for one in made if isinstance(one, Asked)])
    names = sorted({one.transport for one in asked})
    yield from map(_transport, names)
    there: dict[str, Partition] = {}
    if SBATCH in names or choose_transport(AUTO) == SBATCH:
        yield from _cluster(there)
    elif SLURMRESTD in names:
        yield ok("partitions", "not looked at: SLURM's commands are not set up here; SLURM will say what it refuses")
    yield _containers()
    yield from (one for one in made if isinstance(one, Finding))
    for one in asked:
        if one.transport != LOCAL:
            yield from _fits(one, there)
    for name in names:
        yield from _probe(site, name, _probes([one for one in asked if one.transport == name], there))


def _transport(name: str) -> Finding:
    if name != LOCAL:
        return ok("transport", name)
    if os.environ.get(REST_URL):
        todo = f"{REST_URL} is set: say transport: slurmrestd in prefect.yaml, or in the pools' templates"
    else:
        todo = "if there is a cluster, put SLURM's commands on PATH, with their configuration (SLURM_CONF)"
    return warning("transport", "local: no SLURM is used, pollers are processes of this host", todo)


def _cluster(there: dict[str, Partition]) -> Iterator[Finding]:
    """Ask SLURM's own programs; fills `there`."""
    found = [*programs.programs(ask), *programs.controller(ask)]
    yield from found
    if any(one.verdict is Verdict.FAULT for one in found):
        return  # each further question would wait as long
    config = ask(("scontrol", "show", "config"))
    if config.is_well:
        yield from programs.settings(programs.read_settings(config.output), os.environ)
    said = ask(partitions.QUESTION)
    try:
        there.update(partitions.read_partitions(said.output) if said.is_well else {})
    except ValueError as error:
        yield warning("partitions", f"what sinfo says cannot be read: {error}")
        return
    yield from map(partitions.describe, there.values())
    if not there:
        yield fault("partitions", said.why or "there are none", "ask the site")


def _containers() -> Finding:
    runtime, images = os.environ.get(RUNTIME, ""), os.environ.get(IMAGES, "")
    if not runtime or runtime == Runtime.NONE:
        return ok("containers", f"{RUNTIME} is not set: pollers use what is installed where they run")
    return ok("containers", f"{runtime}, images in {images or f'no directory ({IMAGES} is not set)'}")


def asked_for(wish: Wish) -> Asked | Finding:
    """Make a job of what a deployment asks for, or say why there can be none."""
    try:
        name = choose_transport(wish.transport)
        return Asked(check=wish.name, wish=wish, spec=wish.job("doctor"), transport=name)
    except (WishError, SubmissionRefusedError) as error:
        return fault(wish.name, str(error))  # which says what to change


def together(asked: Sequence[Asked]) -> list[Asked]:
    """Those that ask for the same are examined once."""
    found: dict[str, Asked] = {}
    for one in asked:
        before = found.get(one.kind)
        found[one.kind] = one if before is None else replace(before, check=f"{before.check} {one.check}")
    return list(found.values())


def _fits(asked: Asked, there: Mapping[str, Partition]) -> Iterator[Finding]:
    """Ask the partitions first, whose answer has words; then SLURM, which knows of accounts and features as well."""
    if not there:
        return
    found = list(partitions.judge(asked.check, asked.spec, there))
    yield from found
    if found or shutil.which("sbatch") is None:
        return
    try:
        said = ask(("sbatch", "--test-only"), told=render_script(asked.spec))
    except JobSpecError as error:
        yield fault(asked.check, str(error), MEND)
        return
    if said.is_well:
        yield ok(asked.check, said.error.strip().removeprefix("sbatch: "))
    else:
        yield fault(asked.check, said.why, "ask for what this account may have, or ask the site")


def _probes(asked: Sequence[Asked], there: Mapping[str, Partition]) -> list[JobSpec]:
    """Return a probe for each kind of node and image that is asked for: small and short, to be started soon."""
    kinds: dict[str, JobSpec] = {}
    for one in asked:
        if there and any(name not in there for name in one.spec.partition.split(",") if name):
            continue
        kind = repr(small(one.spec))
        if kind not in kinds:
            kinds[kind] = small(one.wish.job(f"doctor-{secrets.token_hex(4)}.0"))
    return list(kinds.values())


def small(spec: JobSpec, seconds: int = PROBE_SECONDS) -> JobSpec:
    """Ask for little, so that it is started soon: the partition and the image stay what they are."""
    return replace(
        spec,
        cpus=1,
        memory_mb=min(spec.memory_mb or PROBE_MEMORY_MB, PROBE_MEMORY_MB),
        gpus=min(spec.gpus, 1),
        time_limit_seconds=min(spec.time_limit_seconds or seconds, seconds),
        requeue=False,
    )


def _probe(site: Site, name: str, specs: Sequence[JobSpec]) -> Iterator[Finding]:
    sent = [replace(spec, command=probe.command(site.root, spec.command)) for spec in specs]
    try:
        transport = open_transport(name, os.path.join(site.root, "_jobs"))
        probes = Probing(transport=transport, wait_seconds=site.wait_seconds).send(sent)
    except (TransportUnavailableError, SubmissionRefusedError, OSError, SystemExit) as error:
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
