"""Datasets of one stage brought back by the state that they are in, so many at once."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from stages.engine import archive, names
from stages.engine.archive import Archived
from stages.engine.condition import Condition
from stages.engine.errors import PhaselineError, UsageError
from stages.engine.fs import FileSystem
from stages.engine.history import latest_end
from stages.engine.layout import Passage, Root
from stages.engine.records import EndKind
from stages.engine.requests import Requests, matching
from stages.engine.reruns import choose, rerun
from stages.engine.state import read_markers
from stages.engine.whereabouts import alike


class Verdict(StrEnum):
    """What came of one dataset."""

    BROUGHT_BACK = "brought back"
    NOTHING_TO_DO = "nothing to do"
    LEFT = "left"  # as many are unfinished as may be
    REFUSED = "refused"  # it cannot be: a person has to do something first


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One dataset, what came of it, and what happens next, in words."""

    dataset: str
    verdict: Verdict
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A dataset in the state that was asked for; `base` is the directory that it stands in."""

    dataset: str
    base: str
    entry: Archived | None = None


class Backfill:
    """Brings datasets back to one stage; `who` stands in the registers of names. `now` in seconds since the epoch.

    It may be broken off anywhere, and done twice: who waits already is left as it is.
    """

    def __init__(self, fs: FileSystem, root: Root, passage: Passage, *, now: float, who: str) -> None:
        self._fs, self._root, self._passage, self._now, self._who = fs, root, passage, now, who
        self._requests = Requests(fs, passage, now)

    def candidates(self, wanted: Sequence[str], state: Condition) -> list[Candidate]:
        """Return the datasets of that state that names and patterns mean, in the order in which they come back.

        Raises UsageError for a word that means none of them.
        """
        chosen: dict[str, Candidate] = {}
        for word in wanted:
            found = self._meant(word, state)
            if not found:
                raise self._nothing(word, state)
            chosen |= {one.dataset: one for one in found}
        # What was processed once only goes first: a backfill that is capped gets through by being repeated.
        return sorted(chosen.values(), key=lambda one: (names.generation(one.dataset).number, one.dataset))

    def unfinished(self) -> set[str]:
        """Return what a person had brought back to this stage, and is neither published nor in quarantine since.

        That is: a generation from the second on, or a retry mark, carried out or not. Opens all that wait.
        """
        at, stage = self._passage.reads, self._passage.stage
        found: set[str] = set()
        for base in (at.path, at.failed):
            for dataset in filter(names.is_candidate, self._fs.listdir(base)):
                if base == at.path and names.generation(dataset).number > 1:
                    found.add(dataset)
                    continue
                inside = self._inside(f"{base}/{dataset}")
                asked = read_markers(inside, stage, dataset).request is not None
                history = f"retry.{names.tag(stage, dataset)}."
                if asked or (base == at.path and any(name.startswith(history) for name in inside)):
                    found.add(dataset)
        return found

    def bring_back(
        self, candidates: Iterable[Candidate], *, limit: int | None = None, dry: bool = False
    ) -> list[Outcome]:
        """Bring back so many that at most `limit` are unfinished in this stage, those of before included.

        With `dry` nothing is changed, and what would happen is told. What one dataset refuses is its outcome.
        """
        unfinished = set[str]() if limit is None else self.unfinished()
        found: list[Outcome] = []
        for one in candidates:
            if limit is not None and one.dataset not in unfinished and len(unfinished) >= limit:
                what = f"{len(unfinished)} are unfinished, {limit} may be: ask again later"
                found.append(Outcome(dataset=one.dataset, verdict=Verdict.LEFT, what=what))
                continue
            found.append(self._bring_back(one, dry=dry))
            if found[-1].verdict is Verdict.BROUGHT_BACK:
                unfinished.add(one.dataset)
        return found

    def _bring_back(self, one: Candidate, *, dry: bool) -> Outcome:
        try:
            if one.entry is not None:
                what = self._again(one.entry, dry=dry)
                return Outcome(dataset=one.dataset, verdict=Verdict.BROUGHT_BACK, what=what)
            answer = self._requests.ask(one.base, one.dataset, spare=True, mark=not dry)
        except FileNotFoundError:
            return Outcome(dataset=one.dataset, verdict=Verdict.NOTHING_TO_DO, what="it has moved on meanwhile")
        except (PhaselineError, OSError) as error:
            return Outcome(dataset=one.dataset, verdict=Verdict.REFUSED, what=str(error))
        verdict = Verdict.BROUGHT_BACK if answer.marked else Verdict.NOTHING_TO_DO
        return Outcome(dataset=one.dataset, verdict=verdict, what=answer.what)

    def _again(self, entry: Archived, *, dry: bool) -> str:
        if dry:
            return "is processed once more, as its next generation"
        new = rerun(self._fs, self._root, self._passage, entry, token=secrets.token_hex(4), who=self._who)
        return f"waits as {new}: the next poller takes it"

    def _meant(self, word: str, state: Condition) -> list[Candidate]:
        at = self._passage.reads
        match state:
            case Condition.QUARANTINED:
                return [Candidate(dataset=name, base=at.failed) for name in self._matching(at.failed, word)]
            case Condition.BACKING_OFF:
                there = self._matching(at.path, word)
                return [Candidate(dataset=name, base=at.path) for name in there if self._is_backing_off(name)]
            case Condition.DONE:
                return self._done(word)
            case _:
                assert_never(state)

    def _matching(self, base: str, word: str) -> list[str]:
        there = {*filter(names.is_candidate, self._fs.listdir(base))}
        return [name for name in matching([*there], word)[0] if name in there]

    def _done(self, word: str) -> list[Candidate]:
        entries = archive.archived(self._fs.listdir(self._passage.reads.done))
        try:
            chosen = choose(entries, self._passage, [word])
        except UsageError:
            return []
        return [Candidate(dataset=one.dataset, base=self._passage.reads.done, entry=one) for one in chosen]

    def _is_backing_off(self, dataset: str) -> bool:
        try:
            end = latest_end(self._fs, self._passage.reads.dataset(dataset), self._passage.stage, dataset)
        except (PhaselineError, OSError):
            return False
        return end is not None and end.kind is EndKind.RETRY and end.not_before > self._now

    def _inside(self, path: str) -> list[str]:
        try:
            handle = self._fs.opendir(path)
        except OSError:
            return []
        try:
            return self._fs.listdir(handle)
        finally:
            self._fs.close(handle)

    def _nothing(self, word: str, state: Condition) -> UsageError:
        """Say where it is instead; raised before anything was changed."""
        at, stage = self._passage.reads, self._passage.stage
        elsewhere = {str(other): len(self._meant(word, other)) for other in Condition if other is not state}
        hints = [f"{count} such with state={other}" for other, count in elsewhere.items() if count]
        waiting = len(self._matching(at.path, word)) - elsewhere.get(Condition.BACKING_OFF, 0)
        if waiting > 0:
            hints.append(f"{waiting} such wait or are at work: nothing to bring back")
        if not hints:
            known = [
                name.partition("~")[0] for base in (at.path, at.failed, at.done) for name in self._fs.listdir(base)
            ]
            near = alike(word.strip("*?"), {*known}) if word.strip("*?") else []
            hints = [f"did you mean {', '.join(near)}?"] if near else ["phaseline status shows what there is"]
        words = str(state).replace("_", " ")
        return UsageError(f"no dataset {word!r} of {stage} is {words}", where=at.path, todo="; ".join(hints))
