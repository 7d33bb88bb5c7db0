"""A published dataset once more, as its next generation (PROTOCOL 3, RERUN)."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from stages.engine import archive, names
from stages.engine.archive import Archived, Data
from stages.engine.errors import NotARootError, UsageError
from stages.engine.fs import FileSystem
from stages.engine.layout import Passage, Root
from stages.engine.registers import Registers
from stages.engine.requests import matching
from stages.engine.settlement import IN_THE_WAY


def choose(entries: Sequence[Archived], through: Passage, wanted: Sequence[str]) -> list[Archived]:
    """Return the archived datasets that are meant; raises UsageError for one that is not there."""
    latest = archive.latest(entries)
    exact = {entry.dataset: entry for entry in entries}
    chosen: dict[str, Archived] = {}
    for word in wanted:
        if word in exact and word not in latest:
            chosen[word] = exact[word]
            continue
        found, _ = matching([*latest], word)
        for base in found:
            if base not in latest:
                raise _unknown(base, through)
            chosen[base] = latest[base]
        if not found:
            raise UsageError(
                f"no published dataset matches {word!r}", where=through.reads.done, todo="phaseline status"
            )
    return list(chosen.values())


def _unknown(dataset: str, through: Passage) -> UsageError:
    base = names.generation(dataset).base
    return UsageError(
        f"{through.stage} has published no dataset {dataset!r}",
        where=through.reads.done,
        todo=f"where it stands: phaseline explain {base}; one that failed: phaseline retry {through.stage} {dataset}",
    )


def rerun(fs: FileSystem, root: Root, passage: Passage, entry: Archived, *, token: str, who: str) -> str:
    """Move an archived dataset back to where it is claimed; returns its new name.

    A generation is allotted before the rename, once per root; a crash in between costs a number and
    nothing else. Raises UsageError when the data is gone or still in use, or somebody was quicker.
    """
    if entry.data is not Data.KEPT:
        raise UsageError(
            f"the data of {entry.dataset!r} was pruned: there is nothing to process again",
            where=f"{passage.reads.done}/{entry.name}",
            todo="add the data again under another name: phaseline add --as NAME",
        )
    for directory in fs.listdir(passage.reads.work):
        attempt = names.parse_attempt(directory)
        if attempt is not None and attempt.dataset == entry.dataset:  # afterwards nobody could say whose it was
            raise UsageError(
                f"an attempt at {entry.dataset!r} is not cleaned up yet",
                where=f"{passage.reads.work}/{directory}",
                todo=f"phaseline sweep {passage.stage}, then try again",
            )
    dataset = allot(fs, root, passage, entry.dataset, token=token, who=who)
    _move(fs, passage, entry, dataset)
    fs.sync(passage.reads.path)
    return dataset


def allot(fs: FileSystem, root: Root, passage: Passage, dataset: str, *, token: str, who: str) -> str:
    """Take the next generation of a name that nobody in this root has taken; returns the name."""
    registers, value = Registers(fs), f"{passage.stage}:{token}:{who}"
    base, number = names.generation(dataset)
    while True:
        number += 1
        name = names.in_generation(base, number)
        found = registers.put(root.name(name), value)
        if found == value:
            return name
        if found is None:
            raise NotARootError("the register of names is missing", where=root.names, todo="phaseline init")


def _move(fs: FileSystem, passage: Passage, entry: Archived, dataset: str) -> None:
    source, target = f"{passage.reads.done}/{entry.name}", passage.reads.dataset(dataset)
    try:
        fs.rename(source, target)
    except FileNotFoundError:
        # Our own request, sent again after a lost reply, would find the source gone.
        if not stands(fs, passage, dataset):
            raise UsageError(
                f"{entry.dataset!r} was moved by somebody else meanwhile",
                where=source,
                todo=f"phaseline explain {names.generation(dataset).base}",
            ) from None
    except OSError as error:
        if error.errno not in (*IN_THE_WAY, errno.EISDIR):
            raise
        raise UsageError("something stands where the dataset would go", where=target, todo="move it away") from None


def stands(fs: FileSystem, passage: Passage, dataset: str) -> bool:
    """Tell whether a dataset is seen anywhere in a stage's location.

    A look-up may be answered from what this client saw before its own request was lost; a listing asks the server.
    """
    if is_pending(fs, passage, dataset) or dataset in fs.listdir(passage.reads.path):
        return True
    return any(entry.dataset == dataset for entry in archive.archived(fs.listdir(passage.reads.done)))


def is_pending(fs: FileSystem, passage: Passage, dataset: str) -> bool:
    """Tell whether anything of that name is seen where datasets wait, or in quarantine."""
    for place in (passage.reads.path, passage.reads.failed):
        try:
            fs.mtime_ns(f"{place}/{dataset}")
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            return True
        return True
    return False
