"""Is a file system that cannot carry the protocol refused, with a reason, before anything is lost on it?"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.engine import creation, doctor, roots
from stages.engine.errors import CatalogError, NotARootError, StorageError
from stages.engine.layout import Root
from stages.engine.mounts import Mount
from stages.engine.posix import Posix
from stages.engine.probes import Verdict
from tests.fakes import EventfulFs, FakeClock
from tests.unit.chain import Chain


class Replacing(Posix):
    """A second symlink of one name replaces the first."""

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        if at is None and os.path.islink(name):
            os.unlink(name)
        super().symlink(value, name, at)


class Truncating(Posix):
    """A symlink's target is cut."""

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        super().symlink(value[:60], name, at)


class Merging(Posix):
    """A rename onto a directory that is not empty is carried out."""

    def rename(self, source: str, target: str) -> None:
        if os.path.isdir(target):
            super().remove_tree(target)
        super().rename(source, target)


class ByPath(Posix):
    """A handle means the path under which it was opened, not the directory."""

    def __init__(self) -> None:
        self._paths: dict[int, str] = {}

    def opendir(self, path: str) -> int:
        handle = super().opendir(path)
        self._paths[handle] = path
        return handle

    def symlink(self, value: str, name: str, at: int | None = None) -> None:
        super().symlink(value, name if at is None else f"{self._paths[at]}/{name}")


class Frozen(Posix):
    """No mtime ever moves."""

    def mtime_ns(self, path: str) -> int:
        return 0 * super().mtime_ns(path)


class ByWritingOnly(Posix):
    """An mtime moves with an entry, not by utime."""

    def touch(self, place: str | int) -> None:
        """Nothing."""


BROKEN: dict[str, tuple[Callable[[], Posix], str]] = {
    "exclusive symlink": (Replacing, "a second symlink of one name was not refused"),
    "exclusive symlink, whole": (Truncating, "a symlink's target is not what was written"),
    "rename onto a non-empty directory refused": (Merging, "was carried out"),
    "handles follow a rename": (ByPath, "does not stay with the directory"),
    "utime": (ByWritingOnly, "heartbeats would not be seen"),
    "an mtime that moves": (Frozen, "new datasets would not be seen"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_the_protocol_cannot_do_without_is_refused(tmp_path: Path, name: str) -> None:
    make, said = BROKEN[name]
    found = doctor.try_out(make(), FakeClock(), str(tmp_path))
    refused = {finding.probe: finding.detail for finding in found if finding.verdict is Verdict.REFUSED}
    assert said in refused[name.partition(",")[0]]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", BROKEN)
def test_no_root_is_made_there_not_even_half_of_one(tmp_path: Path, name: str) -> None:
    make, _ = BROKEN[name]
    with pytest.raises(doctor.UnfitRootError, match="use another file system"):
        creation.create(make(), FakeClock(), Root(str(tmp_path / "deep" / "root")), ["IN", "OUT"])
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_symlinks_is_refused(tmp_path: Path) -> None:
    fs = EventfulFs()
    fs.fail("symlink", "register", errno.EOPNOTSUPP)
    (found, *_) = doctor.try_out(fs, FakeClock(), str(tmp_path))
    assert (found.verdict, "not supported" in found.detail) == (Verdict.REFUSED, True)


def test_a_good_root_passes_and_nothing_is_left_behind(chain: Chain) -> None:
    found = doctor.examine(chain.fs, chain.clock, chain.root, chain.catalog.locations)
    assert {finding.verdict for finding in found} <= {Verdict.OK, Verdict.NOTE}
    everything = [path for path in Path(chain.root.path).rglob("*") if "probe" in path.name]
    assert everything == []


def test_a_clock_that_is_far_off_is_told(tmp_path: Path) -> None:
    found = {finding.probe: finding for finding in doctor.try_out(Posix(), FakeClock(), str(tmp_path))}
    assert (found["utime"].verdict, "from this host's" in found["utime"].detail) == (Verdict.NOTE, True)


def test_locations_on_different_devices_are_refused(chain: Chain) -> None:
    class TwoDevices(Posix):
        def device(self, path: str) -> int:
            return int("MID" in path)

    found = doctor.one_file_system(TwoDevices(), [chain.path("IN").as_posix(), chain.path("MID").as_posix()])
    assert found.verdict is Verdict.REFUSED
    assert found.detail == f"{chain.path('IN')} and {chain.path('MID')} are on different devices"


def test_a_quota_project_shows_only_when_something_is_moved(chain: Chain) -> None:
    def refuse() -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link", "from", None, "to")

    chain.fs.before("rename", "MID", refuse)
    with pytest.raises(doctor.UnfitRootError, match="cannot be moved to to: another quota project"):
        doctor.cheap(chain.fs, chain.root, chain.passage("first"))
    assert chain.ls("IN/_work") == []


def test_a_pollers_start_leaves_nothing_behind(chain: Chain) -> None:
    doctor.cheap(chain.fs, chain.root, chain.passage("first"))
    assert os.listdir(chain.path("IN/_work")) == []
    assert [name for name in os.listdir(chain.path("MID")) if name[0] != "_"] == []


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StorageError), (errno.EROFS, StorageError)])
def test_a_storage_that_fails_is_no_unfit_root(chain: Chain, number: int, kind: type[Exception]) -> None:
    chain.fs.fail("mkdir", "_work", number)
    with pytest.raises(kind, match="the storage failed"):
        doctor.cheap(chain.fs, chain.root, chain.passage("first"))


