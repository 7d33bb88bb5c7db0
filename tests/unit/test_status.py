"""Does `status` count every dataset where it stands, at a bounded cost, and say what waits for a person?"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from stages.engine import sightings, status
from stages.engine.commands.status import render
from stages.engine.finding import Action
from stages.engine.records import Ended, EndKind
from stages.engine.sightings import BackingOff, Sightings
from stages.engine.standing import Look, Standing, judge
from stages.engine.state import read_markers
from stages.engine.work.outcome import OutcomeKind
from tests.fakes import START, FakeWork, answer, fail
from tests.unit.chain import Chain


def counts(chain: Chain, stage: str = "first") -> dict[str, int]:
    return {str(standing): number for standing, number in chain.status(stage).counts.items() if number}


def look(
    markers: str = "",
    kind: EndKind | None = None,
    *,
    not_before: int = 0,
    silent_seconds: float | None = None,
    may_write: bool = True,
    ready: bool = True,
    in_the_way: bool = False,
) -> Look:
    return Look(
        markers=read_markers(markers.split(), "first", "ds1"),
        end=None if kind is None else Ended(kind=kind, not_before=not_before, why=""),
        silent_seconds=silent_seconds,
        may_write=may_write,
        ready=ready,
        in_the_way=in_the_way,
    )


TAKEN, ENDED = "taken.first.1", "taken.first.1 ended.first.1"


@pytest.mark.parametrize(
    ("seen", "standing"),
    [
        (look(), Standing.WAITING),
        (look(ready=False), Standing.ARRIVING),
        (look(may_write=False), Standing.NO_PERMISSION),
        (look(TAKEN), Standing.IN_FLIGHT),
        (look(TAKEN, silent_seconds=180), Standing.IN_FLIGHT),
        (look(TAKEN, silent_seconds=181), Standing.STALE),
        (look(TAKEN, silent_seconds=1, may_write=False), Standing.IN_FLIGHT),
        (look(ENDED, EndKind.RETRY), Standing.WAITING),
        (look(ENDED, EndKind.RETRY, not_before=1001), Standing.BACKING_OFF),
        (look(ENDED, EndKind.RETRY, not_before=1000), Standing.WAITING),
        (look(ENDED, EndKind.RETRY, may_write=False), Standing.NO_PERMISSION),
        (look(ENDED, EndKind.QUARANTINE), Standing.QUARANTINED),
        (look(ENDED, EndKind.PUBLISH), Standing.IN_FLIGHT),
        (look(ENDED, EndKind.PUBLISH, in_the_way=True), Standing.BLOCKED),
    ],
)
def test_where_a_dataset_stands(seen: Look, standing: Standing) -> None:
    assert judge(seen, now=1000.0, expires_seconds=180.0) is standing


def test_every_dataset_is_counted_once(chain: Chain) -> None:
    for name in ("new", "failing", "bad", "good", "blocked"):
        chain.put(name)
    chain.put("blocked", "MID")
    chain.poll("first", FakeWork(failing=fail(), bad=answer(OutcomeKind.REJECT), new=fail()))
    chain.put("working")
    claim = chain.claim("first", "working")
    os.utime(claim.private, (START, START))
    chain.put("stale")
    silent = chain.claim("first", "stale")
    os.utime(silent.private, (START - 181, START - 181))
    chain.put("waiting")
    chain.path("IN/file").touch()
    chain.put("damaged").joinpath("taken.first.1").touch()
    assert counts(chain) == {
        "waiting": 1,
        "in flight": 1,
        "stale": 1,
        "backing off": 2,
        "blocked": 1,
        "quarantined": 1,
        "damaged": 1,
        "not a dataset": 1,
    }
    assert chain.status("first").done == 1
    assert counts(chain, "second") == {"waiting": 2}
    assert chain.observer().status().results == 0
    chain.poll("second")
    assert chain.observer().status().results == 2


def test_a_ready_marker_is_waited_for(chain: Chain) -> None:
    chain.write_stage("first", "IN", "MID", "[arrival]\nready_marker = true\n")
    chain.put("ds1")
    chain.put("ds2").joinpath("ready.first").touch()
    assert counts(chain) == {"arriving": 1, "waiting": 1}
    assert "  first: 1 arriving, their ready.first is not there yet" in list(render(chain.observer().status()))


def test_the_oldest_that_waits_is_told(chain: Chain) -> None:
    for name, age_seconds in (("ds1", 60), ("ds2", 7000)):
        os.utime(chain.put(name), (START - age_seconds, START - age_seconds))
    assert chain.status("first").oldest_waiting_seconds == pytest.approx(7000)
    assert chain.status("second").oldest_waiting_seconds is None


def test_where_one_may_not_write_the_chmod_to_type_is_told(chain: Chain) -> None:
    chain.put("ds1")

    class Forbidding:
        def made(self, name: str, at: int) -> float:
            return 0.0

        def may_write(self, path: str) -> bool:
            return False

    observer = status.Observer(
        fs=chain.fs, clock=chain.clock, inspection=Forbidding(), root=chain.root, catalog=chain.catalog
    )
    lines = list(render(observer.status()))
    assert f"    chmod g+rwxs {chain.path('IN/ds1')}" in lines


def test_a_dataset_that_cannot_even_be_opened_is_counted(chain: Chain) -> None:
    chain.put("ds1")
    chain.fs.fail("opendir", "IN/ds1", errno.EACCES)
    assert counts(chain) == {"no permission": 1}


def test_what_vanishes_meanwhile_is_not_counted(chain: Chain) -> None:
    chain.put("ds1")
    chain.fs.fail("opendir", "IN/ds1", errno.ENOENT)
    assert counts(chain) == {}


def many(chain: Chain, monkeypatch: pytest.MonkeyPatch, number: int = 50, opened_max: int = 10) -> None:
    monkeypatch.setattr(status, "OPENED_MAX", opened_max)
    for at in range(number):
        chain.path(f"IN/ds{at:02}").mkdir()


def test_of_many_only_some_are_opened_and_the_last_sweep_speaks_for_the_rest(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(chain, monkeypatch)
    working = chain.claim("first", "ds49")
    os.utime(working.private, (START, START))
    later, earlier = int(START) + 60, int(START) - 60
    seen = Sightings(
        backing_off={f"ds{at:02}": BackingOff(1, later if at < 30 else earlier) for at in range(20, 40)},
        troubles={**{f"ds{at:02}": str(Action.NO_PERMISSION) for at in range(5)}, "gone": str(Action.BLOCKED)},
    )
    path = chain.root.sightings("some-boot", "first")
    sightings.save(seen, chain.fs, path, boot_id="some-boot", now=1.0)
    os.utime(path, (START - 300, START - 300))
    found = chain.status("first")
    assert (found.listed, found.opened, found.swept_seconds_ago) == (50, 11, pytest.approx(300))
    # Opened: the one at work, the five in trouble (which are well now) and five that were backing off.
    assert counts(chain) == {"in flight": 1, "backing off": 5, "waiting": 44}
    lines = list(render(chain.observer().status()))
    assert any("11 of 50 datasets were opened, the other 39 are as known before (last sweep 5 min" in x for x in lines)
    assert chain.observer().status(full=True).stages[0].opened == 50


def test_a_trouble_that_is_not_opened_is_still_named(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    many(chain, monkeypatch, opened_max=0)
    seen = Sightings(troubles={"ds07": Action.NO_PERMISSION, "ds08": "of a later version"})
    sightings.save(seen, chain.fs, chain.root.sightings("b", "first"), boot_id="b", now=1.0)
    found = chain.status("first")
    assert found.counts[Standing.NO_PERMISSION] == 1
    assert [trouble.dataset for trouble in found.troubles] == ["ds07"]


def test_the_cost_is_bounded(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    many(chain, monkeypatch)
    calls: list[str] = []
    for method in ("listdir", "opendir", "scan"):
        chain.fs.before(method, "", lambda method=method: calls.append(method), times=10_000)
    chain.observer().status()
    # Per stage four listings and the results' one, and one for each dataset opened; the sweeps' notes are scanned.
    assert calls.count("listdir") == 2 * 4 + 1 + 10
    assert calls.count("opendir") == 10
    assert calls.count("scan") == 2


def test_the_table_is_aligned_and_fits_a_terminal(chain: Chain) -> None:
    for name in ("ds1", "ds2", "ds3", "ds4", "ds5"):
        chain.put(name)
    chain.poll("first", FakeWork(answer(OutcomeKind.REJECT), ds1=fail()))
    lines = list(render(chain.observer().status()))
    assert max(map(len, lines[:4])) <= 100
    assert lines[0].split() == ["in", "backing", "no", "oldest"]
    assert lines[2].split() == ["first", "-", "-", "1", "-", "-", "-", "4!", "-", "-"]
    column = lines[1].index("quarantined") + len("quarantined")
    assert lines[2][column - 1 : column + 1] == "4!"
    assert lines[4] == f"results: 0 published in {chain.path('RESULTS')}"
    assert lines[5:7] == ["! first, quarantined: ds2, ds3, ds4 and 1 more", "    phaseline explain ds2"]


def test_a_retry_that_was_asked_for_waits_for_a_sweep(chain: Chain) -> None:
    chain.put("ds1")
    chain.poll("first", FakeWork(answer(OutcomeKind.REJECT)))
    assert chain.phaseline("retry", "first", "ds1") == 0
    assert (
        list(render(chain.observer().status()))[-1]
        == "  first: 1 wait for a sweep, no sweep has left a trace: phaseline sweep first"
    )


def test_for_programs_it_is_json(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    chain.put("ds1")
    found = chain.json(capsys, "status")
    assert found["results"] == {"location": str(chain.path("RESULTS")), "published": 0}
    assert isinstance(found["stages"], list)
    first = found["stages"][0]
    assert isinstance(first, dict)
    assert (first["waiting"], first["opened"], first["listed"]) == (1, 1, 1)


def test_watching_ends_with_an_interrupt(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(self: object, seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stages.engine.clock.SystemClock.sleep", interrupt)
    assert chain.phaseline("status", "--watch") == 0
    assert chain.phaseline("status", "--watch", "--json") == 0
    out = capsys.readouterr().out
    assert re.search(r"^\{.*\}$", out, re.MULTILINE)
    assert "\033" not in out


def test_names_are_not_listed_without_end(chain: Chain) -> None:
    for at in range(25):
        Path(chain.path(f"IN/_failed/ds{at:02}")).mkdir()
    found = chain.status("first")
    assert (found.counts[Standing.QUARANTINED], len(found.troubles)) == (25, status.NAMED_MAX)
