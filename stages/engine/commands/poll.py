"""It ends when idle, after datasets_per_poller, near its deadline, or when asked to (SIGTERM, SIGINT).

SIGUSR1, SLURM's warning: it claims nothing more, and what is at hand may go on up to the deadline. In a job that was
requeued it first ends what the job's earlier starts still hold.

Exit codes: 0 drained or idle, 75 the storage failed, 78 the stage cannot be set up, 79 the stage always fails.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from loguru import logger

from stages.engine import assembly, doctor, logs
from stages.engine.catalog import passage
from stages.engine.commands import context
from stages.engine.commands.context import Context
from stages.engine.drain import Drain, DrainableClock
from stages.engine.errors import ExitCode, UsageError
from stages.engine.identity import current
from stages.engine.mounts import mount_of
from stages.engine.settings import poll_parameters
from stages.engine.sightings import Sightings
from stages.engine.spec import StageSpec
from stages.engine.vigil import Limits
from stages.engine.work.callable_work import CallableWork
from stages.engine.work.command_work import CommandWork
from stages.engine.work.order import Work
from stages.engine.work.prctl import become_subreaper

HELP = "claim the datasets of a stage, one after the other, and work on them"


def add_arguments(parser: ArgumentParser) -> None:
    """The stage, and when to end."""
    parser.add_argument("stage", metavar="STAGE")
    parser.add_argument("--until-idle", action="store_true", help="end when nothing is left that could be claimed")
    parser.add_argument("--datasets", type=int, metavar="N", help="end after N datasets (default: datasets_per_poller)")
    parser.add_argument("--idle-seconds", type=float, metavar="S", help="end after S seconds without a dataset")
    parser.add_argument(
        "--deadline-seconds",
        type=float,
        metavar="S",
        help="be gone in S seconds, or when the job is ended if that is sooner",
    )


def run(arguments: Namespace) -> int:
    """Poll; the exit code says why it ended."""
    at = context.opened(arguments)
    spec = at.catalog.stage(arguments.stage)
    _complete(arguments, at.settings.parameters)
    logs.configure(at.settings.log_level)
    os.umask(at.settings.umask)
    limits = _limits(arguments, at, spec, os.environ)
    doctor.check_lease(spec, mount_of(at.fs, at.root.path), allow_short=at.settings.allow_short_lease)
    doctor.cheap(at.fs, at.root, passage(at.root, spec))
    drain = Drain()
    drain.install()
    become_subreaper()
    site = assembly.Site(fs=at.fs, clock=DrainableClock(drain), identity=current(), root=at.root)
    edition = _edition(at, spec)
    assembly.sweeper(site, spec, edition, Sightings()).end_former(site.identity.job)
    poller = assembly.poller(site, spec, edition, work=_work(spec, drain), limits=limits, drain=drain)
    ending = poller.poll()
    logger.bind(stage=spec.name, attempts=poller.attempts_made).info("poller ended: {}", ending)
    return ExitCode.OK


def _complete(arguments: Namespace, parameters: str) -> None:
    """Take what is not typed from the run that this poller is the job of (PHASELINE_PARAMETERS)."""
    given = poll_parameters(parameters)
    if given.stage not in (None, arguments.stage):
        raise UsageError(
            f"the run is for stage {given.stage!r}, its command polls {arguments.stage!r}",
            todo=f"prefect deployment run poll/{given.stage}",
        )
    arguments.until_idle = arguments.until_idle or given.until_idle
    arguments.datasets = given.datasets if arguments.datasets is None else arguments.datasets


def _edition(at: Context, spec: StageSpec) -> assembly.Edition:
    return assembly.Edition(
        code_version=at.settings.code_version or assembly.folder_version(spec.directory),
        image=at.settings.image or None,
        umask=at.settings.umask,
    )


def _work(spec: StageSpec, drain: Drain) -> Work:
    work = spec.work
    if work.command is not None:
        return CommandWork(
            stage_directory=spec.directory,
            command=work.command,
            timeout_seconds=work.timeout_seconds,
            wakeup_fd=drain.fd,
        )
    return CallableWork(
        stage_directory=spec.directory,
        callable=work.callable or "",
        setup_seconds=work.setup_seconds,
        timeout_seconds=work.timeout_seconds,
        wakeup_fd=drain.fd,
    )


def _limits(arguments: Namespace, at: Context, spec: StageSpec, environment: Mapping[str, str]) -> Limits:
    """Put together when to end. With --until-idle the backlog is the limit, unless a number is given."""
    for option in ("datasets", "idle_seconds", "deadline_seconds"):
        value: float | None = getattr(arguments, option)
        if value is not None and not value > 0:
            raise UsageError(f"--{option.replace('_', '-')} {value:g} is not positive", todo="give a number above 0")
    datasets_max: int | None = arguments.datasets
    if datasets_max is None and not arguments.until_idle:
        datasets_max = spec.pollers.datasets_per_poller
    left_seconds = _seconds_left(arguments.deadline_seconds, at, environment)
    return Limits(
        idle_seconds=arguments.idle_seconds or spec.pollers.idle_seconds,
        datasets_max=datasets_max,
        until_idle=arguments.until_idle,
        deadline=None if left_seconds is None else at.clock.monotonic() + left_seconds,
        grace_seconds=at.settings.grace_seconds,
        look_seconds_max=at.settings.look_seconds_max,
        work_seconds_max=spec.work.timeout_seconds,
    )


def _seconds_left(typed: float | None, at: Context, environment: Mapping[str, str]) -> float | None:
    """How long this process may live: whatever ends first. A job of the worker's is told its end; else SLURM may."""
    ends_at, said = at.settings.ends_at, environment.get("SLURM_JOB_END_TIME", "")
    if ends_at is None and said.isdecimal():
        ends_at = float(said)
    if ends_at is None:
        return typed
    left_seconds = ends_at - at.clock.now()
    return left_seconds if typed is None else min(typed, left_seconds)
