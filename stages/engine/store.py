"""Attempts on disk, as their owner sees them: claim, beat, commit, end (PROTOCOL 3)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from stages.engine import names, policy
from stages.engine.errors import DamagedRegisterError, RevokedError, StorageError
from stages.engine.policy import NOTHING_SPENT, Cause
from stages.engine.records import Ended, EndKind
from stages.engine.registers import Registers
from stages.engine.settlement import Settled, Settlement
from stages.engine.state import read_markers

if TYPE_CHECKING:
    from stages.engine.clock import Clock
    from stages.engine.durability import Durability
    from stages.engine.fs import FileSystem
    from stages.engine.identity import Identity
    from stages.engine.layout import Passage

BELL_SECONDS = 0.05  # longer than a tick of a file server's clock (PROTOCOL 3, BELL)


class Refusal(StrEnum):
    """Why a dataset could not be claimed."""

    GONE = "gone"
    IN_FLIGHT = "in flight"
    BACKING_OFF = "backing off"
    SETTLED = "settled"
    BLOCKED = "blocked"
    NOT_READY = "not ready"
    NO_PERMISSION = "no permission"
    NOT_A_DATASET = "not a dataset"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A claim that was not won; `not_before` in seconds since the epoch, for BACKING_OFF."""

    refusal: Refusal
    not_before: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An attempt that this process owns; `handle` is the dataset's directory, open to the end (N7)."""

    attempt: names.Attempt
    tag: str
    before: Ended
    handle: int
    input: str
    private: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the stage wants of its store. `described` is the beginning of every attempt.json, a JSON object."""

    retry: policy.RetryRule
    durability: Durability
    ready_marker: bool = False
    described: str = '{"format": 1}'


class Store:
    """The attempts of one stage."""

    def __init__(self, *, fs: FileSystem, clock: Clock, identity: Identity, passage: Passage, terms: Terms) -> None:
        self.fs, self.clock, self.passage, self.terms = fs, clock, passage, terms
        self.registers = Registers(fs)
        self.settlement = Settlement(fs, passage, terms.durability)
        self._identity = identity

    def claim(self, dataset: str) -> Claim | Loss:
        """Try to own the next attempt of a dataset; a fresh one costs one call and no look before it.

        Raises StorageError when the storage fails.
        """
        try:
            return self._claim(dataset)
        except FileNotFoundError:
            return Loss(refusal=Refusal.GONE)
        except PermissionError as error:
            return Loss(refusal=Refusal.NO_PERMISSION, why=str(error))
        except NotADirectoryError as error:
            return Loss(refusal=Refusal.NOT_A_DATASET, why=str(error))
        except DamagedRegisterError as error:
            return Loss(refusal=Refusal.DAMAGED, why=f"{self.passage.reads.dataset(dataset)}: {error}")
        except OSError as error:
            raise storage_error(error) from error

    def _claim(self, dataset: str) -> Claim | Loss:
        tag, token = names.tag(self.passage.stage, dataset), self._identity.token()
        path, mine = self.passage.reads.dataset(dataset), self._identity.claims(token)
        broken = names.why_not(dataset)
        if broken is not None:
            return Loss(refusal=Refusal.NOT_A_DATASET, why=f"{broken}: rename {path!r}")
        if self.terms.ready_marker and not self._is_ready(path):
            return Loss(refusal=Refusal.NOT_READY)
        first = names.taken(tag, 1)
        found = self.registers.put(f"{path}/{first}", mine)
        if found is None:
            return Loss(refusal=Refusal.GONE)
        handle = self.fs.opendir(path)
        try:
            if found == mine:
                # Another directory may have taken the name since: only what the handle says counts.
                won = 1 if self.fs.readlink(first, handle) == mine else None
                before = NOTHING_SPENT
            else:
                heir = self._inherit(handle, dataset, mine)
                if isinstance(heir, Loss):
                    return heir
                won, before = heir
            if won is None:
                return Loss(refusal=Refusal.GONE)
            attempt = names.Attempt(dataset, won, token)
            claim = Claim(
                attempt=attempt,
                tag=tag,
                before=before,
                handle=handle,
                input=path,
                private=self.passage.reads.attempt(attempt),
            )
            self._open_private(claim)
            handle = None
            return claim
        finally:
            if handle is not None:
                self.fs.close(handle)

    def _is_ready(self, path: str) -> bool:
        handle = self.fs.opendir(path)
        try:
            return names.ready(self.passage.stage) in self.fs.listdir(handle)
        finally:
            self.fs.close(handle)

    def _inherit(self, handle: int, dataset: str, mine: str) -> tuple[int, Ended] | Loss:
        """Try to own the attempt after the latest: its number and the budget spent before it."""
        tag = names.tag(self.passage.stage, dataset)
        markers = read_markers(self.fs.listdir(handle), self.passage.stage, dataset)
        end = self.registers.ended(handle, tag, markers.latest) if markers.ended else None
        if end is None:
            return Loss(refusal=Refusal.IN_FLIGHT) if markers.latest else self._refused_unseen(handle)
        if end.kind is not EndKind.RETRY:  # somebody died before finishing it: help
            settled = self.settlement.settle(handle, dataset, markers.latest)
            return Loss(refusal=Refusal.BLOCKED if settled is Settled.BLOCKED else Refusal.SETTLED)
        if end.not_before > self.clock.now():
            return Loss(refusal=Refusal.BACKING_OFF, not_before=end.not_before)
        number = markers.latest + 1
        if self.registers.put(names.taken(tag, number), mine, handle) != mine:
            return self._refused_unseen(handle)
        return number, end

    def _refused_unseen(self, handle: int) -> Loss:
        """Refused by a marker that the listing does not show: it is newer, or hidden from this client's sweeper, too.

        A claim rings no bell: one that fell into the tick of a listing stays hidden until the directory is touched.
        """
        with suppress(OSError):
            self.fs.touch(handle)
        return Loss(refusal=Refusal.IN_FLIGHT)

    def _open_private(self, claim: Claim) -> None:
        """Make the attempt's private place; EEXIST can only be our own request, sent again.

        What its register has no room for is a symlink, too: one call, where a file costs a server four.
        """
        facts = f'{self.terms.described[:-1]}, "started": {self.clock.now():.3f}}}'
        try:
            self._make(claim.private)
            self._make(f"{claim.private}/{names.OUTPUT}")
            try:
                self.fs.symlink(facts, f"{claim.private}/{names.ATTEMPT}")
            except FileExistsError:
                pass
        except FileNotFoundError:
            raise  # revoked already
        except OSError as error:
            # Not this dataset's affair: the next one would fare no better, so the poller ends.
            self.end(claim, Cause.RELEASED, f"the storage failed: {error.strerror}")
            raise storage_error(error) from error

    def _make(self, path: str) -> None:
        try:
            self.fs.mkdir(path)
        except FileExistsError:
            pass

    def beat(self, claim: Claim) -> None:
        """Say that the attempt makes progress. Raises RevokedError once it is somebody else's."""
        try:
            self.fs.touch(claim.private)
        except FileNotFoundError:
            raise RevokedError from None

    def commit(self, claim: Claim) -> Settled | None:
        """Decide the attempt as published, and carry that out; None: it was decided otherwise before.

        After NoAnswerError nothing was removed and nothing ended: a sweeper finds out (PROTOCOL 3).
        """
        attempt = claim.attempt
        value = policy.published(attempt.token, claim.before).value
        found = self.registers.put(names.ended(claim.tag, attempt.number), value, claim.handle)
        if found != value:
            if found is not None:  # a positive fact: fenced. Without one, nothing is removed.
                self.fs.remove_tree(claim.private)
            return None
        return self.settlement.roll_forward(claim.handle, attempt)

    def end(self, claim: Claim, cause: Cause, why: str, after_seconds: float | None = None) -> Ended | None:
        """End an attempt of ours without publishing; None if there is nothing left to end."""
        return self.decide(
            claim.handle, claim.attempt, before=claim.before, cause=cause, why=why, after_seconds=after_seconds
        )

    def decide(
        self,
        handle: int,
        attempt: names.Attempt,
        *,
        before: Ended,
        cause: Cause,
        why: str,
        after_seconds: float | None = None,
    ) -> Ended | None:
        """Put the end of an attempt, ours or a stale one's, and settle whatever was decided."""
        end = policy.end_of(
            cause,
            why,
            number=attempt.number,
            before=before,
            rule=self.terms.retry,
            now=self.clock.now(),
            after_seconds=after_seconds,
        )
        tag = names.tag(self.passage.stage, attempt.dataset)
        found = self.registers.put(names.ended(tag, attempt.number), end.value, handle)
        if found is None:
            return None
        self.settlement.settle(handle, attempt.dataset, attempt.number)
        if end.kind is EndKind.RETRY:
            self.ring(handle)
        return end if found == end.value else None

    def ring(self, handle: int) -> None:
        """Make sure that every client notices what was just put (PROTOCOL 3, BELL)."""
        self.clock.sleep(BELL_SECONDS)
        with suppress(OSError):  # a bell is a help, never a promise
            self.fs.touch(handle)

    def abandon(self, claim: Claim) -> None:
        """Clean up after an attempt that somebody else ended; without proof of that, nothing is removed."""
        end = self.registers.ended(claim.handle, claim.tag, claim.attempt.number)
        if end is not None and end.kind is not EndKind.PUBLISH:
            self.fs.remove_tree(claim.private)

    def leave(self, claim: Claim) -> None:
        """Leave an attempt to the sweeper, with the note that the storage is the reason."""
        with suppress(OSError):  # without it the attempt is lost without a known cause: no failure either
            self.fs.rename(f"{claim.private}/{names.ATTEMPT}", f"{claim.private}/{names.STORAGE_NOTE}")


def storage_error(error: OSError) -> StorageError:
    """Say what the storage did."""
    return StorageError(
        f"the storage failed ({error.strerror or error})",
        where=error.filename,
        todo="free space or mend the mount, then start the poller again; no dataset paid for it",
    )
