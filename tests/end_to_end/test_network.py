"""Pollers need no network: they carry datasets through in a network namespace without a single interface up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.end_to_end.fleet import END_SECONDS, environment, phaseline, type_in
from tests.end_to_end.means import need

NO_NETWORK = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


def alone(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where there is no network, not even loopback."""
    return subprocess.run(
        [*NO_NETWORK, *command],
        env=environment(root),
        capture_output=True,
        text=True,
        timeout=END_SECONDS,
        check=False,
    )


def test_a_poller_and_a_sweeper_need_no_network(tmp_path: Path) -> None:
    need([*NO_NETWORK, "true"], "a network namespace needs root, or user namespaces for everybody")
    root, source = tmp_path / "root", tmp_path / "ds"
    source.mkdir()
    (source / "a.txt").write_text("a")
    assert type_in(root, "init").returncode == 0
    assert type_in(root, "add", "copy", str(source)).returncode == 0
    connect = "import socket; socket.create_connection(('127.0.0.1', 9))"
    assert "Network is unreachable" in alone(root, sys.executable, "-c", connect).stderr  # this is what alone means
    polled = alone(root, *phaseline("poll", "copy", "--until-idle"))
    assert polled.returncode == 0, polled.stderr
    swept = alone(root, *phaseline("sweep"))
    assert swept.returncode == 0, swept.stderr
    assert (root / "COPIED" / "ds" / "manifest.json").is_file(), polled.stderr
