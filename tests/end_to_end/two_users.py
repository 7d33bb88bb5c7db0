"""Two ordinary users of one group on one root: run as root, or as root of a user namespace with subordinate ids.

    python -m tests.end_to_end.two_users DIRECTORY

Both add, poll and sweep; one takes over what the other one's killed poller held. Ends with 0 if all is as promised.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from stages.engine.posix import Posix
from tests.end_to_end.fleet import CHECKOUT, END_SECONDS, environment
from tests.invariants import Expectation, Stage, observe, violations
from tests.waiting import wait_until

GROUP, ALICE, BOB = 3000, 3001, 3002
FIRST, SECOND = "first", "second"
ATTEMPTS_MAX = 3
HOLDS = "holds"  # a dataset of this name keeps its first poller until that is killed

STAGE = """
title = "{name}"
reads = "{reads}"
writes = "{writes}"
[work]
callable = "stage:process"
[retry]
backoff_seconds = [0]
[lease]
heartbeat_seconds = 0.3
expires_seconds = 1.5
[output]
durability = "none"
"""
CODE = f"""
import threading
from stages.engine import Attempt

def process(attempt: Attempt) -> None:
    if attempt.dataset == {HOLDS!r} and attempt.stage == {SECOND!r} and attempt.number == 1:
        threading.Event().wait()
    (attempt.output / "deeper").mkdir(mode=0o700)
    for path in attempt.files:
        (attempt.output / "deeper" / path.name).write_text(path.read_text() + attempt.stage)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who types."""

    number: int
    top: Path

    def command(self, *words: str) -> list[str]:
        """Return a command as this user, with the group as the only one."""
        return [*become(self.number), "--pdeathsig", "KILL", sys.executable, "-m", "stages.engine", *words]

    def environment(self) -> dict[str, str]:
        """Return this user's environment."""
        more = {"PHASELINE_STAGES": str(self.top / "stages"), "HOME": str(self.top), "PYTHONDONTWRITEBYTECODE": "1"}
        return environment(self.top / "root", **more)

    def types(self, *words: str) -> str:
        """Type a command; returns what it prints."""
        done = subprocess.run(
            self.command(*words),
            env=self.environment(),
            cwd=self.top,
            umask=0o022,
            capture_output=True,
            text=True,
            timeout=END_SECONDS,
            check=False,
        )
        expect(done.returncode == 0, f"{self.number} typed {' '.join(words)}: {done.stderr}{done.stdout}")
        return done.stdout

    def starts(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a process that goes on."""
        return subprocess.Popen(
            self.command(*words), env=self.environment(), cwd=self.top, stderr=subprocess.DEVNULL, umask=0o022
        )


@cache
def become(number: int) -> list[str]:
    """Return how to be a user of the group.

    Where Python or this checkout lie in somebody's private home, the users may read there. It is writing that is on
    trial; that what is published can be read is seen from its permissions.
    """
    user = ["setpriv", f"--reuid={number}", f"--regid={GROUP}", "--clear-groups"]
    start = ["sh", "-c", 'exec "$0" -c "import stages.engine"', sys.executable]
    if (
        subprocess.run(
            [*user, *start], cwd="/", env={"PYTHONPATH": str(CHECKOUT)}, check=False, stderr=subprocess.DEVNULL
        ).returncode
        == 0
    ):
        return user
    return [*user, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def main(top: Path) -> None:
    """Let two users work on one root below `top`, an empty directory."""
    alice, bob = User(number=ALICE, top=top), User(number=BOB, top=top)
    prepare(top)
    alice.types("init")
    alice.types("add", FIRST, *sources(top, ALICE, "a1", "a2", HOLDS))
    bob.types("add", FIRST, *sources(top, BOB, "b1", "b2"))
    alice.types("poll", FIRST, "--until-idle", "--datasets", "2")
    bob.types("poll", FIRST, "--until-idle")
    take_over(top, killed=alice, heir=bob)
    without_permission(top, owner=alice, other=bob)
    alice.types("sweep")
    bob.types("poll", SECOND, "--until-idle")
    judge(top, ["a1", "a2", HOLDS, "b1", "b2"])


def prepare(top: Path) -> None:
    """Make two stages, and a root that the group may write."""
    for name, reads, writes in ((FIRST, "A", "B"), (SECOND, "B", "C")):
        (top / "stages" / name).mkdir(parents=True)
        (top / "stages" / name / "stage.toml").write_text(STAGE.format(name=name, reads=reads, writes=writes))
        (top / "stages" / name / "stage.py").write_text(CODE)
    (top / "root").mkdir()
    os.chown(top / "root", ALICE, GROUP)
    (top / "root").chmod(0o2775)


def sources(top: Path, owner: int, *names: str) -> list[str]:
    """Make what somebody adds: readable for all, writable for its owner alone."""
    made: list[str] = []
    for name in names:
        path = top / f"from-{owner}" / name
        path.mkdir(parents=True)
        (path / "text.txt").write_text(name)
        made.append(str(path))
    return made


def take_over(top: Path, *, killed: User, heir: User) -> None:
    """One user's poller is killed at work; the other one's sweeper and poller carry on."""
    held = killed.starts("poll", SECOND)
    taken = top / "root" / "B" / HOLDS / f"taken.{SECOND}.1"
    wait_until(taken.is_symlink, END_SECONDS, f"nobody took {HOLDS}")
    held.kill()
    held.wait(END_SECONDS)
    ended = top / "root" / "B" / HOLDS / f"ended.{SECOND}.1"

    def swept() -> bool:
        heir.types("sweep", SECOND)
        return ended.is_symlink()

    wait_until(swept, END_SECONDS, f"{HOLDS} was never requeued")
    expect(str(ended.readlink()).startswith("retry:-:0:1:0:lost"), f"requeued as {ended.readlink()}")
    heir.types("poll", SECOND, "--until-idle")


def without_permission(top: Path, *, owner: User, other: User) -> None:
    """A dataset that was moved in with a directory that the group may not write is said, and costs nothing."""
    path = top / "root" / "B" / "b9"
    path.mkdir()
    (path / "text.txt").write_text("b9")
    os.chown(path, owner.number, GROUP)
    path.chmod(0o755)
    other.types("poll", SECOND, "--until-idle")
    expect(sorted(os.listdir(path)) == ["text.txt"], f"somebody wrote into it: {os.listdir(path)}")
    facts = cast("dict[str, list[dict[str, object]]]", json.loads(other.types("status", "--json")))
    expect(facts["stages"][1]["no_permission"] == 1, f"status says {facts['stages'][1]}")
    expect(f"chmod g+rwxs {path}" in other.types("status"), "status does not say what to type")
    path.chmod(0o2775)
    other.types("poll", SECOND, "--until-idle")
    expect((top / "root" / "C" / "b9" / "manifest.json").is_file(), "b9 was not published")


def judge(top: Path, arrived: list[str]) -> None:
    """Everything is published, and every promise kept."""
    found = observe(Posix(), str(top / "root"), ["A", "B", "C"])
    stages = (
        Stage(name=FIRST, reads="A", writes="B", attempts_max=ATTEMPTS_MAX),
        Stage(name=SECOND, reads="B", writes="C", attempts_max=ATTEMPTS_MAX),
    )
    wrong = violations(found, Expectation(stages=stages, arrived={"A": arrived, "B": ["b9"]}, durable=False))
    expect(wrong == [], "\n".join(wrong))
    results = {path.name for path in (top / "root" / "C").iterdir() if path.name[0] != "_"}
    expect(results == {*arrived, "b9"}, f"published: {sorted(results)}")
    depths = {path.name: (path / "deeper").stat().st_mode & 0o7777 for path in (top / "root" / "C").glob("[a-z]*")}
    expect(all(mode & 0o2070 == 0o2070 for mode in depths.values()), f"closed to the group: {depths}")
    owners = {path.stat().st_uid for path in (top / "root" / "C").iterdir() if path.name in results}
    expect(BOB in owners, f"only {owners} published")


def expect(holds: object, otherwise: str) -> None:
    """End with 1, saying what is wrong, unless it holds."""
    if not holds:
        sys.exit(otherwise)


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    main(Path(sys.argv[1]))
