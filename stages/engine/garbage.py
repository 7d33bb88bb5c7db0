"""What attempts leave behind in `_work`: removed only once the dataset's own register says why."""

from __future__ import annotations

from contextlib import suppress

from stages.engine import archive, names
from stages.engine.finding import Action, Finding
from stages.engine.records import Ended, EndKind
from stages.engine.settlement import Settled
from stages.engine.store import Store

TRASH_SECONDS = 7 * 86400.0  # an unknown attempt without output goes to _trash after this


class Garbage:
    """Collects the private places of one stage's attempts."""

    def __init__(self, store: Store) -> None:
        self._store, self._at = store, store.passage.reads

    def collect(self, directory: str, *, is_seen: bool) -> tuple[bool, Finding | None]:
        """Look at one entry of `_work`: is it explained by a dataset where one usually is, and what was done.

        Acts only if that very dataset's register carries this attempt's token; anything else stays. `is_seen`: this
        pass has found the attempt unfinished in its dataset's listing.
        """
        attempt = names.parse_attempt(directory)
        if attempt is None:
            return True, self._unknown(directory, "its name is no attempt's")
        at = self._at
        for place in (at.path, at.failed):
            known, finding = self._collect_for(attempt, f"{place}/{attempt.dataset}", is_seen=is_seen)
            if known:
                return True, finding
        return self._collect_for(attempt, f"{at.done}/{attempt.archived}", is_seen=is_seen)

    def collect_archived(self, directory: str, archived: dict[str, list[str]]) -> Finding | None:
        """Look at an entry that `collect` could not explain; `archived` is the whole of `_done` by dataset."""
        attempt = names.parse_attempt(directory)
        if attempt is not None:
            for name in archived.get(attempt.dataset, []):
                known, finding = self._collect_for(attempt, f"{self._at.done}/{name}", is_seen=True)
                if known:
                    return finding
        return self._unknown(directory, "no dataset says what became of it")

    def _collect_for(self, attempt: names.Attempt, place: str, *, is_seen: bool) -> tuple[bool, Finding | None]:
        """Is this the attempt's dataset, and what was done then."""
        store = self._store
        try:
            handle = store.fs.opendir(place)
        except (FileNotFoundError, NotADirectoryError):
            return False, None
        try:
            tag = names.tag(store.passage.stage, attempt.dataset)
            owner = store.registers.taken(handle, tag, attempt.number)
            if owner is None or owner.token != attempt.token:
                return False, None  # another dataset of that name
            end = store.registers.ended(handle, tag, attempt.number)
            if end is None and not is_seen:
                # A claim rings no bell: one that fell into the tick of a listing is hidden from this client for ever.
                with suppress(OSError):
                    store.fs.touch(handle)
            return True, None if end is None else self._remove(attempt, handle, end)
        finally:
            store.fs.close(handle)

    def _remove(self, attempt: names.Attempt, handle: int, end: Ended) -> Finding | None:
        private = self._at.attempt(attempt)
        try:
            self._store.fs.mtime_ns(private)
        except FileNotFoundError:
            return None  # settled since it was listed, mostly by this very pass
        if end.kind is EndKind.PUBLISH:
            if self._store.settlement.roll_forward(handle, attempt) is Settled.PUBLISHED:
                return Finding(dataset=attempt.dataset, action=Action.PUBLISHED, where=private)
            return None  # blocked: said of the dataset already
        if self._store.fs.remove_tree(private):
            return Finding(dataset=attempt.dataset, action=Action.CLEANED, where=private)
        why = "what an ended attempt left cannot be removed by this user: let its owner sweep, or chmod it"
        return Finding(dataset=attempt.dataset, action=Action.NO_PERMISSION, where=private, why=why)

    def _unknown(self, directory: str, why: str) -> Finding | None:
        """Only a person may part with an unknown attempt that has output."""
        fs, private = self._store.fs, f"{self._at.work}/{directory}"
        if directory.startswith("."):
            return None  # a probe
        try:
            age_seconds = self._store.clock.now() - fs.mtime_ns(private) / 1e9
            if names.OUTPUT not in fs.listdir(private) and age_seconds > TRASH_SECONDS:
                fs.rename(private, f"{self._at.trash}/{directory}")
                return Finding(dataset=directory, action=Action.CLEANED, where=f"{self._at.trash}/{directory}")
        except OSError as error:
            why = f"{why} ({error.strerror})"
        return Finding(dataset=directory, action=Action.UNKNOWN_ATTEMPT, where=private, why=why)


def by_dataset(listing: list[str]) -> dict[str, list[str]]:
    """Order the names in `_done` by dataset."""
    found: dict[str, list[str]] = {}
    for entry in archive.archived(listing):
        found.setdefault(entry.dataset, []).append(entry.name)
    return found
