"""A poller's turns, from the claim to the end, and why it ends itself."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from stages.engine.drain import Drain
from stages.engine.errors import ExitCode, StageAlwaysFailsError, StageSetupError, StorageError
from stages.engine.poller import Ending, Turn
from stages.engine.vigil import Limits
from stages.engine.work.order import Log, Order, Watch, unwatched
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind, Stop, stopped
from tests.fakes import FakeWork, Yard, answer, fail, identity, in_turn, registers, write_result


def end_of(dataset: Path) -> str:
    """What the last attempt's end says, without its times."""
    found = registers(dataset)
    last = max((name for name in found if name.startswith("ended.")), key=lambda name: int(name.rpartition(".")[2]))
    kind, _, failures, lost, not_before, why = found[last].split(":", 5)
    return f"{last}: {kind} {failures} {lost} {'waits' if int(not_before) else 'at once'} {why}"


def test_it_carries_everything_through(yard: Yard) -> None:
    for number in range(5):
        yard.add(f"ds{number}")
    work = FakeWork()
    assert yard.poller(work).poll() is Ending.IDLE
    assert (yard.names("A"), yard.names("B")) == ([], [f"ds{number}" for number in range(5)])
    assert len(list((yard.a / "_done").iterdir())) == 5
    assert os.listdir(yard.a / "_work") == []
    assert (len(work.orders), work.closed) == (5, True)


def test_a_failure_is_tried_again_until_it_is_quarantined(yard: Yard) -> None:
    path = yard.add("ds1")
    work = FakeWork(fail("boom"))
    for attempt, waits in enumerate((30, 300), 1):
        assert yard.poller(work).poll() is Ending.IDLE
        assert end_of(path) == f"ended.first.{attempt}: retry {attempt} 0 waits boom"
        yard.clock.advance(waits + 1)
    yard.poller(work).poll()
    quarantined = yard.a / "_failed" / "ds1"
    assert end_of(quarantined) == "ended.first.3: quarantine 3 0 at once attempt 3 of 3 failed: boom"
    assert (yard.names("A"), os.listdir(yard.a / "_work")) == ([], [])


def test_a_rejected_dataset_is_quarantined_at_once(yard: Yard) -> None:
    yard.add("ds1")
    yard.poller(FakeWork(answer(OutcomeKind.REJECT, "no text in it"))).poll()
    assert end_of(yard.a / "_failed" / "ds1") == "ended.first.1: quarantine 0 0 at once no text in it"


def test_later_is_not_counted(yard: Yard) -> None:
    path = yard.add("ds1")
    yard.poller(FakeWork(answer(OutcomeKind.LATER, "the licence server is busy"))).poll()
    assert end_of(path) == "ended.first.1: retry 0 0 waits later x1: the licence server is busy"


DEEDS = {"publish": write_result, "retry": fail(), "quarantine": answer(OutcomeKind.REJECT)}


@pytest.mark.parametrize("end", DEEDS)
def test_the_log_is_found_after_every_end(yard: Yard, end: str) -> None:
    yard.add("ds1")

    def talk(order: Order, watch: Watch, log: Log) -> Outcome:
        log(b"hello, ")
        log(b"")
        log(b"world\n")
        return DEEDS[end](order, watch, log)

    yard.poller(FakeWork(talk)).poll()
    [dataset] = [*yard.a.glob("ds1"), *yard.a.glob("_done/ds1~*"), *yard.a.glob("_failed/ds1")]
    token = registers(dataset)["taken.first.1"].partition(":")[0]
    assert (dataset / f"log.first.1.{token}").read_bytes() == b"hello, world\n"


def test_a_silent_attempt_has_no_log(yard: Yard) -> None:
    yard.add("ds1")
    yard.poller(FakeWork()).poll()
    assert list(yard.a.glob("_done/*/log.*")) == []


def test_a_log_is_capped_and_says_so(yard: Yard) -> None:
    yard.table = {"output": {"durability": "none", "log_bytes_max": 10}}
    yard.add("ds1")

    def chatter(order: Order, watch: Watch, log: Log) -> Outcome:
        for _ in range(100):
            log(b"chatter")
        return PUBLISHED

    yard.poller(FakeWork(chatter)).poll()
    [log] = yard.a.glob("_done/ds1~*/log.*")
    assert log.read_bytes() == b"chattercha\n[phaseline: the log ends here, at log_bytes_max = 10]\n"


