"""Does a directory become a dataset whole, under a name used once, whatever breaks off?"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from stages.engine.arrivals import Arrival, Arrivals, Terms
from stages.engine.durability import Durability
from stages.engine.errors import UsageError
from tests.fakes import EventfulFs
from tests.unit.chain import Chain


class Crash(BaseException):
    """The process ends here."""


def crash() -> None:
    raise Crash


def arrivals(chain: Chain, *, ready: bool = False, durability: Durability = Durability.FULL) -> Arrivals:
    terms = Terms(who="ada", durability=durability, ready_marker=ready)
    return Arrivals(chain.fs, chain.root, chain.passage("first"), terms)


def add(chain: Chain, source: Path, *, token: str = "00000001", move: bool = False) -> Arrival:
    return arrivals(chain).add(str(source), source.name, token=token, move=move)


def content(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()}


WHOLE = {"a.txt": "hello", "sub/b.txt": "hello"}


@pytest.mark.parametrize("move", [False, True])
def test_a_directory_becomes_a_dataset(chain: Chain, move: bool) -> None:
    source = chain.source("ds1")
    source.joinpath("sub", "link").symlink_to("../a.txt")
    arrival = add(chain, source, move=move)
    assert (arrival.dataset, arrival.files, arrival.size, arrival.resumed) == ("ds1", 3, 10, False)
    assert content(chain.path("IN/ds1")) == {**WHOLE, "sub/link": "hello"}
    assert os.readlink(chain.path("IN/ds1/sub/link")) == "../a.txt"
    assert os.readlink(chain.path("_names/ds1")) == "first:00000001:ada"
    assert chain.ls("IN/_incoming") == []
    assert source.exists() is not move


@pytest.mark.parametrize("move", [False, True])
def test_the_group_may_work_on_it(chain: Chain, move: bool) -> None:
    source = chain.source("ds1")
    source.joinpath("a.txt").chmod(0o400)
    source.chmod(0o700)
    add(chain, source, move=move)
    modes = {name: stat.S_IMODE(chain.path(f"IN/ds1{name}").stat().st_mode) for name in ("", "/sub", "/a.txt")}
    assert modes[""] & 0o2770 == 0o2770
    assert modes["/sub"] & 0o2770 == 0o2770
    assert modes["/a.txt"] & 0o660 == 0o660


def test_a_name_is_given_out_once(chain: Chain) -> None:
    source = chain.source("ds1")
    add(chain, source)
    chain.poll("first")
    with pytest.raises(UsageError, match=r"'ds1' was given out before, to first by ada.*rerun first ds1.*--as NAME"):
        add(chain, source)


def test_what_was_put_there_by_hand_is_not_replaced(chain: Chain) -> None:
    chain.put("ds1")
    with pytest.raises(UsageError, match="a dataset 'ds1' stands there already"):
        add(chain, chain.source("ds1"))
    assert not chain.path("_names/ds1").is_symlink()


@pytest.mark.parametrize("place", ["IN/_failed/ds1", "IN/_done/ds1~00000009"])
def test_nor_what_has_left_already(chain: Chain, place: str) -> None:
    chain.put("ds1").rename(chain.path(place))
    with pytest.raises(UsageError, match="a dataset 'ds1' stands there already"):
        add(chain, chain.source("ds1"))


@pytest.mark.parametrize("move", [False, True])
@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("rename", "_incoming/ds1.00000001"),
        ("symlink", "_names/ds1"),
        ("rename", "IN/ds1"),
        ("sync", "_names"),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_typed_again_after_a_crash_it_is_finished(
    chain: Chain, move: bool, method: str, where: str, after: bool
) -> None:
    source = chain.source("ds1")
    (chain.fs.after if after else chain.fs.before)(method, where, crash)
    with pytest.raises(Crash):
        add(chain, source, move=move)
    chain.fs.calm()
    if not chain.path("IN/ds1").exists():
        add(chain, source, token="00000002", move=move)
    assert content(chain.path("IN/ds1")) == WHOLE
    assert source.exists() is not move


def test_a_copy_that_broke_off_is_never_taken_for_a_dataset(chain: Chain) -> None:
    source = chain.source("ds1")
    chain.fs.before("copy", "b.txt", crash)
    with pytest.raises(Crash):
        add(chain, source)
    chain.fs.calm()
    assert chain.ls("IN/_incoming") == ["ds1.00000001.part"]
    assert not add(chain, source, token="00000002").resumed
    assert content(chain.path("IN/ds1")) == WHOLE


def test_a_copy_that_fails_leaves_nothing(chain: Chain) -> None:
    chain.fs.fail("copy", "b.txt", errno.ENOSPC)
    with pytest.raises(OSError, match="No space"):
        add(chain, chain.source("ds1"))
    assert (chain.ls("IN/_incoming"), chain.path("_names/ds1").is_symlink()) == ([], False)


def test_a_lost_reply_to_the_last_rename_is_success(chain: Chain) -> None:
    chain.fs.lose_reply("rename", "IN/ds1", errno.ENOENT)
    assert add(chain, chain.source("ds1")).dataset == "ds1"


@pytest.mark.parametrize("move", [False, True])
def test_of_two_who_take_a_name_at_once_one_keeps_everything(chain: Chain, move: bool) -> None:
    source = chain.source("ds1")
    name = chain.path("_names/ds1")
    chain.fs.before("symlink", "_names/ds1", lambda: name.symlink_to("first:00000009:bob"))
    with pytest.raises(UsageError, match="given out before, to first by bob"):
        add(chain, source, move=move)
    assert content(source) == WHOLE
    assert (chain.ls("IN"), chain.ls("IN/_incoming")) == ([], [])


def test_moving_from_another_file_system_is_refused(chain: Chain) -> None:
    source = chain.source("ds1")
    chain.fs.fail("rename", "_incoming", errno.EXDEV)
    with pytest.raises(UsageError, match=r"another file system.*without --move"):
        add(chain, source, move=True)
    assert content(source) == WHOLE


def test_a_stage_that_waits_for_a_ready_marker_gets_one(chain: Chain) -> None:
    source = chain.source("ds1")
    arrival = arrivals(chain, ready=True).add(str(source), "ds1", token="00000001")
    assert chain.path("IN/ds1/ready.first").exists()
    assert arrival.files == 2


@pytest.mark.parametrize(
    ("durability", "synced"),
    [(Durability.FULL, {"a.txt", "b.txt", "sub", "part", "_names", "IN"}), (Durability.NONE, set[str]())],
)
def test_it_is_as_durable_as_the_stage_wants(
    chain: Chain, durability: Durability, synced: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()

    class Noting(EventfulFs):
        def sync(self, place: str | int) -> None:
            seen.add(str(place).rpartition("/")[2].rpartition("00000001.")[2])

    monkeypatch.setattr(chain, "fs", Noting())
    arrivals(chain, durability=durability).add(str(chain.source("ds1")), "ds1", token="00000001")
    assert seen == synced


def test_a_result_brought_in_again_keeps_its_history(chain: Chain) -> None:
    chain.put("ds1")
    chain.poll("first")
    arrivals(chain).add(str(chain.path("MID/ds1")), "again", token="00000001")
    assert chain.path("IN/again/manifest.json").read_bytes() == chain.path("MID/ds1/manifest.json").read_bytes()


def test_the_command_prints_a_line_for_each(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [str(chain.source(name)) for name in ("ds1", "ds2")]
    assert chain.phaseline("add", "first", *sources) == 0
    assert capsys.readouterr().out == "added ds1 to IN (2 files, 10 B)\nadded ds2 to IN (2 files, 10 B)\n"
    assert chain.phaseline("add", "second", sources[0], "--as", "other", "--json") == 0
    assert '"dataset": "other"' in capsys.readouterr().out
    assert chain.ls("MID") == ["other"]
