"""What the sweeps of one stage on one boot leave for each other, on disk (PROTOCOL 3, STALE)."""

from __future__ import annotations

from dataclasses import dataclass

from loguru import logger

from stages.engine import sightings
from stages.engine.clock import Clock
from stages.engine.fs import FileSystem
from stages.engine.layout import Root
from stages.engine.sightings import Sightings


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Hints only: lost, or overwritten by a sweep beside, they cost a lease, and that something is reported twice."""

    fs: FileSystem
    clock: Clock
    root: Root
    stage: str
    boot_id: str

    def recall(self) -> Sightings:
        """Return what was written last; never seen, if that cannot be used."""
        return sightings.load(self.fs, self._path, boot_id=self.boot_id, now=self.clock.monotonic())

    def keep(self, seen: Sightings) -> None:
        """Write it down, whole; a sweep whose memory cannot be written has still done its work."""
        try:
            sightings.save(seen, self.fs, self._path, boot_id=self.boot_id, now=self.clock.monotonic())
        except OSError as error:
            logger.error("{} cannot be written ({}): every lease begins anew", self._path, error.strerror)

    @property
    def _path(self) -> str:
        return self.root.sightings(self.boot_id, self.stage)
