"""The flow that brings datasets of one stage back: quarantined, backing off or done ones, so many at once."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime.flow_run import get_parameters
from pydantic import Field

from flows import naming
from stages.engine.condition import Condition


def _named() -> str:
    return f"rerun {get_parameters()['stage']} {naming.clock_now()}"


@flow(name="rerun", flow_run_name=_named, persist_result=False)
def rerun(
    stage: str,
    datasets: Annotated[list[str], Field(min_length=1)],
    state: Condition = Condition.QUARANTINED,
    *,
    limit: Annotated[int, Field(ge=1)] | None = None,
    dry_run: bool = False,
) -> State[None]:
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
    from flows import bringing  # noqa: PLC0415 - loads the engine: only a run pays for that

    return bringing.run(stage, datasets, state, limit=limit, dry_run=dry_run)
