"""One pass over each stage: requeue what is stale or asked for, finish what is half-finished.

What a SLURM job holds that has certainly ended is requeued at once, where infra is installed and SLURM can be asked.

Where more than 10,000 datasets wait, one pass opens only those that can need it; every ten minutes, or
with --full, it opens all. Ends with 1 if something stands where a marker belongs.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from loguru import logger

from stages.engine import assembly, doctor, logs
from stages.engine.clock import Clock
from stages.engine.commands import batch, context
from stages.engine.commands.context import Context
from stages.engine.drain import Drain, DrainableClock
from stages.engine.errors import ExitCode, StorageError, UsageError
from stages.engine.holders import Bulletin
from stages.engine.identity import Identity, current
from stages.engine.manifest import Json
from stages.engine.memory import Memory
from stages.engine.mounts import mount_of
from stages.engine.sightings import Sightings
from stages.engine.spec import StageSpec
from stages.engine.sweeper import Report, Survey, Sweeper

HELP = "requeue stale and retry-marked datasets, finish half-finished ones"
EVERY_SECONDS_MAX = 30.0


def add_arguments(parser: ArgumentParser) -> None:
    """Which stages, once or for ever."""
    parser.add_argument("stages_wanted", nargs="*", metavar="STAGE", help="default: all")
    parser.add_argument("--forever", action="store_true", help="sweep again and again, until asked to stop")
    parser.add_argument(
        "--every-seconds", type=float, metavar="S", help="with --forever: pause (default: the shortest heartbeat)"
    )
    parser.add_argument("--full", action="store_true", help="open every dataset, however many there are")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def run(arguments: Namespace) -> int:
    """Sweep; a line for each stage and each finding."""
    at = context.opened(arguments)
    specs = at.catalog.chosen(arguments.stages_wanted)
    logs.configure(at.settings.log_level if arguments.forever else "ERROR")  # one pass prints what it did
    prepare(at, specs)
    if arguments.forever:
        return _for_ever(at, specs, arguments)
    reports, failures = _once(at, specs, current(), full=arguments.full or None)
    _show(reports, as_json=arguments.json)
    if failures:
        raise failures[0]
    return ExitCode.FAILED if any(report.damaged for report in reports) else ExitCode.OK


def prepare(at: Context, specs: Sequence[StageSpec]) -> None:
    """Do what comes before the first pass; raises CatalogError for a lease that is too short for this storage."""
    os.umask(at.settings.umask)
    mount = mount_of(at.fs, at.root.path)
    for spec in specs:
        doctor.check_lease(spec, mount, allow_short=at.settings.allow_short_lease)


def sweeper(
    at: Context, clock: Clock, spec: StageSpec, identity: Identity, seen: Sightings, *, bulletin: Bulletin
) -> Sweeper:
    """Return a sweeper of a stage, with what was seen before, and what the batch system says."""
    site = assembly.Site(fs=at.fs, clock=clock, identity=identity, root=at.root)
    edition = assembly.Edition(code_version=at.settings.code_version, umask=at.settings.umask)
    return assembly.sweeper(site, spec, edition, seen, bulletin)


def memory(at: Context, stage: str, identity: Identity) -> Memory:
    """Return what sweeps of a stage on this boot have written down."""
    return Memory(fs=at.fs, clock=at.clock, root=at.root, stage=stage, boot_id=identity.process.boot_id)


def _once(
    at: Context, specs: Sequence[StageSpec], identity: Identity, *, full: bool | None
) -> tuple[list[Report], list[OSError | StorageError]]:
    """One pass over all stages, with what the last one on this boot saw; what fails in one keeps no other waiting."""
    bulletin = batch.bulletin(at.root.path)
    found: list[tuple[Sweeper, Survey, Memory]] = []
    reports: list[Report] = []
    failures: list[OSError | StorageError] = []
    for spec in specs:
        written = memory(at, spec.name, identity)
        each = sweeper(at, at.clock, spec, identity, written.recall(), bulletin=bulletin)
        try:
            found.append((each, each.survey(full=full), written))
        except (OSError, StorageError) as error:
            failures.append(error)
    trouble = bulletin.learn(set[str]().union(*(each.jobs(survey) for each, survey, _ in found)))
    if trouble:
        print(f"phaseline sweep: {trouble}", file=sys.stderr)
    for each, survey, written in found:
        try:
            reports.append(each.conclude(survey, each.mend(survey.targets, full=survey.full)))
            written.keep(each.sightings)
        except (OSError, StorageError) as error:
            failures.append(error)
    return reports, failures


def _for_ever(at: Context, specs: Sequence[StageSpec], arguments: Namespace) -> int:
    every_seconds: float = arguments.every_seconds or min(
        EVERY_SECONDS_MAX, *(spec.lease.heartbeat_seconds for spec in specs)
    )
    if every_seconds <= 0:
        raise UsageError("--every-seconds must be above 0", todo="give a number of seconds")
    drain = Drain()
    drain.install()
    clock, identity = DrainableClock(drain), current()
    bulletin = batch.bulletin(at.root.path)
    sweepers = [sweeper(at, clock, spec, identity, Sightings(), bulletin=bulletin) for spec in specs]
    while not drain.is_requested:
        surveys = [_survey(each, full=arguments.full or None) for each in sweepers]
        found = [(each, survey) for each, survey in zip(sweepers, surveys, strict=True) if survey is not None]
        trouble = bulletin.learn(set[str]().union(*(each.jobs(survey) for each, survey in found)))
        if trouble:
            logger.warning(trouble)
        for each, survey in found:
            _mend(at, each, survey, identity, as_json=arguments.json)
        clock.sleep(every_seconds)
    return ExitCode.OK


def _survey(resident: Sweeper, *, full: bool | None) -> Survey | None:
    """Begin a pass of a resident sweeper; a storage that fails now may answer at the next."""
    try:
        return resident.survey(full=full)
    except (OSError, StorageError) as error:
        logger.bind(stage=resident.stage).error("this pass failed: {}", error)
        return None


def _mend(at: Context, resident: Sweeper, survey: Survey, identity: Identity, *, as_json: bool) -> None:
    try:
        report = resident.conclude(survey, resident.mend(survey.targets, full=survey.full))
        if report.full:  # for `status`, and for a one-shot sweep after this one
            written = memory(at, resident.stage, identity)
            resident.sightings.reported = written.recall().reported  # a one-shot sweep's, which does report
            written.keep(resident.sightings)
    except (OSError, StorageError) as error:
        logger.bind(stage=resident.stage).error("this pass failed: {}", error)
        return
    if as_json and report.findings:
        _show([report], as_json=True)


def _show(reports: Sequence[Report], *, as_json: bool) -> None:
    if as_json:
        context.print_json([_facts(report) for report in reports])
        return
    for report in reports:
        counts = Counter(finding.action for finding in report.findings)
        done = ", ".join(f"{count} {action}" for action, count in sorted(counts.items())) or "nothing to do"
        extent = "" if report.full else " (those that can need it; --full opens all)"
        print(f"{report.stage}: {report.opened} opened{extent}: {done}")
        for finding in report.findings:
            print(f"  {finding.action}: {finding.where}" + (f": {finding.why}" if finding.why else ""))


def _facts(report: Report) -> Json:
    return {
        "stage": report.stage,
        "full": report.full,
        "opened": report.opened,
        "seconds": round(report.seconds, 3),
        "findings": [dict[str, Json](asdict(finding)) for finding in report.findings],
    }
