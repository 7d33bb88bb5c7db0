"""The flow that sweeps: it requeues what is stale or asked for, and reports."""

from __future__ import annotations

from typing import cast

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows import naming

THREADS = 4
RUNNER = cast("TaskRunner[PrefectFuture[object]]", ThreadPoolTaskRunner(max_workers=THREADS))


def _named() -> str:
    return f"sweep {naming.clock_now()}"


@flow(name="sweep", flow_run_name=_named, task_runner=RUNNER, persist_result=False)
def sweep(stages: list[str] | None = None, *, full: bool = False) -> State[None]:
    """Requeue what is stale or asked for, finish what is half-finished; report in the artifact `sweep`.

    Its state is Failed only if something could not be swept: what waits for a person is in its message, in the
    artifact and in an event of its stage.

    Args:
        stages: The stages to sweep (default: all).
        full: Open every dataset, however many there are; else above 10,000 waiting only those that can need it.

    """
    from flows import sweeping  # noqa: PLC0415 - loads the engine: only a run pays for that

    return sweeping.run(stages or [], full=full)
