"""Two ordinary users in one group share a root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.fleet import CHECKOUT
from tests.end_to_end.means import need

LIMIT_SECONDS = 240.0
TWO_USERS = "two users need root, or user namespaces with subordinate ids: apt-get install uidmap, see subuid(5)"


@pytest.fixture
def top() -> Iterator[Path]:
    """Return a directory that every user may enter, as pytest's own may not."""
    path = Path(tempfile.mkdtemp(prefix="phaseline-two-users-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def as_root() -> list[str]:
    """Return how to be root over several users: really, or in a user namespace of our own."""
    return [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--map-auto", "--"]


def test_two_users_carry_each_others_datasets(top: Path) -> None:
    need([*as_root(), "setpriv", "--reuid=3001", "true"], TWO_USERS)
    driver = [*as_root(), sys.executable, "-m", "tests.end_to_end.two_users", str(top)]
    done = subprocess.run(driver, cwd=CHECKOUT, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    if os.geteuid() != 0:  # what the others own only they may remove
        subprocess.run([*as_root(), "rm", "-rf", str(top)], check=True)
