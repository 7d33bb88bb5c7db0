"""Do the benchmarks measure what they say? No time is asserted here: `make bench` measures."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from benchmarks.__main__ import ALL, PAGE, RESULTS
from benchmarks.coordination import FILES, nothing, written
from benchmarks.engine import poller
from benchmarks.figures import Figure, Table, interleaved, ratio
from benchmarks.mountstats import parse
from benchmarks.place import Place, fill, new_root, taken
from benchmarks.report import lines
from benchmarks.results import keep, on_page, read
from benchmarks.same_calls import carry_all
from benchmarks.syscalls import Call, count
from stages.engine.work.in_process import InProcessWork

TINY = 0.001
CALLS = (
    *("chmod", "close", "fstat", "fsync", "listdir", "lstat", "mkdir", "open", "readlink", "rename", "rmdir"),
    *("scandir", "stat", "symlink", "unlink", "urandom", "utime", "write"),
)


@pytest.fixture
def place() -> Iterator[Place]:
    with taken(TINY) as found:
        yield found


# strace may be missing; `sweep` needs a server: tests/flows has one; `arrival` needs a stack: tests/end_to_end/prefect.
@pytest.mark.parametrize("name", sorted(ALL.keys() - {"syscalls", "sweep", "arrival"}))
def test_every_benchmark_yields_figures(name: str, place: Place) -> None:
    found = ALL[name](place)
    assert found
    assert all(isinstance(one, Figure) and one.rounds for one in found)


def test_a_place_leaves_nothing_behind() -> None:
    with taken(TINY) as found:
        Path(found.memory, "x").touch()
    assert not os.path.exists(found.memory)
    assert not os.path.exists(found.disk)


def recorded(monkeypatch: pytest.MonkeyPatch, root: str, what: Callable[[], object]) -> list[str]:
    """Return the calls of `os` that `what` makes, in order: tokens, descriptors and the root as words."""
    calls: list[str] = []

    def word(argument: object) -> str:
        if isinstance(argument, bytes):
            return f"{len(argument)} bytes"
        if isinstance(argument, int):
            return "number"
        said = re.sub(r'"started": [0-9.]+', '"started": NOW', str(argument))
        return re.sub(r"\b[0-9a-f]{8}\b", "TOKEN", said).replace(root, "ROOT")

    def listen(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def spoken(*arguments: object, **options: object) -> object:
            found = call(*arguments, **options)
            words = [word(one) for one in (*arguments, *(one for one in options.values() if one is not None))]
            calls.append(f"{name}({', '.join(words)})")
            return found

        return spoken

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, listen(name, cast("Callable[..., object]", getattr(os, name))))
        what()
    return calls


def test_the_loop_makes_the_engines_calls(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    content = written(f"{place.memory}/sample")
    engine, loop = f"{place.memory}/engine", f"{place.memory}/loop"
    fill(new_root(engine).reads, 1, FILES)
    subject = poller(engine, InProcessWork(nothing))
    ours = recorded(monkeypatch, engine, subject.poll)
    through = new_root(loop)
    fill(through.reads, 1, FILES)
    theirs = recorded(monkeypatch, loop, lambda: carry_all(through, content))
    assert len(theirs) > 20
    assert ours[: len(theirs)] == theirs
    assert not any("TOKEN" in call for call in ours[len(theirs) :]), "the engine does more for the dataset"


def test_calls_are_counted_from_claim_to_claim() -> None:
    claim = '7 symlink("ab:host:1:-", "/data/PHASE_1/ds1/taken.bench.1") = 0\n'
    between = [
        '7 mkdir("/data/PHASE_1/_work/ds1.1.ab", 0777 <unfinished ...>\n',
        "7 <... mkdir resumed>) = 0\n",
        '7 sendmsg(3<socket:[1]>, "/data/PHASE_1/ds1") = 5\n',
    ]
    found = count([claim, *between] * 30, "/data")
    assert found == {Call(True, "symlink"): 20, Call(True, "mkdir"): 20, Call(False, "sendmsg"): 20}


def test_a_ratio_is_of_one_round() -> None:
    found = ratio("x", [2.0, 30.0, 3.0], [1.0, 10.0, 2.0], 2.0)
    assert (found.value, found.rounds, found.is_met) == (2.0, (2.0, 3.0, 1.5), True)


def test_samples_take_turns_and_the_first_round_is_thrown_away() -> None:
    asked: list[str] = []

    def sample(name: str) -> float:
        asked.append(name)
        return float(len(asked))

    assert interleaved(2, lambda: sample("a"), lambda: sample("b")) == ([3.0, 5.0], [4.0, 6.0])
    assert asked == ["a", "b"] * 3


def test_results_are_a_table_and_a_file(tmp_path: Path) -> None:
    found = [
        Figure(name="kept", value=1.25, unit="x", target=1.5, rounds=(1.0, 1.25, 1.5)),
        Figure(name="missed", value=1234.5678, unit="us", target=1.5, rounds=(1234.5678,)),
        Table(name="calls", columns=("none", "full"), rows={"open": (1.0, 2.5), "close": (0.0, 1.0)}),
    ]
    text = "\n".join(lines(found))
    assert re.search(r"\| kept +\| +1.25 x \| +1 \| +1.5 \| +3 \| +1.5 \| +yes \|", text)
    assert re.search(r"\| missed .*\*\*no\*\* \|", text)
    assert re.search(r"\| close +\| +\| +1 \|", text)
    keep(tmp_path / "results.json", {"cores": 2}, "0123abc", {"some": found})
    some = json.loads((tmp_path / "results.json").read_text())["benchmarks"]["some"]
    assert [figure["met"] for figure in some["figures"]] == [True, False]
    assert some["figures"][1]["value"] == 1235
    assert some["tables"][0]["rows"] == {"open": [1.0, 2.5], "close": [0.0, 1.0]}


def test_a_benchmark_that_is_measured_again_replaces_only_itself(tmp_path: Path) -> None:
    results, page = (
        tmp_path / "results.json",
        "before\n<!-- begin benchmarks -->\nold\n<!-- end benchmarks -->\nafter\n",
    )

    def measured(value: float) -> list[Figure]:
        return [Figure(name="a figure", value=value, unit="us", rounds=(value,))]

    keep(results, {"cores": 2}, "aaa", {"one": measured(1), "other": measured(2)})
    keep(results, {"cores": 2}, "bbb", {"one": measured(3)})
    said = on_page(page, read(results))
    assert re.findall(r"at (aaa|bbb)|(\d) us", said) == [("bbb", ""), ("", "3"), ("aaa", ""), ("", "2")]
    assert said.startswith("before\n")
    assert said.endswith("after\n")
    assert "old" not in said
    assert on_page(said, read(results)) == said


def test_the_page_shows_the_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert on_page(page, read(RESULTS)) == page, "python -m benchmarks --keep writes both"


def test_strace_is_a_tool_that_may_be_missing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", place.memory)
    assert ALL["syscalls"](place) == []


STATS = """device proc mounted on /proc with fstype proc
device 10.0.1.1:/mnt/data mounted on /mnt/a with fstype nfs statvers=1.1
\topts:\trw,vers=3,rsize=262144
\tevents:\t9 7 0 0 2
\txprt:\ttcp 0 1 1 0 0 7 7 0 7 0 2 0 0
\tper-op statistics
\t        NULL: 1 1 0 44 24 1 0 1 0
\t     GETATTR: 0 0 0 0 0 0 0 0 0
\t     SYMLINK: 12 13 0 2400 3300 0 1 2 0

device 10.0.1.1:/mnt/data mounted on /mnt/other with fstype nfs4 statvers=1.1
\tper-op statistics
\t EXCHANGE_ID: 3 3 0 1 1 0 0 0 0
"""


def test_calls_to_a_server_are_read_from_mountstats() -> None:
    assert parse(STATS, "/mnt/a") == {"NULL": 1, "SYMLINK": 12}
    assert parse(STATS, "/mnt/other") == {"EXCHANGE_ID": 3}
    with pytest.raises(LookupError, match="/mnt/b"):
        parse(STATS, "/mnt/b")
