"""Reruns with one rule of PROTOCOL 3 broken."""

from __future__ import annotations

from contextlib import suppress

from stages.engine import names, reruns
from stages.engine.archive import Archived
from stages.engine.errors import UsageError
from stages.engine.fs import FileSystem
from stages.engine.layout import Passage, Root


def allots_nothing(fs: FileSystem, root: Root, passage: Passage, entry: Archived, *, token: str, who: str) -> str:
    """RERUN: a generation is allotted once per root."""
    base, number = names.generation(entry.dataset)
    dataset = names.in_generation(base, number + 1)
    with suppress(FileNotFoundError):
        fs.rename(f"{passage.reads.done}/{entry.name}", passage.reads.dataset(dataset))
    return dataset


def looks_by_name_only(fs: FileSystem, root: Root, passage: Passage, entry: Archived, *, token: str, who: str) -> str:
    """RERUN: that look is at a listing too, as a look-up may be answered from before the lost request."""
    dataset = reruns.allot(fs, root, passage, entry.dataset, token=token, who=who)
    try:
        fs.rename(f"{passage.reads.done}/{entry.name}", passage.reads.dataset(dataset))
    except FileNotFoundError:
        if not reruns.is_pending(fs, passage, dataset):
            raise UsageError("moved by somebody else meanwhile") from None
    return dataset


def takes_a_lost_reply_for_lost(
    fs: FileSystem, root: Root, passage: Passage, entry: Archived, *, token: str, who: str
) -> str:
    """RERUN: whose rename says ENOENT looks for its target."""
    dataset = reruns.allot(fs, root, passage, entry.dataset, token=token, who=who)
    try:
        fs.rename(f"{passage.reads.done}/{entry.name}", passage.reads.dataset(dataset))
    except FileNotFoundError:
        raise UsageError("moved by somebody else meanwhile") from None
    return dataset
