"""Where the stack's files are: everything that it writes is below one directory, `.phaseline` of the clone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from infra.stack.errors import StackError

DEPLOYMENTS = "prefect.yaml"
POOLS = "work-pools"
DIRECTORY = ".phaseline"
VARIABLE = "PHASELINE_STACK"  # another directory than the clone's own, for tests and second stacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The clone, which is only read, and the stack's own directory."""

    clone: Path
    directory: Path

    @property
    def record(self) -> Path:
        """What was started here last, and how."""
        return self.directory / "stack.json"

    @property
    def lock(self) -> Path:
        """Held while somebody starts or ends something."""
        return self.directory / "lock"

    @property
    def logs(self) -> Path:
        """A file for each process."""
        return self.directory / "logs"

    @property
    def prefect_home(self) -> Path:
        """The server's database, and whatever Prefect keeps for its clients."""
        return self.directory / "prefect"

    @property
    def database(self) -> Path:
        """All that the server remembers; SQLite."""
        return self.prefect_home / "prefect.db"

    @property
    def temporary(self) -> Path:
        """TMPDIR of all that is started."""
        return self.directory / "tmp"

    @property
    def cache(self) -> Path:
        """XDG_CACHE_HOME of all that is started."""
        return self.directory / "cache"

    def log(self, name: str) -> Path:
        """Return where the output of one process goes."""
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Make the directories; nobody else has business there."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in (self.logs, self.prefect_home, self.temporary, self.cache):
            directory.mkdir(mode=0o700, exist_ok=True)


def find() -> Place:
    """Return the place of the clone that this code is in. Raises StackError where it is none."""
    clone = Path(__file__).resolve().parents[2]
    if not (clone / DEPLOYMENTS).is_file():
        raise StackError(f"there is no {DEPLOYMENTS} in {clone}: the stack needs a clone; cd there and `make up`")
    named = os.environ.get(VARIABLE)
    return Place(clone=clone, directory=Path(named).absolute() if named else clone / DIRECTORY)


def short(path: Path) -> str:
    """Return a path as one would type it here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
