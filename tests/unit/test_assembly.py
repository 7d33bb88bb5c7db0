"""Do stage.toml and the environment reach the poller and the sweeper?"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from stages.engine import assembly
from stages.engine.drain import Drain
from stages.engine.durability import Durability
from stages.engine.store import Claim
from stages.engine.vigil import Limits
from tests.fakes import EDITION, FakeWork, Yard, identity


def test_a_manifest_says_who_made_it_and_with_what(yard: Yard) -> None:
    yard.add("ds1")
    yard.poller(FakeWork(), who=identity("node17.cluster", job="123.0")).poll()
    facts = json.loads((yard.b / "ds1" / "manifest.json").read_bytes())
    said = {key: facts[key] for key in ("stage", "host", "job", "code_version", "image")}
    assert said == {
        "stage": "first",
        "host": "node17.cluster",
        "job": "123.0",
        "code_version": "sha256:0123456789ab",
        "image": "phaseline-first:1",
    }


def test_what_a_register_has_no_room_for_fits_into_one_symlink_of_any_file_system(yard: Yard) -> None:
    yard.add("ds1")
    who = identity(f"{'n' * 63}.cluster", job="1234567890.1000")
    site = assembly.Site(fs=yard.fs, clock=yard.clock, identity=who, root=yard.root)
    digest = f"/h\u00f6her/phase4@sha256:{'0' * 64}"
    edition = assembly.Edition(code_version="v" * 300, image=f"/images/{'long' * 60}{digest}")
    claim = assembly.store(site, yard.spec, edition).claim("ds1")
    assert isinstance(claim, Claim)
    said = os.readlink(f"{claim.private}/attempt.json")
    yard.fs.close(claim.handle)
    assert len(os.fsencode(said)) < 1024
    assert json.loads(said)["image"].endswith(f"/h?her/phase4@sha256:{'0' * 64}")


def test_a_stages_settings_reach_its_store(yard: Yard) -> None:
    yard.table = {
        "retry": {"attempts_max": 7, "backoff_seconds": [1.0]},
        "output": {"durability": "full"},
        "arrival": {"ready_marker": True},
    }
    terms = yard.store().terms
    assert (terms.retry.attempts_max, terms.retry.backoff_seconds) == (7, (1.0,))
    assert (terms.durability, terms.ready_marker) == (Durability.FULL, True)


def test_requires_reach_the_poller(yard: Yard) -> None:
    yard.table = {"requires": ["*.npy"]}
    yard.add("ds1")
    yard.poller(FakeWork()).poll()
    assert yard.names("A/_failed") == ["ds1"]


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o660), (0o022, 0o640), (0o077, 0o600)])
def test_the_umask_bounds_what_the_group_may(yard: Yard, umask: int, mode: int) -> None:
    yard.add("ds1")

    before = os.umask(0o077)
    try:
        poller = assembly.poller(
            yard.site(),
            yard.spec,
            replace(EDITION, umask=umask),
            work=FakeWork(),
            limits=Limits(until_idle=True),
            drain=Drain(),
        )
        poller.poll()
    finally:
        os.umask(before)
    assert (yard.b / "ds1" / "result.txt").stat().st_mode & 0o777 == mode


def test_a_folders_version_follows_its_files(tmp_path: Path) -> None:
    (tmp_path / "stage.py").write_text("a = 1\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "more.py").write_text("b = 1\n")
    first = assembly.folder_version(str(tmp_path))
    assert first.startswith("sha256:")
    assert len(first) == len("sha256:") + 12
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "stage.pyc").write_bytes(b"x")
    os.utime(tmp_path / "stage.py", (1, 1))
    assert assembly.folder_version(str(tmp_path)) == first
    (tmp_path / "inner" / "more.py").write_text("b = 2\n")
    assert assembly.folder_version(str(tmp_path)) != first


def test_sweepers_know_the_stages_lease(yard: Yard) -> None:
    yard.table = {"lease": {"heartbeat_seconds": 1.0, "expires_seconds": 3.0}}
    yard.add("ds1")
    yard.fs.close(yard.claim("ds1").handle)
    sweeper = yard.sweeper()
    looks: list[str] = []
    for seconds in (0.0, 3.1, 1.6):
        yard.clock.advance(seconds)
        looks += [str(finding.action) for finding in sweeper.sweep().findings]
    assert looks == ["suspected", "requeued"]