def test_a_log_is_written_through_the_handle(yard: Yard) -> None:
    path = yard.add("ds1")

    def moved(order: Order, watch: Watch, log: Log) -> Outcome:
        path.rename(yard.top / "elsewhere")
        log(b"still here")
        (yard.top / "elsewhere").rename(path)
        return PUBLISHED

    yard.poller(FakeWork(moved)).poll()
    assert len(list(yard.a.glob("_done/ds1~*/log.*"))) == 1


def test_no_log_can_be_written_and_the_storage_is_to_blame(yard: Yard) -> None:
    path = yard.add("ds1")

    def talk(order: Order, watch: Watch, log: Log) -> Outcome:
        log(b"hello")
        return PUBLISHED

    yard.fs.fail("append", "hello", errno.ENOSPC)
    with pytest.raises(StorageError):
        yard.poller(FakeWork(talk)).poll()
    assert "retry 0 0 waits later x1: the storage failed: No space left on device" in end_of(path)


class TestEnding:
    def test_until_idle_does_not_wait_for_what_is_backing_off(self, yard: Yard) -> None:
        yard.add("ds1")
        assert yard.poller(FakeWork(fail())).poll() is Ending.IDLE
        assert yard.clock.now() < 1_800_000_001.0

    def test_idle_for_its_time(self, yard: Yard) -> None:
        begun = yard.clock.monotonic()
        assert yard.poller(FakeWork(), limits=Limits(idle_seconds=100.0)).poll() is Ending.IDLE
        assert yard.clock.monotonic() - begun == pytest.approx(100.0)
        assert all(pause <= 30.0 for pause in yard.clock.slept)
        assert yard.clock.slept[0] <= 0.5

    def test_pauses_grow_with_jitter_to_the_longest_allowed(self, yard: Yard) -> None:
        yard.poller(FakeWork(), limits=Limits(idle_seconds=1000.0, look_seconds_max=8.0)).poll()
        pauses = yard.clock.slept
        for pause, nominal in zip(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 8.0], strict=False):
            assert 0.7 * nominal <= pause <= nominal

    def test_a_pause_ends_when_a_dataset_may_be_tried_again(self, yard: Yard) -> None:
        yard.table = {"retry": {"backoff_seconds": [40]}}
        yard.add("ds1")
        work = FakeWork(in_turn(fail(), write_result))
        begun = yard.clock.monotonic()
        yard.poller(work, limits=Limits(idle_seconds=60.0, datasets_max=2)).poll()
        assert yard.names("B") == ["ds1"]
        assert yard.clock.monotonic() - begun < 42.0

    def test_work_begins_the_idle_time_anew(self, yard: Yard) -> None:
        yard.add("ds1")
        begun = yard.clock.monotonic()

        def slow(order: Order, watch: Watch, log: Log) -> Outcome:
            yard.clock.advance(500.0)
            return write_result(order, watch, log)

        yard.poller(FakeWork(slow), limits=Limits(idle_seconds=100.0)).poll()
        assert yard.clock.monotonic() - begun == pytest.approx(600.0)

    def test_enough_datasets(self, yard: Yard) -> None:
        for number in range(5):
            yard.add(f"ds{number}")
        assert yard.poller(FakeWork(), limits=Limits(datasets_max=3)).poll() is Ending.ENOUGH
        assert len(yard.names("B")) == 3

    def test_a_deadline_ends_it_before_it_claims_what_it_could_not_finish(self, yard: Yard) -> None:
        for number in range(9):
            yard.add(f"ds{number}")

        def minute(order: Order, watch: Watch, log: Log) -> Outcome:
            yard.clock.advance(60.0)
            return write_result(order, watch, log)

        limits = Limits(deadline=yard.clock.monotonic() + 320.0, grace_seconds=20.0)
        assert yard.poller(FakeWork(minute), limits=limits).poll() is Ending.DEADLINE
        assert len(yard.names("B")) == 4  # after four minutes 60 s are left: too near to 1.5 x 60 s
        assert len(yard.names("A")) == 5

    def test_an_idle_poller_ends_while_its_time_would_still_do_for_a_dataset(self, yard: Yard) -> None:
        """How long one takes it has not seen: nobody claims what is then given back half-way."""
        limits = Limits(deadline=yard.clock.monotonic() + 120.0, grace_seconds=20.0)
        begun = yard.clock.monotonic()
        assert yard.poller(FakeWork(), limits=limits).poll() is Ending.DEADLINE
        assert 50.0 < yard.clock.monotonic() - begun < 81.0

    def test_warned_of_the_limit_it_finishes_what_it_holds_and_claims_nothing_more(self, yard: Yard) -> None:
        for number in range(3):
            yard.add(f"ds{number}")
        drain = Drain()

        def slow(order: Order, watch: Watch, log: Log) -> Outcome:
            drain.warn()
            for _ in range(250):
                assert watch() is None
                yard.clock.advance(1.0)
            return write_result(order, watch, log)

        limits = Limits(deadline=yard.clock.monotonic() + 320.0, grace_seconds=20.0)
        assert yard.poller(FakeWork(slow), limits=limits, drain=drain).poll() is Ending.DRAINED
        assert len(yard.names("B")) == 1

    @pytest.mark.parametrize("earlier", [0, 1])
    def test_only_who_had_the_full_time_pays(self, yard: Yard, earlier: int) -> None:
        for number in range(earlier):
            yard.add(f"a{number}")

        def until_the_deadline(order: Order, watch: Watch, log: Log) -> Outcome:
            if order.dataset != "ds1":
                yard.add("ds1")
                return write_result(order, watch, log)
            while (stop := watch()) is None:
                yard.clock.advance(1.0)
            return stopped(stop)

        if not earlier:
            yard.add("ds1")
        limits = Limits(deadline=yard.clock.monotonic() + 320.0, grace_seconds=20.0)
        assert yard.poller(FakeWork(until_the_deadline), limits=limits).poll() is Ending.DEADLINE
        end = end_of(yard.a / "ds1")
        if earlier:
            assert end == "ended.first.1: retry 0 0 at once released: the job's time limit was near"
        else:
            assert end == "ended.first.1: retry 1 0 waits does not fit into the job's time limit"

    def test_asked_to_stop_it_finishes_what_it_holds_and_claims_nothing_more(self, yard: Yard) -> None:
        for number in range(3):
            yard.add(f"ds{number}")
        drain = Drain()

        def ask(order: Order, watch: Watch, log: Log) -> Outcome:
            drain.request()
            return write_result(order, watch, log)

        assert yard.poller(FakeWork(ask), drain=drain).poll() is Ending.DRAINED
        assert len(yard.names("B")) == 1

    def test_asked_to_stop_it_releases_what_takes_too_long(self, yard: Yard) -> None:
        path = yard.add("ds1")
        drain = Drain()

        def endless(order: Order, watch: Watch, log: Log) -> Outcome:
            drain.request()
            while (stop := watch()) is None:
                yard.clock.advance(1.0)
            return stopped(stop)

        begun = yard.clock.monotonic()
        assert yard.poller(FakeWork(endless), drain=drain).poll() is Ending.DRAINED
        assert yard.clock.monotonic() - begun < 20.0
        assert end_of(path) == "ended.first.1: retry 0 0 at once released: its poller was asked to stop"

    def test_asked_to_stop_while_the_stage_is_set_up(self, yard: Yard) -> None:
        path = yard.add("ds1")
        drain = Drain()

        class SlowSetup(FakeWork):
            def prepare(self, watch: Watch = unwatched) -> None:
                drain.request()

        assert yard.poller(SlowSetup(), limits=Limits(), drain=drain).poll() is Ending.DRAINED
        assert registers(path) == {}


