"""What `phaseline up` decides: ports, what is missing, what is in the way."""

from __future__ import annotations

import pytest

from infra.stack.choices import PORT, SERVER, Occupant, PortChoice, Wanted, check, choose_port, plan
from infra.stack.errors import StackError
from infra.stack.record import Process, Record

POOLS = ("control", "slurm-cpu", "slurm-gpu")
ALL = (SERVER, *POOLS)
PROCESS = Process(pid=1, started_ticks=1, boot_id="b")


def taken(**by: Occupant) -> dict[int, Occupant]:
    return {int(port.removeprefix("p")): who for port, who in by.items()}


def choose(wanted: int | None, before: int | None, by: dict[int, Occupant]) -> PortChoice:
    return choose_port(wanted, before, lambda port: by.get(port, Occupant.NOBODY))


@pytest.mark.parametrize(("wanted", "before", "port"), [(None, None, PORT), (None, 4300, 4300), (4310, 4300, 4310)])
def test_a_free_port_is_taken_as_asked_else_as_before_else_prefects_own(
    wanted: int | None, before: int | None, port: int
) -> None:
    assert choose(wanted, before, {}) == PortChoice(port=port)


def test_a_port_that_another_server_has_is_left_to_it_and_that_is_said() -> None:
    choice = choose(None, None, taken(p4200=Occupant.PREFECT, p4201=Occupant.OTHER))
    assert choice.port == 4202
    assert choice.remarks == (
        "port 4200 is taken by another Prefect server: taking 4202",
        "the server on 4200 is not this clone's; it is left alone",
    )


def test_a_port_that_another_program_has_costs_one_remark() -> None:
    assert choose(None, 4300, taken(p4300=Occupant.OTHER)).remarks == (
        "port 4300 is taken by another program: taking 4301",
    )


def test_a_port_that_was_asked_for_by_number_is_not_exchanged_for_another() -> None:
    with pytest.raises(StackError, match="port 4300 is taken by another program: choose another --port"):
        choose(4300, None, taken(p4300=Occupant.OTHER))


def test_when_all_are_taken_it_gives_up() -> None:
    with pytest.raises(StackError, match="no port from 4200 to 4299 is free"):
        choose_port(None, None, lambda _: Occupant.OTHER)


def test_from_nothing_all_is_started_the_server_first() -> None:
    assert plan(Record(host="here"), POOLS, (), 4200).start == ALL


def test_what_lives_is_left_alone() -> None:
    record = Record(host="here", port=4200)
    assert plan(record, POOLS, ALL, 4200).start == ()
    assert plan(record, POOLS, (SERVER, "slurm-cpu"), 4200).start == ("control", "slurm-gpu")


def test_a_dead_server_comes_back_on_its_port_under_workers_that_go_on() -> None:
    made = plan(Record(host="here", port=4200), POOLS, POOLS, 4200)
    assert (made.end, made.start) == ((), (SERVER,))


def test_workers_that_ask_at_another_port_are_replaced() -> None:
    made = plan(Record(host="here", port=4200), POOLS, POOLS, 4201)
    assert (made.end, made.start) == (POOLS, ALL)


def test_the_worker_of_a_pool_that_is_no_more_is_ended() -> None:
    made = plan(Record(host="here", port=4200), ("control",), (SERVER, "control", "slurm-cpu"), 4200)
    assert (made.end, made.start) == (("slurm-cpu",), ())


def wants(root: str = "/root-a", stages: str | None = None, port: int | None = None) -> Wanted:
    return Wanted(root=root, stages=stages, port=port, trigger_seconds=None)


def test_a_stack_that_is_down_may_come_up_in_any_way() -> None:
    before = Record(host="here", port=4200, root="/root-b", stages="/stages", processes={SERVER: PROCESS})
    check(before, wants(port=4300), (), "here")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (wants(root="/root-b"), "the stack is up for the root /root-a: `phaseline down` before another one"),
        (wants(stages="/mine"), r"the stack is up with other stages \(those shipped\)"),
        (wants(port=4300), "the server is up on port 4200"),
    ],
)
def test_a_stack_that_is_up_is_not_turned_into_another(wanted: Wanted, said: str) -> None:
    record = Record(host="here", port=4200, root="/root-a")
    check(record, wants(port=4200), ALL, "here")
    with pytest.raises(StackError, match=said):
        check(record, wanted, ALL, "here")


def test_a_stack_of_another_machine_is_not_started_a_second_time() -> None:
    elsewhere = Record(host="login1", processes={SERVER: PROCESS})
    with pytest.raises(StackError, match="was started on login1, this is login2"):
        check(elsewhere, wants(), (), "login2")
    check(Record(host="login1"), wants(), (), "login2")