def test_a_place_where_one_may_not_write_is_named(chain: Chain) -> None:
    chain.fs.fail("mkdir", "MID/_failed", errno.EACCES)
    found = doctor.examine(chain.fs, chain.clock, chain.root, chain.catalog.locations)
    assert (found[0].probe, found[0].verdict) == ("write permission", Verdict.REFUSED)
    assert "MID/_failed" in found[0].detail
    assert "chmod g+rwxs" in found[0].todo


def test_a_root_is_made_once_and_completed_later(tmp_path: Path) -> None:
    root, fs, clock = Root(str(tmp_path / "root")), Posix(), FakeClock()
    assert len(creation.create(fs, clock, root, ["IN", "OUT"])) == 16
    assert creation.create(fs, clock, root, ["IN", "OUT"]) == []
    assert len(creation.create(fs, clock, root, ["IN", "OUT", "MORE"])) == 6
    assert os.readlink(root.protocol) == "protocol:1"
    assert (tmp_path / "root" / "IN" / "_work").stat().st_mode & 0o7777 == 0o2775
    roots.open_root(fs, root, ["IN", "OUT", "MORE"])


def test_a_file_in_the_way_of_a_root_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in ("file", "file/root"):
        with pytest.raises(NotARootError, match=str(tmp_path / path)):
            creation.create(Posix(), FakeClock(), Root(str(tmp_path / path)), ["IN", "OUT"])


def test_the_command_says_it_line_by_line(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert chain.phaseline("doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok       write permission: 22 directories"
    assert lines[-1] == f"{chain.root.path}: fit for phaseline"
    assert chain.json(capsys, "doctor")["fit"] is True
    chain.path("MID/_done").rmdir()
    assert chain.phaseline("init") == 0
    assert "1 directories made" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "is_network"),
    [("nfs4", True), ("lustre", True), ("fuse.sshfs", True), ("ext4", False), ("tmpfs", False), ("overlay", False)],
)
def test_a_short_lease_is_refused_on_a_network_file_system(chain: Chain, kind: str, is_network: bool) -> None:
    chain.write_stage("first", "IN", "MID", "[lease]\nheartbeat_seconds = 20\nexpires_seconds = 60\n")
    spec = chain.catalog.stage("first")
    mount = Mount(point="/data", kind=kind, options=frozenset())
    doctor.check_lease(spec, mount, allow_short=True)
    doctor.check_lease(spec, None, allow_short=False)
    doctor.check_lease(chain.catalog.stage("second"), mount, allow_short=False)
    if is_network:
        with pytest.raises(CatalogError, match=r"expires_seconds = 60 is too short.*120 is the smallest"):
            doctor.check_lease(spec, mount, allow_short=False)
    else:
        doctor.check_lease(spec, mount, allow_short=False)
