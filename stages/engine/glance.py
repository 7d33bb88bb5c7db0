"""One look at a dataset's directory, for people: through a handle, changing nothing."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from stages.engine import names
from stages.engine.errors import DamagedRegisterError
from stages.engine.fs import FileSystem
from stages.engine.inspection import Inspection
from stages.engine.layout import Passage
from stages.engine.records import EndKind, Taken
from stages.engine.registers import Registers
from stages.engine.standing import Look, Standing, judge
from stages.engine.state import read_markers


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """Where a dataset stands, and what that rests on; `owner` is that of the latest attempt, if one was read."""

    standing: Standing
    look: Look | None = None
    owner: Taken | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """Looks at the datasets of one stage. `now` in seconds since the epoch: good enough for people."""

    fs: FileSystem
    inspection: Inspection
    passage: Passage
    expires_seconds: float
    ready_marker: bool
    now: float

    def glance(self, path: str, dataset: str) -> Glance | None:
        """Look at a dataset that is not done. None: it is gone. What cannot be read is a standing, not an error."""
        broken = names.why_not(dataset)
        if broken is not None:
            return Glance(standing=Standing.NOT_A_DATASET, why=f"its name is not allowed: {broken}")
        handle = None
        try:
            handle = self.fs.opendir(path)
            return self._look(path, dataset, handle)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            return Glance(standing=Standing.NO_PERMISSION, why=str(error))
        except DamagedRegisterError as error:
            return Glance(standing=Standing.DAMAGED, why=f"{error.what}: {path}/{error.where}")
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                return Glance(standing=Standing.NOT_A_DATASET, why="a dataset is a real directory")
            raise
        finally:
            if handle is not None:
                self.fs.close(handle)

    def _look(self, path: str, dataset: str, handle: int) -> Glance:
        stage, found, registers = self.passage.stage, self.fs.listdir(handle), Registers(self.fs)
        markers, tag = read_markers(found, stage, dataset), names.tag(stage, dataset)
        end = registers.ended(handle, tag, markers.latest) if markers.ended else None
        owner = registers.taken(handle, tag, markers.latest) if markers.latest else None
        silent_seconds = None
        if end is None and owner is not None:
            private = self.passage.reads.attempt(names.Attempt(dataset, markers.latest, owner.token))
            silent_seconds = self.age(private)
        is_published = end is not None and end.kind is EndKind.PUBLISH
        look = Look(
            markers=markers,
            end=end,
            silent_seconds=silent_seconds,
            may_write=self.inspection.may_write(path),
            ready=not self.ready_marker or names.ready(stage) in found,
            in_the_way=is_published and _is_there(self.fs, self.passage.writes.dataset(dataset)),
        )
        standing = judge(look, now=self.now, expires_seconds=self.expires_seconds)
        return Glance(standing=standing, look=look, owner=owner)

    def age(self, path: str) -> float | None:
        """Return how long ago a directory changed, in seconds; None if it is not there."""
        try:
            return max(0.0, self.now - self.fs.mtime_ns(path) / 1e9)
        except (FileNotFoundError, NotADirectoryError):
            return None


def _is_there(fs: FileSystem, path: str) -> bool:
    try:
        fs.mtime_ns(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
