"""The sweeper: find stale, retry-marked and half-finished datasets; put each where its markers say.

`survey` names what is worth opening, `mend` opens it and puts it right, target by target: a caller may
spread the targets. All of it may be done any number of times, beside any pollers and other sweepers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from loguru import logger

from stages.engine import names
from stages.engine.errors import DamagedRegisterError, StorageError
from stages.engine.finding import Action, Finding
from stages.engine.garbage import Garbage, by_dataset
from stages.engine.mender import Mender
from stages.engine.owner import Owners
from stages.engine.sightings import Sightings
from stages.engine.store import Store, storage_error

MANY = 10_000  # entries: above this a full pass is made now and then only
FULL_PASS_SECONDS = 600.0
BELL_SECONDS = 60.0
BELL_SECONDS_MANY = 600.0


class Place(StrEnum):
    """Where a target was seen."""

    WAITING = "waiting"
    FAILED = "_failed"
    WORK = "_work"


class Target(NamedTuple):
    """Something worth opening."""

    place: Place
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one pass over a stage did; `full` tells that every dataset was opened."""

    stage: str
    full: bool
    opened: int
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def damaged(self) -> bool:
        """Whether something stands where a marker belongs that nobody of ours wrote."""
        return any(finding.action in (Action.DAMAGED, Action.NOT_A_DATASET) for finding in self.findings)


class Sweeper:
    """Sweeps one stage."""

    def __init__(self, *, store: Store, owners: Owners, sightings: Sightings) -> None:
        self._store, self._at, self.sightings = store, store.passage.reads, sightings
        self._mender = Mender(store, owners, sightings)
        self._garbage = Garbage(store)
        self._archived: dict[str, list[str]] | None = None

    @property
    def stage(self) -> str:
        """The stage that is swept."""
        return self._store.passage.stage

    def sweep(self, *, full: bool | None = None) -> Report:
        """Make one pass. `full` None: every dataset is opened where they are few, now and then where many.

        Raises StorageError when the location itself cannot be read.
        """
        begun = self._store.clock.monotonic()
        self._mender.in_flight.clear()
        try:
            targets, full = self.survey(full=full)
        except OSError as error:
            raise storage_error(error) from error
        findings = self.mend(targets, full=full)
        if full:
            self.sightings.last_full = begun
            self.sightings.keep(self._mender.in_flight)
        seconds = self._store.clock.monotonic() - begun
        return Report(
            stage=self.stage,
            full=full,
            opened=len(targets),
            findings=tuple(findings),
            seconds=seconds,
        )

    def survey(self, *, full: bool | None = None) -> tuple[list[Target], bool]:
        """List what is worth opening now, and whether that is everything; nothing is opened."""
        fs, at = self._store.fs, self._at
        working = sorted(fs.listdir(at.work))
        failed = sorted(filter(names.is_candidate, fs.listdir(at.failed)))
        waiting = sorted(filter(names.is_candidate, fs.listdir(at.path)))
        many = len(waiting) > MANY
        self._ring_locations(many=many)
        full = self._is_full_due(many=many) if full is None else full
        if not full:
            attempts = map(names.parse_attempt, {*working, *self.sightings.attempts})
            known = {attempt.dataset for attempt in attempts if attempt is not None}
            known |= self.sightings.backing_off.keys() | self.sightings.troubles.keys()
            waiting = [name for name in waiting if name in known]
        targets = [Target(Place.WAITING, name) for name in waiting]
        targets += [Target(Place.FAILED, name) for name in failed]
        targets += [Target(Place.WORK, name) for name in working]
        return targets, full

    def mend(self, targets: Iterable[Target], *, full: bool) -> list[Finding]:
        """Open targets and put each right; what cannot be helped is a finding, never an exception."""
        self._archived = None
        found = (self._mend(target, full=full) for target in targets)
        return [finding for finding in found if finding is not None]

    def _mend(self, target: Target, *, full: bool) -> Finding | None:
        try:
            finding = self._open(target, full=full)
        except FileNotFoundError:
            return None  # moved meanwhile: the next sweep sees it where it is
        except PermissionError as error:
            finding = self._trouble(target, Action.NO_PERMISSION, str(error))
        except NotADirectoryError:
            finding = self._trouble(target, Action.NOT_A_DATASET, "a dataset is a real directory")
        except DamagedRegisterError as error:
            finding = self._trouble(target, Action.DAMAGED, str(error))
        except (OSError, StorageError) as error:
            finding = self._trouble(target, Action.STORAGE, str(error))
        if finding is not None:
            said = logger.bind(dataset=finding.dataset)
            said.log("WARNING" if finding.action.needs_a_person else "INFO", "{} {}", finding.action, finding.why)
        return finding

    def _open(self, target: Target, *, full: bool) -> Finding | None:
        match target.place:
            case Place.WAITING:
                broken = names.why_not(target.name)
                if broken is not None:
                    return self._trouble(target, Action.NOT_A_DATASET, f"{broken}: rename it")
                return self._mender.mend(self._at.path, target.name)
            case Place.FAILED:
                return self._mender.mend(self._at.failed, target.name)
            case Place.WORK:
                explained, finding = self._garbage.collect(target.name)
                return finding if explained or not full else self._collect_archived(target.name)

    def _collect_archived(self, directory: str) -> Finding | None:
        """Only what no waiting dataset explains makes a sweep list `_done`, and once."""
        if self._archived is None:
            self._archived = by_dataset(self._store.fs.listdir(self._at.done))
        return self._garbage.collect_archived(directory, self._archived)

    def _trouble(self, target: Target, action: Action, why: str) -> Finding:
        where = {Place.WAITING: self._at.path, Place.FAILED: self._at.failed, Place.WORK: self._at.work}[target.place]
        if target.place is Place.WAITING:
            self.sightings.troubles[target.name] = action
        return Finding(dataset=target.name, action=action, where=f"{where}/{target.name}", why=why)

    def _is_full_due(self, *, many: bool) -> bool:
        last = self.sightings.last_full
        return not many or last is None or self._store.clock.monotonic() - last >= FULL_PASS_SECONDS

    def _ring_locations(self, *, many: bool) -> None:
        """Make every client's caches ask the server again (PROTOCOL 3, BELL)."""
        now, last = self._store.clock.monotonic(), self.sightings.last_bell
        if last is not None and now - last < (BELL_SECONDS_MANY if many else BELL_SECONDS):
            return
        self.sightings.last_bell = now
        for path in (self._at.path, self._at.work):
            try:
                self._store.fs.touch(path)
            except PermissionError:
                logger.warning("no permission to touch {}: the bell stays silent", path)