class TestStage:
    def test_a_stage_that_cannot_be_set_up_claims_nothing(self, yard: Yard) -> None:
        path = yard.add("ds1")
        work = FakeWork()
        work.broken = StageSetupError("cannot import stage.py")
        with pytest.raises(StageSetupError) as caught:
            yard.poller(work).poll()
        assert caught.value.exit_code == ExitCode.CONFIGURATION == 78
        assert registers(path) == {}
        assert work.closed

    def test_a_stage_that_cannot_be_started_costs_nothing(self, yard: Yard) -> None:
        path = yard.add("ds1")

        def broken(order: Order, watch: Watch, log: Log) -> Outcome:
            raise StageSetupError("cannot start its command")

        with pytest.raises(StageSetupError):
            yard.poller(FakeWork(broken)).poll()
        assert end_of(path) == "ended.first.1: retry 0 0 at once cannot start its command"

    def test_five_in_a_row_that_fail_in_the_same_way_are_the_stages_fault(self, yard: Yard) -> None:
        for number in range(9):
            yard.add(f"ds{number}")
        work = FakeWork(fail("boom"))
        with pytest.raises(StageAlwaysFailsError, match="5 datasets in a row failed in the same way: boom") as caught:
            yard.poller(work).poll()
        assert caught.value.exit_code == ExitCode.ALWAYS_FAILS == 79
        assert len(work.orders) == 5
        assert yard.names("A/_failed") == []

    def test_rejected_ones_do_not_count(self, yard: Yard) -> None:
        for number in range(9):
            yard.add(f"ds{number}")
        assert yard.poller(FakeWork(answer(OutcomeKind.REJECT))).poll() is Ending.IDLE
        assert len(yard.names("A/_failed")) == 9

    def test_a_success_between_them_begins_the_count_anew(self, yard: Yard) -> None:
        for number in range(9):
            yard.add(f"ds{number}")
        work = FakeWork(in_turn(*[fail()] * 4, write_result, *[fail()] * 4))
        assert yard.poller(work).poll() is Ending.IDLE

    def test_different_failures_are_the_datas_fault(self, yard: Yard) -> None:
        for number in range(9):
            yard.add(f"ds{number}")
        work = FakeWork(in_turn(*(fail(signature=f"way {number}") for number in range(9))))
        assert yard.poller(work).poll() is Ending.IDLE

    def test_one_dataset_that_fails_often_is_the_datas_fault(self, yard: Yard) -> None:
        yard.table = {"retry": {"attempts_max": 9, "backoff_seconds": []}}
        yard.add("ds1")
        assert yard.poller(FakeWork(fail())).poll() is Ending.IDLE
        assert "attempt 9 of 9 failed" in end_of(yard.a / "_failed" / "ds1")


