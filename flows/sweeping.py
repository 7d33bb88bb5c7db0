"""What a sweep does: mapped over the stages to look, over portions of what was found to mend; then it reports."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from threading import Thread
from typing import TypeVar, cast

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, StateType
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.futures import PrefectFuture

from flows import account, facts, speech, tables
from flows.account import Account
from flows.portions import Pass, Portion, portions
from stages.engine import news
from stages.engine.commands import batch
from stages.engine.commands import sweep as command
from stages.engine.commands.context import Context
from stages.engine.errors import PhaselineError, StorageError
from stages.engine.finding import Finding
from stages.engine.history import latest_end
from stages.engine.holders import Bulletin
from stages.engine.identity import current
from stages.engine.news import News
from stages.engine.sweeper import Survey

T = TypeVar("T")
ARTIFACT = "sweep"
EVENTS = {
    News.QUARANTINED: "datasets.quarantined",
    News.STUCK: "datasets.stuck",
    News.REQUEUED: "datasets.requeued",
}
DELIVERY_SECONDS_MAX = 10.0


@task(name="discover", task_run_name="discover {swept}", cache_policy=NO_CACHE, persist_result=False)
def discover(swept: Pass, full: bool | None) -> Survey:  # noqa: FBT001 - mapped tasks are called by keyword
    """List what is worth opening in one stage. Raises StorageError."""
    return swept.sweeper.survey(full=full)


@task(name="mend", task_run_name="mend {portion}", cache_policy=NO_CACHE, persist_result=False)
def mend(portion: Portion) -> list[Finding]:
    """Open the datasets of a portion, one after the other, and put each right."""
    return portion.swept.sweeper.mend(portion.targets, full=portion.survey.full)


def run(stages: Sequence[str], *, full: bool) -> State[None]:
    """Sweep these stages (none: all); the state that the sweep's run ends with."""
    speech.forward()
    try:
        at = facts.opened()
        bulletin = batch.bulletin(at.root.path)
        passes = _begin(at, stages, bulletin)
    except PhaselineError as error:
        return State[None](type=StateType.FAILED, message=str(error))
    try:
        accounts = [_account(at, *each) for each in _sweep(passes, bulletin, full=True if full else None)]
        for one in accounts:
            get_run_logger().info(account.line(one))
        _report(accounts)
        for swept, one in zip(passes, accounts, strict=True):
            if one.report is not None:
                swept.sweeper.sightings.reported = news.standing(one.report, swept.sweeper.sightings.reported)
    finally:
        for swept in passes:  # whatever the API did: the next sweep's leases rest on this
            swept.memory.keep(swept.sweeper.sightings)
    kind = StateType.FAILED if account.is_failed(accounts) else StateType.COMPLETED
    return State[None](type=kind, message=account.message(accounts))


def _begin(at: Context, stages: Sequence[str], bulletin: Bulletin) -> list[Pass]:
    specs, identity = at.catalog.chosen(stages), current(os.environ)
    command.prepare(at, specs)
    passes: list[Pass] = []
    for spec in specs:
        memory = command.memory(at, spec.name, identity)
        passes.append(Pass(command.sweeper(at, at.clock, spec, identity, memory.recall(), bulletin=bulletin), memory))
    return passes


Swept = tuple[Pass, Survey | None, list[Finding], str]  # what was to be opened, what was found, and what went wrong


def _sweep(passes: Sequence[Pass], bulletin: Bulletin, *, full: bool | None) -> list[Swept]:
    """Sweep all stages, in parts at once. What goes wrong in one is said of it, and keeps no other from its turn."""
    looked = _ends(discover.map(passes, full=full))
    found = [(swept, survey) for swept, survey in zip(passes, looked, strict=True) if isinstance(survey, Survey)]
    trouble = bulletin.learn(set[str]().union(*(swept.sweeper.jobs(survey) for swept, survey in found)))
    if trouble:
        get_run_logger().warning(trouble)
    work = portions(found)
    ends = _ends(mend.map(work)) if work else []
    swept_all: list[Swept] = []
    for swept, survey in zip(passes, looked, strict=True):
        mine = [end for portion, end in zip(work, ends, strict=True) if portion.swept is swept]
        trouble = next((_words(end) for end in (survey, *mine) if isinstance(end, BaseException)), "")
        findings = [one for end in mine if not isinstance(end, BaseException) for one in end]
        swept_all.append((swept, survey if isinstance(survey, Survey) else None, findings, trouble))
    return swept_all


def _ends(futures: Iterable[PrefectFuture[T]]) -> list[T | BaseException]:
    """Wait for all; what one returned, or what it raised."""
    return [cast("T | BaseException", future.result(raise_on_failure=False)) for future in futures]


def _words(error: BaseException) -> str:
    """What is wrong and where; what is to be done about it the table says."""
    return f"{error.what}: {error.where}" if isinstance(error, StorageError) else str(error)


def _account(at: Context, swept: Pass, survey: Survey | None, findings: list[Finding], trouble: str) -> Account:
    """End a pass; one that did not get to everything has not seen everything either, and forgets nothing."""
    stage = str(swept)
    if survey is None:
        return Account(stage=stage, trouble=trouble)
    report = swept.sweeper.conclude(replace(survey, full=survey.full and not trouble), findings)
    told = news.news(report, swept.sweeper.sightings.reported)
    failed = at.root.location(at.catalog.stage(stage).reads).failed
    why = {
        dataset: _why(at, f"{failed}/{dataset}", stage, dataset)
        for dataset in told.get(News.QUARANTINED, [])[: tables.ROWS_MAX]
    }
    return Account(stage=stage, report=report, trouble=trouble, news=told, why_quarantined=why)


def _why(at: Context, path: str, stage: str, dataset: str) -> str:
    try:
        end = latest_end(at.fs, path, stage, dataset)
    except (PhaselineError, OSError) as error:
        return str(error)
    return "its registers do not say: moved here by hand?" if end is None else end.why


def _report(accounts: Sequence[Account]) -> None:
    """Emit the events, then write the artifact: that succeeds only with an API that is there to take both."""
    for one in accounts:
        for kind in one.news:
            emit_event(
                event=EVENTS[kind],
                resource={"prefect.resource.id": f"phaseline.stage.{one.stage}", "prefect.resource.name": one.stage},
                payload=account.payload(one, kind),
            )
    if any(one.news for one in accounts):
        _deliver()
    create_table_artifact(
        key=ARTIFACT,
        table=tables.capped(account.rows(accounts), "phaseline status"),
        description=account.message(accounts),
    )


def _deliver() -> None:
    """Give events the time to be sent: a run that is told to end now should not take them with it."""
    waiting = Thread(target=EventsWorker.instance().wait_until_empty, daemon=True)
    waiting.start()
    waiting.join(DELIVERY_SECONDS_MAX)
