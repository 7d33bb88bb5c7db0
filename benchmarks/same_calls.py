"""A Python loop of the same system calls: what one dataset and stage costs at the least.

The calls are those of the engine for a silent callable in process that writes nothing, with durability
none and hashing off, in the same order and with as many bytes: tests/repository/test_benchmarks.py compares
the two call by call. What the engine does between them is what the comparison shows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from stages.engine.layout import Passage

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is written for each dataset: as many bytes as the engine writes; `owner` is what follows a token."""

    attempt: str
    manifest: bytes
    owner: str


def carry_all(through: Passage, content: Content) -> int:
    """Carry every dataset from where it waits to where it is published; returns how many."""
    handle = os.open(through.reads.path, _OPEN_DIRECTORY)
    os.fstat(handle)
    os.close(handle)
    count = 0
    for dataset in os.listdir(through.reads.path):
        if not dataset.startswith("_"):
            _carry(dataset, through, content)
            count += 1
    return count


def _carry(dataset: str, through: Passage, content: Content) -> None:
    at, first, last = through.reads.dataset(dataset), f"taken.{through.stage}.1", f"ended.{through.stage}.1"
    token = os.urandom(4).hex()
    os.symlink(token + content.owner, f"{at}/{first}")
    handle = os.open(at, _NAME_DIRECTORY)
    os.readlink(first, dir_fd=handle)
    private = f"{through.reads.work}/{dataset}.1.{token}"
    out = f"{private}/out"
    os.mkdir(private)
    os.mkdir(out)
    os.symlink(content.attempt, f"{private}/attempt.json")
    _scan(at)
    os.stat(private)
    _scan(out)
    _scan(at)
    _write(f"{out}/manifest.json", content.manifest)
    os.symlink(f"publish:{token}:0:0:0:ok", last, dir_fd=handle)
    os.rename(out, through.writes.dataset(dataset))
    os.rename(at, f"{through.reads.done}/{dataset}~{token}")
    os.unlink(f"{private}/attempt.json")
    os.rmdir(private)
    os.close(handle)


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, _CREATE, 0o666)
    os.write(descriptor, content)
    os.close(descriptor)


def _scan(path: str) -> None:
    with os.scandir(path) as entries:
        for entry in entries:
            if not entry.is_symlink():
                entry.stat(follow_symlinks=False)
