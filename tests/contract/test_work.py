"""Do all kinds of work keep the same promises?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stages.engine.attempt import Attempt
from stages.engine.errors import RejectDataset, TryLater
from stages.engine.work.callable_work import CallableWork
from stages.engine.work.command_work import CommandWork
from stages.engine.work.in_process import InProcessWork
from stages.engine.work.order import Order, Work, unwatched
from stages.engine.work.outcome import OutcomeKind, Stop
from tests.unit.work.site import Log, Site

STAGE = """
from stages.engine.errors import RejectDataset, TryLater
def process(attempt):
    what = attempt.dataset
    (attempt.output / "result").write_text(what)
    (attempt.scratch / "half").write_text(what)
    if what == "fail":
        raise ValueError("this went wrong")
    if what == "reject":
        raise RejectDataset("unfit")
    if what == "later":
        raise TryLater("busy")
"""

SCRIPT = """
echo "$STAGE_DATASET" > "$STAGE_OUTPUT/result"; echo half > "$STAGE_SCRATCH/half"
case "$STAGE_DATASET" in
    fail) echo this went wrong; exit 1;;
    reject) echo unfit; exit 65;;
    later) echo busy; exit 75;;
esac
"""


def process(attempt: Attempt) -> None:
    (attempt.output / "result").write_text(attempt.dataset)
    (attempt.scratch / "half").write_text("half")
    match attempt.dataset:
        case "fail":
            raise ValueError("this went wrong")
        case "reject":
            raise RejectDataset("unfit")
        case "later":
            raise TryLater("busy")
        case _:
            pass


def in_callable(site: Site) -> Work:
    directory = site.stage(STAGE)
    return CallableWork(stage_directory=directory, callable="stage:process", setup_seconds=30, timeout_seconds=30)


def in_command(site: Site) -> Work:
    return CommandWork(stage_directory=site.stage(""), command=["sh", "-c", SCRIPT], timeout_seconds=30)


def in_process(site: Site) -> Work:
    return InProcessWork(process, stage_directory=str(site.stage_directory))


@pytest.fixture(params=[in_callable, in_command, in_process], ids=["callable", "command", "in process"])
def work(request: pytest.FixtureRequest, site: Site) -> Iterator[Work]:
    make: Callable[[Site], Work] = request.param
    made = make(site)
    yield made
    made.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize(
    ("dataset", "kind", "why"),
    [
        ("ds1", OutcomeKind.PUBLISH, "done"),
        ("fail", OutcomeKind.FAIL, "this went wrong"),
        ("reject", OutcomeKind.REJECT, "unfit"),
        ("later", OutcomeKind.LATER, "busy"),
    ],
)
def test_an_order_is_carried_out_and_judged(work: Work, site: Site, dataset: str, kind: OutcomeKind, why: str) -> None:
    order, log = site.order(dataset), Log()
    work.prepare()
    work.prepare()
    outcome = work.run(order, unwatched, log)
    assert outcome.kind is kind
    assert why in outcome.why
    assert outcome.contained
    assert (outcome.signature != "") == (kind is OutcomeKind.FAIL)
    assert (Path(order.output) / "result").read_text().strip() == dataset
    assert (Path(order.scratch) / "half").exists()
    assert ("this went wrong" in log.text) == (dataset == "fail")


def test_one_order_after_the_other(work: Work, site: Site) -> None:
    orders: list[Order] = [site.order(f"ds{number}") for number in range(3)]
    assert {work.run(order, unwatched, Log()).kind for order in orders} == {OutcomeKind.PUBLISH}


def test_a_failure_of_a_poller_that_is_to_stop_is_none(work: Work, site: Site) -> None:
    asked: list[None] = []

    def watch() -> Stop | None:
        asked.append(None)
        return Stop.DRAIN

    outcome = work.run(site.order("fail"), watch, Log())
    assert (outcome.kind, outcome.stop) == (OutcomeKind.STOPPED, Stop.DRAIN)
    assert asked


def test_it_may_be_closed_twice_and_goes_on_after_it(work: Work, site: Site) -> None:
    work.close()
    work.close()
    assert work.run(site.order(), unwatched, Log()).kind is OutcomeKind.PUBLISH
