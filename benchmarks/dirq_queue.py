"""python-dirq's Queue: another queue in directories, measured beside the engine.

To move one element from one queue into the next is what a stage that does nothing would do with it: `lock`
it here, `get` what it holds, `add` that to the next queue, `remove` it here; iteration included. An element
has one file ("body"), because a dataset that passes through our no-op has one file written for it, the manifest,
and the body is as long. The element of dirq's own documentation has two, a body and a table of facts ("header").
dirq keeps no history of an element, does not fence a silent consumer, and does not look whether an input changed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

Element = Mapping[str, str | Mapping[str, str]]
BODY: Mapping[str, str] = {"body": "string"}
BODY_AND_HEADER: Mapping[str, str] = {"body": "string", "header": "table"}


class Queue(Protocol):
    """What we use of dirq.queue.Queue."""

    def add(self, data: Element) -> str: ...
    def first(self) -> str: ...
    def next(self) -> str: ...
    def lock(self, ename: str) -> bool: ...
    def get(self, ename: str) -> Element: ...
    def remove(self, ename: str) -> None: ...


def open_queue(path: str, schema: Mapping[str, str]) -> Queue:
    return cast("Queue", import_module("dirq.queue").Queue(path, schema=schema))


def seconds_to_move(path: str, schema: Mapping[str, str], element: Element, count: int) -> float:
    """Return how long moving `count` elements takes; the queues are made in an empty directory and removed."""
    here, there = open_queue(f"{path}/1", schema), open_queue(f"{path}/2", schema)
    for _ in range(count):
        here.add(element)
    begun = time.perf_counter()
    moved = move_all(here, there)
    seconds = time.perf_counter() - begun
    shutil.rmtree(path)
    assert moved == count
    return seconds


def move_all(here: Queue, there: Queue) -> int:
    """Move what can be locked; returns how many."""
    moved, name = 0, here.first()
    while name:
        if here.lock(name):
            there.add(here.get(name))
            here.remove(name)
            moved += 1
        name = here.next()
    return moved
