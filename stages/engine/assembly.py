"""Putting a poller and a sweeper together from what stage.toml and the environment say."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from stages.engine.catalog import passage
from stages.engine.clock import Clock
from stages.engine.drain import Drain
from stages.engine.fs import FileSystem
from stages.engine.identity import Identity
from stages.engine.layout import Root
from stages.engine.manifest import Json
from stages.engine.owner import Owners
from stages.engine.poller import Poller
from stages.engine.publication import Terms
from stages.engine.records import printable
from stages.engine.sightings import Lease, Sightings
from stages.engine.spec import StageSpec
from stages.engine.store import Store
from stages.engine.store import Terms as StoreTerms
from stages.engine.sweeper import Sweeper
from stages.engine.vigil import Limits
from stages.engine.work.order import Work

FACT_BYTES_MAX = 200  # XFS has 1,023 bytes for a whole symlink, the shortest of all


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where all of it happens, and as whom."""

    fs: FileSystem
    clock: Clock
    identity: Identity
    root: Root


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """Which code is at work; `umask` decides what the group may do with what is published."""

    code_version: str
    image: str | None = None
    umask: int = 0o002


def store(site: Site, spec: StageSpec, edition: Edition) -> Store:
    """Return the store of a stage."""
    identity = site.identity
    process = identity.process
    described = {
        **{name: _end(fact) for name, fact in describe(identity, edition).items()},
        "array_task": identity.array_task,
        "process": {
            "boot_id": process.boot_id,
            "pid_namespace": process.pid_namespace,
            "pid": process.pid,
            "started_ticks": process.started_ticks,
        },
    }
    terms = StoreTerms(
        retry=spec.retry,
        durability=spec.output.durability,
        ready_marker=spec.arrival.ready_marker,
        described=json.dumps(described),
    )
    return Store(fs=site.fs, clock=site.clock, identity=identity, passage=passage(site.root, spec), terms=terms)


def poller(site: Site, spec: StageSpec, edition: Edition, *, work: Work, limits: Limits, drain: Drain) -> Poller:
    """Return a poller of a stage."""
    terms = Terms(
        requires=spec.requires,
        hashing=spec.output.hashing,
        group_mode=0o070 & ~edition.umask,
        log_bytes_max=spec.output.log_bytes_max,
        heartbeat_seconds=spec.lease.heartbeat_seconds,
        expires_seconds=spec.lease.expires_seconds,
        described=describe(site.identity, edition),
    )
    seed = f"{site.identity.host}:{site.identity.process.pid}:{time.time_ns()}"
    return Poller(
        store=store(site, spec, edition),
        work=work,
        terms=terms,
        limits=limits,
        drain=drain,
        rng=Random(seed),
    )


def sweeper(
    site: Site,
    spec: StageSpec,
    edition: Edition,
    sightings: Sightings,
    job_ended: Callable[[str], bool | str | None] | None = None,
) -> Sweeper:
    """Return a sweeper of a stage, with what was seen before."""
    lease = Lease(heartbeat_seconds=spec.lease.heartbeat_seconds, expires_seconds=spec.lease.expires_seconds)
    identity = site.identity
    owners = Owners(fs=site.fs, lease=lease, here=identity.process, job=identity.job, job_ended=job_ended)
    return Sweeper(store=store(site, spec, edition), owners=owners, sightings=sightings)


def describe(identity: Identity, edition: Edition) -> dict[str, Json]:
    """Return what every manifest says of who made it."""
    return {
        "host": identity.host,
        "job": None if identity.job == "-" else identity.job,
        "code_version": edition.code_version,
        "image": edition.image,
    }


def _end(fact: Json) -> Json:
    """Return a fact as an attempt.json has room for it: the end of a text, which is where an image's digest stands."""
    return printable(fact)[-FACT_BYTES_MAX:] if isinstance(fact, str) else fact


def folder_version(directory: str) -> str:
    """Return a name for the code in a stage's folder: `sha256:` and 12 hex digits over its files."""
    found = hashlib.sha256()
    for file in sorted(Path(directory).rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            found.update(f"{file.relative_to(directory)}\0".encode())
            found.update(file.read_bytes())
    return f"sha256:{found.hexdigest()[:12]}"
