"""What the trigger does: it looks at every stage, lets the engine decide, and asks for the pollers."""

from __future__ import annotations

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import PrefectHTTPStatusError

from flows import facts, naming, pollers
from flows.pollers import Pollers
from stages.engine import backlog, pauses
from stages.engine.backlog import Backlog
from stages.engine.catalog import passage
from stages.engine.commands.context import Context
from stages.engine.errors import PhaselineError
from stages.engine.plan import Ask, Need, pause_after, plan
from stages.engine.spec import StageSpec

UNKNOWN = Backlog(waiting=0, in_flight=0, held_back=0)


def run() -> State[None]:
    """Ask for what every stage needs; the state that the trigger's run ends with."""
    try:
        at = facts.opened()
    except PhaselineError as error:
        return State[None](type=StateType.FAILED, message=str(error))
    with get_client(sync_client=True) as client:
        said, all_well = ask(at, client)
    for line in said:
        get_run_logger().info(line)
    return State[None](type=StateType.COMPLETED if all_well else StateType.FAILED, message="; ".join(said))


def ask(at: Context, client: SyncPrefectClient) -> tuple[list[str], bool]:
    """Look, decide and ask; returns a line for each stage, and whether nothing was in the way."""
    now, said, wrong = at.clock.now(), list[str](), set[str]()
    scene = pollers.look(client, at.catalog.names)
    needs: list[Need] = []
    for spec in at.catalog.stages:
        known, found, trouble = scene.pollers[spec.name], UNKNOWN, ""
        try:
            found = backlog.look(at.fs, at.root, spec.name, passage(at.root, spec).reads, now=now)
        except OSError as error:
            trouble = f"it cannot be looked at: {error}"
        if trouble or known.deployment is None:
            wrong.add(spec.name)
        needs.append(_need(spec, found, known, trouble))
    for need, each in zip(needs, plan(needs, scene.free, now=now), strict=True):
        trouble = _tell(at, need, now) or _create(each, scene.pollers[each.stage], now)
        if trouble:
            wrong.add(each.stage)
        said.append(f"{each.stage}: {trouble or _asked(each)}")
    return said, not wrong


def _need(spec: StageSpec, found: Backlog, known: Pollers, trouble: str) -> Need:
    return Need(
        stage=spec.name,
        claimable=found.claimable,
        in_flight=found.in_flight,
        pollers=known.open,
        pollers_max=spec.pollers.pollers_max,
        datasets_per_poller=spec.pollers.datasets_per_poller,
        pool=known.pool,
        pause=pause_after(known.ends),
        closed=trouble or known.closed,
    )


def _asked(each: Ask) -> str:
    return f"{each.pollers} asked, {each.why}" if each.pollers else each.why


def _create(each: Ask, known: Pollers, now: float) -> str:
    """Ask for a stage's pollers; returns what was in the way, nothing if all is well.

    The key lets a request whose answer was lost be sent again: it creates no second poller.
    """
    if known.deployment is None:
        return each.why
    for number in range(1, each.pollers + 1):
        of_how_many = f" ({number} of {each.pollers})" if each.pollers > 1 else ""
        try:
            run_deployment(
                known.deployment,
                flow_run_name=f"{each.stage} poller {naming.clock_time(now)}{of_how_many}",
                timeout=0,
                idempotency_key=f"{each.stage} {now:.3f} {number}",
                as_subflow=False,
            )
        except PrefectHTTPStatusError as error:
            return f"poller {number} of {each.pollers} was refused: {error}"
    return ""


def _tell(at: Context, need: Need, now: float) -> str:
    """Leave the hint that `phaseline status` shows, or take it away; returns what was in the way."""
    pause = need.pause if need.pause is not None and now < need.pause.until else None
    try:
        pauses.tell(at.fs, at.root, need.stage, pause)
    except (OSError, PhaselineError) as error:
        return f"its pause cannot be written down: {error}"
    return ""
