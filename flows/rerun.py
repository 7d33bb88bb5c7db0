"""The flow that brings datasets of one stage back: quarantined, backing off or done ones, so many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State as RunState
from prefect.client.schemas.objects import StateType
from prefect.runtime.flow_run import get_parameters
from pydantic import Field

from flows import facts, speech, tables
from flows.tables import Row
from stages.engine.backfill import Backfill, Outcome, State, Verdict
from stages.engine.catalog import passage
from stages.engine.commands import context
from stages.engine.errors import PhaselineError

ARTIFACT = "rerun"
SAID_MAX = 100  # datasets that the log names; the artifact names more
URGENCY = (Verdict.REFUSED, Verdict.BROUGHT_BACK, Verdict.NOTHING_TO_DO, Verdict.LEFT)


def _named() -> str:
    return f"rerun {get_parameters()['stage']} {datetime.now().astimezone():%H:%M:%S}"


@flow(name="rerun", flow_run_name=_named, persist_result=False)
def rerun(
    stage: str,
    datasets: Annotated[list[str], Field(min_length=1)],
    state: State = State.QUARANTINED,
    *,
    limit: Annotated[int, Field(ge=1)] | None = None,
    dry_run: bool = False,
) -> RunState[None]:
    """Bring datasets back to a stage: try them again, or process what is done once more.

    Args:
        stage: The stage, as its folder is called.
        datasets: Names, or patterns: "x*" is all that begin with x, "*" is all.
        state: Which of them. quarantined and backing_off get their whole budget back at the next sweep; done is
            processed once more as the next generation (ds7 comes back as ds7+g2), the least often processed first.
        limit: Bring back so many that at most so many of this stage are unfinished: marked for a retry, or a
            later generation, and neither published nor in quarantine since. What was brought back before counts.
            The rest is left for the next time (default: no limit).
        dry_run: Change nothing, say what would be done.

    """
    speech.forward()
    try:
        at = facts.opened()
        through = passage(at.root, at.catalog.stage(stage))
        backfill = Backfill(at.fs, at.root, through, now=at.clock.now(), who=context.user())
        outcomes = backfill.bring_back(backfill.candidates(datasets, state), limit=limit, dry=dry_run)
    except (PhaselineError, OSError) as error:
        return RunState[None](type=StateType.FAILED, message=str(error))
    said = message(stage, outcomes, dry=dry_run)
    for one in outcomes[:SAID_MAX]:
        get_run_logger().info(f"{one.dataset}: {_said(one.verdict, dry=dry_run)}: {one.what}")
    create_table_artifact(
        key=ARTIFACT, table=tables.capped(rows(stage, outcomes, dry=dry_run), "phaseline status"), description=said
    )
    is_refused = any(one.verdict is Verdict.REFUSED for one in outcomes)
    return RunState[None](type=StateType.FAILED if is_refused else StateType.COMPLETED, message=said)


def rows(stage: str, outcomes: Sequence[Outcome], *, dry: bool) -> list[Row]:
    """Return the table: what needs a person first."""
    ordered = sorted(outcomes, key=lambda one: URGENCY.index(one.verdict))
    return [
        {"stage": stage, "dataset": one.dataset, "what": _said(one.verdict, dry=dry), "what happens next": one.what}
        for one in ordered
    ]


def message(stage: str, outcomes: Sequence[Outcome], *, dry: bool) -> str:
    """Return one line for the final state: "2 brought back, 7 left in phase4"."""
    counts = Counter(one.verdict for one in outcomes)
    said = ", ".join(f"{counts[verdict]:,} {_said(verdict, dry=dry)}" for verdict in URGENCY if counts[verdict])
    return f"{'dry run, nothing was changed: ' if dry else ''}{said} in {stage}"


def _said(verdict: Verdict, *, dry: bool) -> str:
    return f"would be {verdict}" if dry and verdict is Verdict.BROUGHT_BACK else str(verdict)
