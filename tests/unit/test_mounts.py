"""Are a mount's options read, and is each judged as docs/storage.md says?"""

from __future__ import annotations

import re

import pytest

from stages.engine import mounts
from stages.engine.mounts import Mount, cache_seconds, find_mount, judge
from stages.engine.posix import Posix
from stages.engine.probes import Verdict
from tests.repository.checkout import ROOT

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 22 0:30 / /data rw,noatime shared:1 - nfs4 server:/data rw,vers=4.2,hard
32 22 0:31 / /data/a\040b rw shared:1 - nfs server:/old rw,vers=3,soft
33 22 0:32 / /data/a\040b rw shared:1 - nfs server:/new rw,vers=3,soft,lookupcache=positive
34 22 0:33 / /scratch rw - lustre mds:/x rw
nonsense
"""


def test_the_deepest_and_latest_mount_counts() -> None:
    def kind_at(path: str) -> tuple[str, str]:
        found = find_mount(MOUNTINFO, path)
        assert found is not None
        return found.point, found.kind

    assert kind_at("/datax/y") == ("/", "ext4")
    assert kind_at("/data") == ("/data", "nfs4")
    assert kind_at("/data/a b/root") == ("/data/a b", "nfs")
    newest = find_mount(MOUNTINFO, "/data/a b")
    assert newest is not None
    assert "lookupcache=positive" in newest.options
    assert mounts.mount_of(Posix(), "/") is not None


def mount(kind: str, options: str) -> Mount:
    return Mount(point="/data", kind=kind, options=frozenset(options.split(",")))


GOOD, NOTED, REFUSED = "good", "noted", "refused"


@pytest.mark.parametrize(
    ("kind", "options", "verdict", "said"),
    [
        ("ext4", "rw,relatime", GOOD, ""),
        ("xfs", "rw", GOOD, ""),
        ("tmpfs", "rw", GOOD, ""),
        ("ext4", "ro", REFUSED, "read-only"),
        ("nfs4", "rw,vers=4.2,hard", GOOD, ""),
        ("nfs4", "rw,vers=4.1,hard", GOOD, ""),
        ("nfs4", "rw,vers=4.0,hard", NOTED, "no sessions"),
        ("nfs", "rw,vers=3,hard,lookupcache=positive", GOOD, ""),
        ("nfs", "rw,vers=3,hard,lookupcache=pos", GOOD, ""),
        ("nfs", "rw,vers=3,hard", NOTED, "lookupcache=positive"),
        ("nfs", "rw,vers=3,hard,lookupcache=none", NOTED, "costs a call"),
        ("nfs4", "rw,vers=4.2,hard,noac", NOTED, "'noac' costs a call"),
        ("nfs4", "rw,vers=4.2,soft", REFUSED, "option 'soft': a call that gives up"),
        ("nfs4", "rw,vers=4.2,softerr", REFUSED, "option 'softerr': a call that gives up"),
        ("nfs4", "rw,vers=4.2,hard,nocto", REFUSED, "heartbeats stand still"),
        ("nfs", "rw,vers=3,hard,nolock,lookupcache=positive", GOOD, ""),
        ("lustre", "rw,flock", NOTED, "one MDT"),
        ("lustre", "rw,noflock", NOTED, "one MDT"),
        ("gpfs", "rw", NOTED, "exact mtime"),
        ("gpfs", "rw,nomtime", REFUSED, "'nomtime'"),
        ("beegfs", "rw", NOTED, "a symlink in several steps"),
        ("cifs", "rw,soft", NOTED, "nobody has tried cifs"),
        ("fuse.glusterfs", "rw", NOTED, "may both be refused"),
        ("fuse.sshfs", "rw", REFUSED, "an open directory is but a path"),
        ("fuse.something", "rw", NOTED, "nobody has tried fuse.something"),
        ("whatever", "rw", NOTED, "--storage --from-nodes"),
    ],
)
def test_a_mount_is_judged(kind: str, options: str, verdict: str, said: str) -> None:
    first, *others = judge(mount(kind, options))
    assert (first.verdict, first.detail.partition(" at ")[2][:5]) == (Verdict.OK, "/data")
    worst = {Verdict.REFUSED: REFUSED, Verdict.NOTE: NOTED}
    assert [worst[one.verdict] for one in others] == ([] if verdict == GOOD else [verdict])
    assert all(said in one.line for one in others)


def test_several_things_are_said_of_one_mount() -> None:
    said = [one.verdict for one in judge(mount("nfs", "ro,vers=3,soft,nocto"))]
    assert said == [Verdict.OK, Verdict.REFUSED, Verdict.REFUSED, Verdict.REFUSED, Verdict.NOTE]


@pytest.mark.parametrize(
    ("kind", "options", "seconds"),
    [
        ("ext4", "rw", 0.0),
        ("nfs4", "rw,vers=4.2", 60.0),
        ("nfs", "rw,acregmax=10,acdirmax=300", 300.0),
        ("nfs", "rw,actimeo=5", 5.0),
        ("nfs", "rw,noac,acdirmax=300", 0.0),
    ],
)
def test_how_long_a_client_may_keep_what_it_saw(kind: str, options: str, seconds: float) -> None:
    assert cache_seconds(mount(kind, options)) == seconds


def test_the_table_of_options_is_what_is_judged() -> None:
    """Each option that the page says not to use is refused, and no other is."""
    page = (ROOT / "docs" / "storage.md").read_text(encoding="utf-8")
    table = page.partition("## Mount options")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines() if "|" in line][2:]
    said = {option for row in rows if row[1] == "do not" for option in re.findall(r"`(\w+)`", row[0])}
    refused = {
        option
        for row in rows
        for option in re.findall(r"`(\w+)`", row[0])
        if any(one.verdict is Verdict.REFUSED for one in judge(mount("nfs4", f"rw,{option}")))
    }
    assert refused == said - {"async"}, "of the server's exports no client knows"
