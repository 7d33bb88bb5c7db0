"""python-dirq's Queue: another queue in directories, measured beside the engine.

To move one element from one queue into the next is what a stage that does nothing would do with it: `lock`
it here, `get` what it holds, `add` that to the next queue, `remove` it here; iteration included. For a dataset
that passes through our no-op one file is written that stays, the manifest. So an element has one file too, and
says the same: a table (dirq's word for facts with names) of the facts of that manifest. An element that is one
string of that length, about which nothing is known, is measured as well, and the one of dirq's own documentation,
body and table. dirq keeps no history of an element, fences no silent consumer, and does not look whether an input
changed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

Element = Mapping[str, str | Mapping[str, str]]


class Queue(Protocol):
    """What we use of dirq.queue.Queue."""

    def add(self, data: Element) -> str: ...
    def first(self) -> str: ...
    def next(self) -> str: ...
    def lock(self, ename: str) -> bool: ...
    def get(self, ename: str) -> Element: ...
    def remove(self, ename: str) -> None: ...


def seconds_to_move(path: str, element: Element, count: int) -> float:
    """Return how long moving `count` elements takes; the queues are made in an empty directory and removed."""
    here, there = _open(f"{path}/1", element), _open(f"{path}/2", element)
    for _ in range(count):
        here.add(element)
    begun = time.process_time()
    moved = move_all(here, there)
    seconds = time.process_time() - begun
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


def _open(path: str, element: Element) -> Queue:
    """Open a queue of such elements."""
    schema = {name: "string" if isinstance(value, str) else "table" for name, value in element.items()}
    return cast("Queue", import_module("dirq.queue").Queue(path, schema=schema))
