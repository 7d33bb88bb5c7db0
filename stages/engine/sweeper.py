"""The sweeper: find stale, retry-marked and half-finished datasets; put each where its markers say.

`survey` names what is worth opening, `mend` opens it and puts it right, `conclude` sums up: a caller may spread
the targets over threads. All of it may be done any number of times, beside any pollers and other sweepers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from loguru import logger

from stages.engine import holders, names
from stages.engine.errors import DamagedRegisterError, StorageError
from stages.engine.finding import Action, Finding
from stages.engine.garbage import Garbage, by_dataset
from stages.engine.mender import Mender
from stages.engine.owner import Owners
from stages.engine.records import is_earlier_start, is_first_start
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
class Survey:
    """What one pass is to open; `full` tells that it is every dataset. `begun` in seconds of the monotonic clock."""

    targets: tuple[Target, ...]
    full: bool
    begun: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one pass over a stage did; `full` tells that every dataset was opened.

    `quarantined` names all that stand in quarantine after it, whoever put them there.
    """

    stage: str
    full: bool
    opened: int
    findings: tuple[Finding, ...]
    seconds: float
    quarantined: frozenset[str] = frozenset()

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
        survey = self.survey(full=full)
        return self.conclude(survey, self.mend(survey.targets, full=survey.full))

    def survey(self, *, full: bool | None = None) -> Survey:
        """Begin a pass: list what is worth opening now; nothing is opened. Raises StorageError."""
        begun, self._archived = self._store.clock.monotonic(), None
        self._mender.begin()
        fs, at = self._store.fs, self._at
        try:
            working = sorted(fs.listdir(at.work))
            failed = sorted(filter(names.is_candidate, fs.listdir(at.failed)))
            waiting = sorted(filter(names.is_candidate, fs.listdir(at.path)))
            many = len(waiting) > MANY
            self._ring_locations(many=many)
        except OSError as error:
            raise storage_error(error) from error
        full = self._is_full_due(many=many) if full is None else full
        if not full:
            attempts = map(names.parse_attempt, {*working, *self.sightings.attempts})
            known = {attempt.dataset for attempt in attempts if attempt is not None}
            known |= self.sightings.backing_off.keys() | self.sightings.troubles.keys()
            waiting = [name for name in waiting if name in known]
        targets = [Target(Place.WAITING, name) for name in waiting]
        targets += [Target(Place.FAILED, name) for name in failed]
        targets += [Target(Place.WORK, name) for name in working]
        return Survey(targets=tuple(targets), full=full, begun=begun)

    def jobs(self, survey: Survey) -> set[str]:
        """Return the jobs that hold what is to be opened, for one question about all of them; a look at each claim."""
        working = {target.name for target in survey.targets if target.place is Place.WORK}
        holding = holders.held(self._store, working | self.sightings.attempts.keys())
        return {owner.job for _, owner in holding} - {holders.NO_JOB}

    def end_former(self, job: str) -> list[Finding]:
        """End at once what earlier starts of the job that this process runs in hold. Raises StorageError."""
        if is_first_start(job):
            return []
        try:
            working = sorted(self._store.fs.listdir(self._at.work))
        except OSError as error:
            raise storage_error(error) from error
        self._mender.begin()
        holding = holders.held(self._store, working)
        former = [attempt.dataset for attempt, owner in holding if is_earlier_start(owner.job, job)]
        return self.mend([Target(Place.WAITING, dataset) for dataset in former], full=False)

    def mend(self, targets: Iterable[Target], *, full: bool) -> list[Finding]:
        """Open targets and put each right; what cannot be helped is a finding, never an exception.

        Several threads may each mend a part of one survey, those of one dataset in one part: what they share
        is kept by dataset or attempt.
        """
        found = (self._mend(target, full=full) for target in targets)
        return [finding for finding in found if finding is not None]

    def conclude(self, survey: Survey, findings: Sequence[Finding]) -> Report:
        """End a pass that has mended everything of its survey: remember it, and say what was done."""
        if survey.full:
            self.sightings.last_full = survey.begun
            self.sightings.keep(self._mender.in_flight)
        quarantined = {target.name for target in survey.targets if target.place is Place.FAILED}
        quarantined |= {finding.dataset for finding in findings if finding.action is Action.QUARANTINED}
        return Report(
            stage=self.stage,
            full=survey.full,
            opened=len(survey.targets),
            findings=tuple(findings),
            seconds=self._store.clock.monotonic() - survey.begun,
            quarantined=frozenset(quarantined - self._mender.returned),
        )

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
                is_seen = target.name in self._mender.in_flight
                explained, finding = self._garbage.collect(target.name, is_seen=is_seen)
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
