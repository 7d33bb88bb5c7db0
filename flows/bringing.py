"""What `rerun` does: it brings datasets of one stage back, and says what came of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from prefect import get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State, StateType

from flows import facts, speech, tables
from flows.tables import Row
from stages.engine.backfill import Backfill, Outcome, Verdict
from stages.engine.catalog import passage
from stages.engine.commands import context
from stages.engine.condition import Condition
from stages.engine.errors import PhaselineError

ARTIFACT = "rerun"
SAID_MAX = 100  # datasets that the log names; the artifact names more
URGENCY = (Verdict.REFUSED, Verdict.BROUGHT_BACK, Verdict.NOTHING_TO_DO, Verdict.LEFT)


def run(stage: str, datasets: list[str], state: Condition, *, limit: int | None, dry_run: bool) -> State[None]:
    """Bring them back; the state that the run of `rerun` ends with."""
    speech.forward()
    try:
        at = facts.opened()
        through = passage(at.root, at.catalog.stage(stage))
        backfill = Backfill(at.fs, at.root, through, now=at.clock.now(), who=context.user())
        outcomes = backfill.bring_back(backfill.candidates(datasets, state), limit=limit, dry=dry_run)
    except (PhaselineError, OSError) as error:
        return State[None](type=StateType.FAILED, message=str(error))
    said = message(stage, outcomes, dry=dry_run)
    for one in outcomes[:SAID_MAX]:
        get_run_logger().info(f"{one.dataset}: {_said(one.verdict, dry=dry_run)}: {one.what}")
    create_table_artifact(
        key=ARTIFACT, table=tables.capped(rows(stage, outcomes, dry=dry_run), "phaseline status"), description=said
    )
    is_refused = any(one.verdict is Verdict.REFUSED for one in outcomes)
    return State[None](type=StateType.FAILED if is_refused else StateType.COMPLETED, message=said)


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
