"""Carry out what an `ended` register says: by the owner or by anyone, any number of times.

The order of the calls in `roll_forward` is PROTOCOL 3, COMPLETE 4, to the letter: a cached lie of a
network file system may answer any look-up with ENOENT, so only the server's own word counts.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from stages.engine import names
from stages.engine.records import Ended, EndKind
from stages.engine.registers import Registers

if TYPE_CHECKING:
    from stages.engine.durability import Durability
    from stages.engine.fs import FileSystem
    from stages.engine.layout import Passage

IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


class Settled(StrEnum):
    """What came of it."""

    PUBLISHED = "published"
    BLOCKED = "blocked"  # something else stands where it is to go
    UNPROVEN = "unproven"  # the server did not confirm the publication: the next sweep asks again
    REQUEUED = "requeued"
    QUARANTINED = "quarantined"
    UNKNOWN = "unknown"  # no register was seen


class Settlement:
    """Settles the datasets of one stage."""

    def __init__(self, fs: FileSystem, passage: Passage, durability: Durability) -> None:
        self._fs, self._at, self._durability = fs, passage, durability
        self._registers = Registers(fs)

    def settle(self, handle: int, dataset: str, number: int) -> Settled:
        """Do what the register of attempt `number` says; it is read here, never assumed."""
        tag = names.tag(self._at.stage, dataset)
        end, owner = self._registers.ended(handle, tag, number), self._registers.taken(handle, tag, number)
        if end is None or owner is None:
            return Settled.UNKNOWN
        return self._carry_out(end, handle, names.Attempt(dataset, number, owner.token))

    def _carry_out(self, end: Ended, handle: int, attempt: names.Attempt) -> Settled:
        match end.kind:
            case EndKind.PUBLISH:
                return self.roll_forward(handle, attempt._replace(token=end.token))
            case EndKind.RETRY:
                self._fs.remove_tree(self._at.reads.attempt(attempt))
                return Settled.REQUEUED
            case EndKind.QUARANTINE:
                self._fs.remove_tree(self._at.reads.attempt(attempt))
                target = f"{self._at.reads.failed}/{attempt.dataset}"
                moved = self._move(self._at.reads.path, attempt.dataset, target)
                return Settled.BLOCKED if moved is None else Settled.QUARANTINED
            case _:
                assert_never(end.kind)

    def roll_forward(self, handle: int, attempt: names.Attempt) -> Settled:
        """Publish and archive what a commit decided. `handle` is the dataset's."""
        fs, private = self._fs, self._at.reads.attempt(attempt)
        if self._durability.syncs_markers:
            fs.sync(handle)  # the decision is durable before its consequence
        moved = self._publish(private, attempt.dataset)
        if moved is None:
            return Settled.BLOCKED
        if not moved and not self._remove_emptied(private):
            return Settled.UNPROVEN
        if self._durability.syncs_markers:
            fs.sync(self._at.writes.path)
        self._archive(attempt)
        if moved:
            self._discard(private)
        return Settled.PUBLISHED

    def _publish(self, private: str, dataset: str) -> bool | None:
        """True: this call moved the output. False: it was not found, twice. None: blocked."""
        for again in (False, True):
            if again:
                # ENOENT may be a cached lie about `private`; an exclusive create hears the server.
                self._mkdir(private)
            try:
                self._fs.rename(f"{private}/{names.OUTPUT}", self._at.writes.dataset(dataset))
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in IN_THE_WAY:
                    return None
                raise
            return True
        return False

    def _remove_emptied(self, private: str) -> bool:
        """Remove an attempt's directory and its plain files, never what lies deeper.

        True only if the server removed it or says that it is gone: the proof of publication.
        """
        fs = self._fs
        try:
            fs.touch(private)  # the listing below must not be answered from a cache
            for name in fs.listdir(private):
                if name != names.OUTPUT:
                    fs.unlink(f"{private}/{name}")
            fs.rmdir(private)
        except FileNotFoundError:
            return self._is_gone(private)
        except OSError:
            return False
        return True

    def _discard(self, private: str) -> None:
        """Remove the directory of an attempt whose output this call has moved; left-overs wait for a sweep."""
        try:
            self._fs.unlink(f"{private}/{names.ATTEMPT}")
            self._fs.rmdir(private)
        except OSError:
            self._remove_emptied(private)

    def _is_gone(self, private: str) -> bool:
        """ENOENT of one of several calls is not yet the server's word about the directory itself."""
        try:
            self._fs.rmdir(private)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _archive(self, attempt: names.Attempt) -> None:
        target = f"{self._at.reads.done}/{attempt.archived}"
        if self._move(self._at.reads.path, attempt.dataset, target) is False:
            self._move(self._at.reads.failed, attempt.dataset, target)

    def _move(self, base: str, dataset: str, target: str) -> bool | None:
        """Move a dataset. False: it was not at `base`, somebody has done it for us. None: something is in the way."""
        try:
            self._fs.rename(f"{base}/{dataset}", target)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in IN_THE_WAY:
                raise
            return None
        return True

    def bring_back(self, dataset: str) -> bool | None:
        """Move a dataset that is not quarantined any more from `_failed` to where it is claimed, as `_move` does."""
        return self._move(self._at.reads.failed, dataset, self._at.reads.dataset(dataset))

    def _mkdir(self, path: str) -> None:
        with suppress(FileExistsError):
            self._fs.mkdir(path)