class TestStorage:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
    def test_nobody_pays_for_a_failing_storage(self, yard: Yard, number: int) -> None:
        path = yard.add("ds1")
        yard.fs.fail("write_new", "manifest.json", number)
        with pytest.raises(StorageError) as caught:
            yard.poller(FakeWork()).poll()
        assert caught.value.exit_code == ExitCode.STORAGE == 75
        assert f"retry 0 0 waits later x1: the storage failed: {os.strerror(number)}" in end_of(path)

    def test_a_location_that_is_gone(self, yard: Yard) -> None:
        yard.fs.remove_tree(str(yard.a))
        with pytest.raises(StorageError):
            yard.poller(FakeWork()).poll()

    def test_no_answer_at_the_commit_leaves_all_to_the_sweeper(self, yard: Yard) -> None:
        path = yard.add("ds1")
        yard.fs.fail("symlink", "ended.first.1", errno.EIO)
        with pytest.raises(StorageError):
            yard.poller(FakeWork()).poll()
        yard.fs.calm()
        assert list(registers(path)) == ["taken.first.1"]
        [private] = (yard.a / "_work").iterdir()
        assert sorted(os.listdir(private)) == ["out", "storage.json"]
        yard.sweeper().sweep()
        assert end_of(path).startswith("ended.first.1: retry 0 0 at once lost: the storage failed")

    def test_a_commit_that_was_done_all_the_same_is_rolled_forward(self, yard: Yard) -> None:
        yard.add("ds1")
        yard.fs.lose_reply("symlink", "ended.first.1", errno.EIO)
        yard.fs.fail("readlink", "ended.first.1", errno.EIO)
        with pytest.raises(StorageError):
            yard.poller(FakeWork()).poll()
        yard.fs.calm()
        yard.sweeper().sweep()
        assert (yard.names("A"), yard.names("B")) == ([], ["ds1"])

    def test_a_storage_that_cannot_even_end_the_attempt(self, yard: Yard) -> None:
        path = yard.add("ds1")
        yard.fs.fail("symlink", "ended.", errno.ENOSPC)
        with pytest.raises(StorageError):
            yard.poller(FakeWork(fail())).poll()
        assert list(registers(path)) == ["taken.first.1"]


