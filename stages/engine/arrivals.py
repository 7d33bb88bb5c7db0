"""Bringing a directory in as a dataset, under a name that nobody has used before (PROTOCOL 3, ARRIVE a)."""

from __future__ import annotations

import errno
import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from stages.engine import names
from stages.engine.archive import archived
from stages.engine.durability import Durability
from stages.engine.errors import NotARootError, UsageError
from stages.engine.fs import Entry, FileSystem, Kind
from stages.engine.layout import Passage, Root
from stages.engine.manifest import Json
from stages.engine.pruning import PART
from stages.engine.registers import Registers
from stages.engine.reruns import is_pending, stands
from stages.engine.settlement import IN_THE_WAY

SETGID = 0o2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A dataset that stands where it is claimed now; `resumed` tells that an earlier, broken-off `add` was finished."""

    dataset: str
    path: str
    files: int
    size: int
    resumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How datasets come in; `group_mode` are the permission bits that the group gets."""

    who: str
    durability: Durability = Durability.FULL
    ready_marker: bool = False
    group_mode: int = 0o070


class Arrivals:
    """Brings datasets into the location that one stage reads."""

    def __init__(self, fs: FileSystem, root: Root, passage: Passage, terms: Terms) -> None:
        self._fs, self._root, self._passage, self._terms = fs, root, passage, terms
        self._at = passage.reads
        self._registers = Registers(fs)
        self._done: set[str] | None = None

    def add(self, source: str, name: str, *, token: str, move: bool = False) -> Arrival:
        """Copy (or move) the directory at the absolute path `source` in, as dataset `name`.

        A crash at any point is repaired by the same call once more. Raises UsageError, naming what to
        do instead, and NameNotAllowedError; nothing of the dataset is visible to pollers then.
        """
        names.check_dataset(name)
        known = self._registers.get(self._root.name(name))
        if known is not None:
            return self._resume(name, known)
        complete = self._moved_before(name) if move else None
        if complete is not None and not self._is_there(source):
            return self._enter(name, complete, resumed=True)
        found = self.check(source, name)
        complete = f"{self._at.incoming}/{name}.{token}"
        if move:
            self._move(source, found, complete)
        else:
            self._copy(source, found, complete)
        return self._enter(name, complete, resumed=False, source=source if move else None)

    def check(self, source: str, name: str) -> list[Entry]:
        """Return everything below `source`, by relative path, parents first; raises UsageError if it cannot come in."""
        if f"{self._root.path}/".startswith(f"{source}/"):
            raise UsageError("the data root cannot be added to itself", where=source)
        found = self._survey(source)
        if not any(entry.kind is not Kind.DIRECTORY for entry in found):
            raise UsageError("this directory holds no file", where=source, todo="a dataset has at least one")
        for entry in found:
            self._check_entry(source, entry)
        if self._stands(name):
            raise UsageError(
                f"a dataset {name!r} stands there already", where=self._at.path, todo="give another name with --as NAME"
            )
        return found

    def _stands(self, name: str) -> bool:
        """Tell whether a dataset of that name was put there by hand; `_done` is listed once for all that are added."""
        if self._done is None:
            self._done = {entry.dataset for entry in archived(self._fs.listdir(self._at.done))}
        return name in self._done or is_pending(self._fs, self._passage, name)

    def _survey(self, source: str) -> list[Entry]:
        try:
            self._fs.mtime_ns(source)
        except FileNotFoundError:
            raise UsageError("there is no such directory", where=source) from None
        except NotADirectoryError:
            todo = "put the file into a directory, or name the directory that a link leads to"
            raise UsageError("a dataset is a real directory, and this is none", where=source, todo=todo) from None
        return list(_walk(self._fs, source))

    def _check_entry(self, source: str, entry: Entry) -> None:
        path, at_top = f"{source}/{entry.name}", "/" not in entry.name
        if at_top and names.is_reserved(entry.name):
            raise UsageError("this name belongs to phaseline's markers", where=path, todo="rename or remove it")
        if entry.name == names.MANIFEST and not self._is_manifest(path):
            raise UsageError("this name belongs to phaseline's manifests", where=path, todo="rename it")
        if entry.kind is Kind.OTHER:
            raise UsageError("this is neither file nor directory nor link", where=path, todo="remove it")
        if entry.kind is Kind.LINK and _leads_outside(self._fs.readlink(path), entry.name):
            todo = "copy the files themselves first: cp -rL"
            raise UsageError("this link leads outside of the directory", where=path, todo=todo)

    def _is_manifest(self, path: str) -> bool:
        """A result that is brought in again keeps its history."""
        try:
            facts: Json = json.loads(self._fs.read(path))
        except (ValueError, IsADirectoryError):
            return False
        return isinstance(facts, dict) and {"format", "dataset", "token", "outputs"} <= facts.keys()

    def _copy(self, source: str, found: list[Entry], complete: str) -> None:
        """What is not complete ends in `.part`, so that nobody ever takes it for a dataset."""
        part = complete + PART
        try:
            self._copy_whole(source, found, part)
        except (OSError, KeyboardInterrupt):
            self._fs.remove_tree(part)
            raise
        self._fs.rename(part, complete)

    def _copy_whole(self, source: str, found: list[Entry], part: str) -> None:
        fs, syncing = self._fs, self._terms.durability.syncs_output
        self._make(part)
        for entry in found:
            target = f"{part}/{entry.name}"
            if entry.kind is Kind.DIRECTORY:
                self._make(target)
            elif entry.kind is Kind.LINK:
                fs.symlink(fs.readlink(f"{source}/{entry.name}"), target)
            else:
                fs.copy(f"{source}/{entry.name}", target, _nothing)
                fs.chmod(target, self._mode(entry))
                if syncing:
                    fs.sync(target)
        if syncing:
            for entry in reversed(found):
                if entry.kind is Kind.DIRECTORY:
                    fs.sync(f"{part}/{entry.name}")
            fs.sync(part)

    def _make(self, path: str) -> None:
        self._fs.mkdir(path)
        self._fs.chmod(path, 0o705 | self._terms.group_mode | SETGID)

    def _move(self, source: str, found: list[Entry], complete: str) -> None:
        fs = self._fs
        try:
            for entry in found:
                if entry.kind in (Kind.FILE, Kind.DIRECTORY):
                    fs.chmod(f"{source}/{entry.name}", self._mode(entry))
            fs.chmod(source, 0o705 | self._terms.group_mode | SETGID)
            fs.rename(source, complete)
        except PermissionError as error:
            raise UsageError("it is not yours to move", where=error.filename, todo="copy it: without --move") from None
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            raise UsageError("it lies on another file system", where=source, todo="copy it: without --move") from None

    def _mode(self, entry: Entry) -> int:
        if entry.kind is Kind.DIRECTORY:
            return entry.mode | 0o700 | self._terms.group_mode | SETGID
        return entry.mode | 0o600 | (self._terms.group_mode & 0o060)

    def _moved_before(self, name: str) -> str | None:
        """Return a complete arrival of that name that no register speaks of."""
        complete = re.compile(re.escape(name) + r"\.[0-9a-f]{8}")
        found = sorted(filter(complete.fullmatch, self._fs.listdir(self._at.incoming)))
        return f"{self._at.incoming}/{found[0]}" if found else None

    def _is_there(self, path: str) -> bool:
        try:
            self._fs.mtime_ns(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _enter(self, name: str, complete: str, *, resumed: bool, source: str | None = None) -> Arrival:
        """Take the name, then let the dataset be seen."""
        value = f"{self._passage.stage}:{complete.rpartition('.')[2]}:{self._terms.who}"
        if self._terms.ready_marker:
            try:
                self._fs.write_new(f"{complete}/{names.ready(self._passage.stage)}", b"")
            except FileExistsError:
                pass
        found = self._registers.put(self._root.name(name), value)
        if found is None:
            raise NotARootError("the register of names is missing", where=self._root.names, todo="phaseline init")
        if found != value:
            if source is not None:
                self._fs.rename(complete, source)
            else:
                self._fs.remove_tree(complete)
            raise _used(name, found, self._passage.stage)
        if self._terms.durability.syncs_markers:
            self._fs.sync(self._root.names)
        return self._show(name, complete, resumed=resumed)

    def _show(self, name: str, complete: str, *, resumed: bool) -> Arrival:
        path, files = self._at.dataset(name), list[Entry]()
        try:
            files = [entry for entry in _walk(self._fs, complete) if entry.kind is not Kind.DIRECTORY]
            self._fs.rename(complete, path)
        except FileNotFoundError:
            if not stands(self._fs, self._passage, name):  # else our own request, sent again after a lost reply
                raise
        except OSError as error:
            if error.errno not in IN_THE_WAY:
                raise
            todo = "move that away, then type the same again"
            raise UsageError("something else stands where the dataset belongs", where=path, todo=todo) from None
        if self._terms.durability.syncs_markers:
            self._fs.sync(self._at.path)
        theirs = [entry for entry in files if "/" in entry.name or not names.is_reserved(entry.name)]
        total = sum(entry.size for entry in theirs)
        return Arrival(dataset=name, path=path, files=len(theirs), size=total, resumed=resumed)

    def _resume(self, name: str, known: str) -> Arrival:
        """Finish what broke off between the name and the last rename; else the name is used."""
        stage, _, rest = known.partition(":")
        complete = f"{self._at.incoming}/{name}.{rest.partition(':')[0]}"
        if stage == self._passage.stage and self._is_there(complete):
            return self._show(name, complete, resumed=True)
        raise _used(name, known, self._passage.stage)


def _used(name: str, known: str, stage: str) -> UsageError:
    """A name is given out once in the life of a root."""
    where, _, rest = known.partition(":")
    who = rest.partition(":")[2] or "somebody"
    return UsageError(
        f"the name {name!r} was given out before, to {where} by {who}",
        todo=f"once more: phaseline rerun {stage} {name}; other data: another name with --as NAME",
    )


def _walk(fs: FileSystem, top: str) -> Iterator[Entry]:
    """Yield everything below `top`, named by its relative path, parents first."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for entry in fs.scan(f"{top}/{prefix}" if prefix else top):
            named = entry._replace(name=prefix + entry.name)
            yield named
            if entry.kind is Kind.DIRECTORY:
                waiting.append(f"{named.name}/")


def _leads_outside(target: str, path: str) -> bool:
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return posixpath.isabs(target) or inside == ".." or inside.startswith("../")


def _nothing() -> None:
    """Nobody waits for a heartbeat here."""
