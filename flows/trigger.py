"""The flow that asks for pollers: it looks at all stages at once, decides, asks, and returns (DESIGN 4)."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State

from flows import naming


@flow(name="trigger", flow_run_name=naming.run_name)
def trigger() -> State[None]:
    """Give every stage the pollers that its backlog asks for, and return.

    Its state says for each stage what was asked for, and why. It fails if something keeps it from
    looking at a stage or asking for it; the others get theirs all the same.
    """
    from flows import asking  # noqa: PLC0415 - loads the engine: only a run pays for that

    return asking.run()