class TestZombie:
    def test_revoked_while_at_work_it_leaves_the_heir_alone(self, yard: Yard) -> None:
        path = yard.add("ds1")

        def overtaken(order: Order, watch: Watch, log: Log) -> Outcome:
            os.symlink("retry:-:0:1:0:lost: silent", path / "ended.first.1")
            yard.fs.remove_tree(str(Path(order.output).parent))
            heir = yard.poller(FakeWork(), who=identity("node2", pid=2))
            assert heir.turn() is Turn.WORKED
            yard.clock.advance(31.0)
            assert watch() is Stop.REVOKED
            return stopped(Stop.REVOKED)

        zombie = yard.poller(FakeWork(overtaken))
        assert zombie.turn() is Turn.WORKED
        [archived] = yard.a.glob("_done/ds1~*")
        assert list(registers(archived)) == ["ended.first.1", "ended.first.2", "taken.first.1", "taken.first.2"]
        assert "node2" in registers(archived)["taken.first.2"]
        assert (yard.names("A"), yard.names("B"), os.listdir(yard.a / "_work")) == ([], ["ds1"], [])

    def test_fenced_at_the_commit_it_publishes_nothing(self, yard: Yard) -> None:
        path = yard.add("ds1")

        def overtaken(order: Order, watch: Watch, log: Log) -> Outcome:
            os.symlink("retry:-:0:1:0:lost: silent", path / "ended.first.1")
            return write_result(order, watch, log)

        assert yard.poller(FakeWork(overtaken)).turn() is Turn.WORKED
        assert (yard.names("A"), yard.names("B"), os.listdir(yard.a / "_work")) == (["ds1"], [], [])
        assert registers(path)["ended.first.1"] == "retry:-:0:1:0:lost: silent"

    def test_fenced_it_counts_no_failure(self, yard: Yard) -> None:
        path = yard.add("ds1")

        def overtaken(order: Order, watch: Watch, log: Log) -> Outcome:
            os.symlink("retry:-:0:1:0:lost: silent", path / "ended.first.1")
            yard.fs.remove_tree(str(Path(order.output).parent))
            return PUBLISHED

        assert yard.poller(FakeWork(overtaken)).turn() is Turn.WORKED
        assert registers(path)["ended.first.1"] == "retry:-:0:1:0:lost: silent"

    def test_fenced_failures_say_nothing_of_the_stage(self, yard: Yard) -> None:
        for number in range(9):
            yard.add(f"ds{number}")

        def overtaken(order: Order, watch: Watch, log: Log) -> Outcome:
            os.symlink("retry:-:0:1:9999999999:lost: silent", Path(order.input) / "ended.first.1")
            yard.fs.remove_tree(str(Path(order.output).parent))
            return Outcome(kind=OutcomeKind.FAIL, why="its output is gone", signature="FileNotFoundError stage.py:3")

        assert yard.poller(FakeWork(overtaken)).poll() is Ending.IDLE


def test_a_turn_without_a_dataset(yard: Yard) -> None:
    assert yard.poller(FakeWork()).turn() is Turn.NOTHING


def test_two_pollers_share_a_backlog(yard: Yard) -> None:
    for number in range(10):
        yard.add(f"ds{number}")
    one, two = FakeWork(), FakeWork()
    pollers = [yard.poller(one), yard.poller(two, who=identity("node2", pid=2))]
    while any(poller.turn() is Turn.WORKED for poller in pollers):
        pass
    assert sorted(order.dataset for order in one.orders + two.orders) == yard.names("B")
