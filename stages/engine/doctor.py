"""The doctor: does a root's file system do what the protocol needs? Refuses with a reason."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Sequence

from stages.engine import mounts, probes
from stages.engine.clock import Clock
from stages.engine.errors import CatalogError, ExitCode, PhaselineError, StorageError
from stages.engine.fs import FileSystem
from stages.engine.layout import Passage, Root
from stages.engine.mounts import LEASE_SECONDS_MIN, Mount, mount_of
from stages.engine.places import new_place, remove_leftovers
from stages.engine.probes import Finding, RefusedError, Verdict
from stages.engine.publication import STORAGE_ERRORS
from stages.engine.spec import StageSpec

ONE_FILE_SYSTEM = "one file system"
WRITE_PERMISSION = "write permission"


class UnfitRootError(PhaselineError):
    """The root, or this process's rights in it, are not what the protocol needs."""

    exit_code = ExitCode.CONFIGURATION


def examine(fs: FileSystem, clock: Clock, root: Root, locations: Sequence[str]) -> list[Finding]:
    """Try out everything on an existing root; leaves nothing behind. Raises nothing for a refusal."""
    directories = [path for name in locations for path in root.location(name).directories]
    found = [_permission(fs, [root.path, *root.directories, *directories])]
    if found[0].verdict is not Verdict.REFUSED:
        found += _leftovers(fs, root.path)
        found += try_out(fs, clock, root.path)
        found.append(one_file_system(fs, directories))
    return [*found, *mount(fs, root.path)]


def _leftovers(fs: FileSystem, top: str) -> list[Finding]:
    """Say what was removed that a killed probe had left behind."""
    names = remove_leftovers(fs, top)
    told = Finding(probe="leftovers", verdict=Verdict.NOTE, detail=f"removed of a killed probe: {', '.join(names)}")
    return [told] if names else []


def try_out(fs: FileSystem, clock: Clock, top: str) -> list[Finding]:
    """Probe the file system of an existing directory."""
    place = new_place(top)
    try:
        fs.mkdir(place)
    except OSError as error:
        return [_refusal(WRITE_PERMISSION, error)]
    try:
        return [_probe(fs, clock, f"{place}/{number}", name) for number, name in enumerate(probes.ALL)]
    finally:
        fs.remove_tree(place)


def _probe(fs: FileSystem, clock: Clock, place: str, name: str) -> Finding:
    todo = "use another file system for the root"
    try:
        fs.mkdir(place)
        note = probes.ALL[name](fs, clock, place)
    except RefusedError as refused:
        return Finding(probe=name, verdict=Verdict.REFUSED, detail=str(refused), todo=todo)
    except OSError as error:
        return Finding(probe=name, verdict=Verdict.REFUSED, detail=_words(error), todo=todo)
    return Finding(probe=name, verdict=Verdict.NOTE if note else Verdict.OK, detail=note)


def one_file_system(fs: FileSystem, directories: Sequence[str]) -> Finding:
    """Compare devices, then move a directory through all of them: quota projects show only so."""
    try:
        devices = {fs.device(path): path for path in reversed(directories)}
        if len(devices) > 1:
            first, other = sorted(devices.values(), key=directories.index)[:2]
            return _apart(f"{first} and {other} are on different devices")
        _pass_through(fs, directories)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return _apart(f"a directory cannot be moved to {error.filename2}: another quota project or device")
        return _refusal(ONE_FILE_SYSTEM, error)
    return Finding(probe=ONE_FILE_SYSTEM, detail=f"{len(directories)} directories")


def _apart(detail: str) -> Finding:
    todo = "all locations of a root belong on one file system and quota project"
    return Finding(probe=ONE_FILE_SYSTEM, verdict=Verdict.REFUSED, detail=detail, todo=todo)


def _pass_through(fs: FileSystem, directories: Sequence[str]) -> None:
    """Move an empty directory from each place to the next; the last one removes it."""
    at = new_place(directories[0])
    name = posixpath.basename(at)
    fs.mkdir(at)
    try:
        for directory in directories[1:]:
            fs.rename(at, f"{directory}/{name}")
            at = f"{directory}/{name}"
    finally:
        fs.rmdir(at)


def mount(fs: FileSystem, path: str) -> list[Finding]:
    """Say what the root lies on, and what about its mount options is known to hurt."""
    found = mount_of(fs, path)
    if found is None:
        return [
            Finding(probe=mounts.PROBE, verdict=Verdict.NOTE, detail="this host does not say what the root lies on")
        ]
    return mounts.judge(found)


def check_lease(spec: StageSpec, mount: Mount | None, *, allow_short: bool) -> None:
    """Refuse a lease that caches of a network file system can outlast (PROTOCOL 3, STALE).

    Raises CatalogError.
    """
    expires_seconds = spec.lease.expires_seconds
    if allow_short or mount is None or not mount.is_network or expires_seconds >= LEASE_SECONDS_MIN:
        return
    raise CatalogError(
        f"lease.expires_seconds = {expires_seconds:g} is too short for a network file system ({mount.kind} at "
        f"{mount.point})",
        where=f"{spec.directory}/stage.toml",
        todo=f"{LEASE_SECONDS_MIN:g} is the smallest that would do",
    )


def cheap(fs: FileSystem, root: Root, passage: Passage) -> None:
    """Check, at a poller's start, that it may write where it has to and that renames reach.

    Raises UnfitRootError, and StorageError when the storage is full, read-only or gone.
    """
    reads, writes = passage.reads, passage.writes
    found = one_file_system(fs, [reads.work, reads.path, reads.failed, reads.done, writes.path])
    if found.verdict is Verdict.REFUSED:
        raise UnfitRootError(
            f"stage {passage.stage} cannot use this root: {found.detail}",
            todo=found.todo or f"phaseline doctor --root {root.path}",
        )


def refuse(findings: Sequence[Finding]) -> None:
    """Raise UnfitRootError for the first refusal."""
    for found in findings:
        if found.verdict is Verdict.REFUSED:
            raise UnfitRootError(f"{found.probe}: {found.detail}", todo=found.todo)


def _permission(fs: FileSystem, directories: Sequence[str]) -> Finding:
    """Make and remove a directory in each place."""
    for directory in directories:
        try:
            fs.mkdir(probe := new_place(directory))
            fs.rmdir(probe)
        except OSError as error:
            return _refusal(WRITE_PERMISSION, error)
    return Finding(probe=WRITE_PERMISSION, detail=f"{len(directories)} directories")


def _refusal(probe: str, error: OSError) -> Finding:
    """Turn an error into a finding; raises StorageError for what is the storage's, not the root's."""
    if error.errno in STORAGE_ERRORS:
        raise StorageError(
            f"the storage failed ({error.strerror})",
            where=error.filename,
            todo="free space or mend the mount, then try again",
        ) from error
    todo = ""
    if error.errno in (errno.EACCES, errno.EPERM):
        todo = "let the group write there: chmod g+rwxs, and join that group"
    elif error.errno == errno.ENOENT:
        todo = "phaseline init makes what is missing"
    return Finding(probe=probe, verdict=Verdict.REFUSED, detail=_words(error), todo=todo)


def _words(error: OSError) -> str:
    return f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
