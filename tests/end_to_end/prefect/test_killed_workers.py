"""A worker that is killed, wherever it is: does the next one of its name know all, and is no job there twice?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from prefect.client.schemas.objects import StateType

from tests.end_to_end.prefect.conftest import MakeLine
from tests.end_to_end.prefect.entry import Moment
from tests.end_to_end.prefect.line import Line
from tests.end_to_end.prefect.workers import Worker, Workers
from tests.waiting import wait_until

NAME = "the same after each restart"


@dataclass
class Relay:
    """Workers of one name, one after the other; each takes over from the one that was killed before it."""

    line: Line
    workers: Workers
    worker: Worker

    def strike(self, moment: Moment) -> UUID:
        """Ask for a poller, and kill the worker once it has come to this moment with it."""
        self.line.gates.arm(moment)
        run = self.ask(moment.name.lower().replace("_", "-"), is_open=True)
        self.line.gates.wait(moment)
        self.worker.kill()
        return run

    def ask(self, name: str, *, is_open: bool = False) -> UUID:
        """Ask for a poller of one dataset, which waits at its gate unless that is open."""
        self.line.add(1, name)
        if is_open:
            self.line.gates.open(f"{name}0.1")
        return self.line.ask()

    def go_on(self) -> None:
        """Start the next one."""
        self.worker = start(self.workers, self.line)

    def completed(self, run: UUID) -> None:
        """The next worker tells all of it: once, in order, and of one job."""
        self.line.wait(run, StateType.COMPLETED)
        assert self.line.lines(run) == self.line.printed(run)
        assert len(self.line.lines(run)) == 2, "published, ended"
        kinds = [state.type for state in self.line.client.read_flow_run_states(run)]
        assert (kinds.count(StateType.RUNNING), kinds.count(StateType.COMPLETED)) == (1, 1)
        assert self.line.run(run).run_count == 1


def start(workers: Workers, line: Line) -> Worker:
    return workers.start(line.pool, NAME, at=line.gates).wait()


@pytest.fixture
def relay(make_line: MakeLine, bare_pool: str, workers: Workers) -> Iterator[Relay]:
    line = make_line(bare_pool, "carry_through_gate", datasets_per_poller=1)
    line.deploy()
    found = Relay(line=line, workers=workers, worker=start(workers, line))
    yield found
    found.worker.kill()
    assert line.broken() == []
    assert line.names("RESULTS") == sorted(line.arrived)
    numbers = {path.name.rpartition(".")[2] for path in line.root.glob("RAW/_done/*/taken.*")}
    assert numbers == {"1"}, "nobody had to try again"


def test_while_it_hands_a_job_in(relay: Relay) -> None:
    run = relay.strike(Moment.BEFORE_SUBMISSION)
    assert "launcher" not in relay.line.job(run)
    relay.go_on()
    relay.completed(run)

    run = relay.strike(Moment.AFTER_SUBMISSION)
    assert "launcher" in relay.line.job(run)
    assert relay.line.run(run).infrastructure_pid is None
    relay.go_on()
    relay.completed(run)


def test_while_a_job_waits_or_runs(relay: Relay) -> None:
    with relay.workers.without_slots():
        run = relay.ask("waits", is_open=True)
        relay.line.wait_queued(run)
        relay.worker.kill()
        relay.go_on()
        assert relay.line.state(run).startswith("PENDING Queued")
    relay.completed(run)

    run = relay.ask("runs")
    relay.line.wait(run, StateType.RUNNING)
    relay.line.gates.wait("runs0.1")
    relay.worker.kill()
    relay.go_on()
    relay.line.gates.open("runs0.1")
    relay.completed(run)

    run = relay.ask("away")
    relay.line.wait(run, StateType.RUNNING)
    relay.worker.kill()
    relay.line.gates.open("away0.1")
    wait_until(lambda: "result" in relay.line.job(run), 60, "the job ends")
    assert relay.line.run(run).state_type is StateType.RUNNING
    relay.go_on()
    relay.completed(run)


def test_while_it_tells_of_a_job(relay: Relay) -> None:
    for moment in (Moment.LINES_SENT, Moment.JOB_OVER, Moment.END_TOLD):
        run = relay.strike(moment)
        relay.go_on()
        relay.completed(run)
