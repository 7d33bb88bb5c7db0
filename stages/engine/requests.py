"""An operator's wish to have a dataset tried again: a mark that the next sweep carries out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import assert_never

from stages.engine import names
from stages.engine.errors import UsageError
from stages.engine.fs import FileSystem
from stages.engine.layout import Passage
from stages.engine.quantities import moment
from stages.engine.records import Ended, EndKind
from stages.engine.registers import Registers
from stages.engine.state import Markers, read_markers
from stages.engine.whereabouts import alike

AT_THE_SWEEP = "at the next sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a request: `marked` tells whether anything will happen, `what` says what and when."""

    dataset: str
    marked: bool
    what: str


def matching(found: Sequence[str], wanted: str) -> tuple[list[str], bool]:
    """Return the names that are meant, sorted, and whether by a pattern; a name that exists is no pattern."""
    if wanted in found or not any(c in wanted for c in "*?["):
        return [wanted], False
    return sorted(name for name in found if fnmatchcase(name, wanted)), True


class Requests:
    """Puts retry marks for one stage."""

    def __init__(self, fs: FileSystem, passage: Passage, now: float) -> None:
        self._fs, self._passage, self._now = fs, passage, now
        self._registers = Registers(fs)

    def retry(self, wanted: Sequence[str]) -> list[Answer]:
        """Mark every dataset that is named. Raises UsageError before anything is marked."""
        at = self._passage.reads
        places = dict.fromkeys(filter(names.is_candidate, self._fs.listdir(at.path)), at.path)
        places |= dict.fromkeys(filter(names.is_candidate, self._fs.listdir(at.failed)), at.failed)
        chosen: dict[str, bool] = {}
        for word in wanted:
            found, by_pattern = matching([*places], word)
            for dataset in found:
                if dataset not in places:
                    raise self._unknown(dataset, [*places])
                chosen[dataset] = chosen.get(dataset, True) and by_pattern
            if not found:
                raise UsageError(
                    f"no dataset matches {word!r}", where=at.path, todo=f"phaseline status, or ls {at.failed}"
                )
        return [self.ask(places[dataset], dataset, spare=chosen[dataset]) for dataset in sorted(chosen)]

    def ask(self, base: str, dataset: str, *, spare: bool, mark: bool = True) -> Answer:
        """Mark one dataset that stands at `base`; with `spare` not what is under way, without `mark` only say so.

        Raises UsageError where one may not put a mark, FileNotFoundError when it is gone.
        """
        handle = self._fs.opendir(f"{base}/{dataset}")
        try:
            markers = read_markers(self._fs.listdir(handle), self._passage.stage, dataset)
            wish, what = self._consequence(handle, base, dataset, markers)
            if wish and spare and markers.latest and not markers.ended:
                return Answer(dataset=dataset, marked=False, what="under way: name it in full to give that attempt up")
            if wish and mark and markers.request is None:
                self._mark(handle, f"{base}/{dataset}")
            return Answer(dataset=dataset, marked=wish, what=what)
        finally:
            self._fs.close(handle)

    def _mark(self, handle: int, path: str) -> None:
        try:
            self._fs.close(self._fs.open_new(f"retry.{self._passage.stage}", handle))
        except FileExistsError:
            pass  # somebody else asked for it just now
        except PermissionError:
            raise UsageError("you may not put a mark here", where=path, todo=f"chmod g+rwxs {path}") from None

    def _consequence(self, handle: int, base: str, dataset: str, markers: Markers) -> tuple[bool, str]:
        """Whether a mark changes anything, and what happens next."""
        tag = names.tag(self._passage.stage, dataset)
        if not markers.latest:
            if base == self._passage.reads.failed:
                return True, f"never tried here: moved back to where it is claimed, {AT_THE_SWEEP}"
            return False, "never tried yet: the next poller takes it, no mark needed"
        if not markers.ended:
            owner = self._registers.taken(handle, tag, markers.latest)
            whose = "" if owner is None else f" on {owner.host}"
            return (
                True,
                f"attempt {markers.latest}, under way{whose}, is given up and the dataset tried again {AT_THE_SWEEP}",
            )
        end = self._registers.ended(handle, tag, markers.latest)
        if end is None:
            return False, "it changes just now: look again with `phaseline explain`"
        return self._after(end)

    def _after(self, end: Ended) -> tuple[bool, str]:
        match end.kind:
            case EndKind.QUARANTINE:
                return True, f"gets its whole budget back and returns from quarantine {AT_THE_SWEEP}"
            case EndKind.RETRY if end.not_before > self._now:
                until = moment(end.not_before)
                return True, f"gets its whole budget back and is tried {AT_THE_SWEEP}, not only after {until}"
            case EndKind.RETRY:
                return False, "waiting to be tried again already: the next poller takes it, no mark needed"
            case EndKind.PUBLISH:
                return False, "published, on its way to _done: there is nothing to retry"
            case _:
                assert_never(end.kind)

    def _unknown(self, dataset: str, known: Sequence[str]) -> UsageError:
        at, stage = self._passage.reads, self._passage.stage
        if any(name.startswith(f"{dataset}~") for name in self._fs.listdir(at.done)):
            return UsageError(
                f"{dataset!r} was published by {stage}: there is nothing to retry",
                todo=f"to process it once more: phaseline rerun {stage} {dataset}",
            )
        near = alike(dataset, known)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        return UsageError(
            f"{stage} has no dataset {dataset!r}",
            where=at.path,
            todo=f"{hint}`phaseline explain {dataset}` looks everywhere",
        )
