"""The transports that are in use, by name and jobs directory; each is called off the event loop, one call at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from infra.slurm.transport import Transport

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Carriers:
    """`make(name, jobs_directory)` opens a transport."""

    make: Callable[[str, str], Transport]
    _open: dict[tuple[str, str], Transport] = field(default_factory=dict[tuple[str, str], Transport])
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def get(self, name: str, jobs_directory: str) -> Transport:
        key = (name, jobs_directory)
        if key not in self._open:
            self._open[key] = self.make(name, jobs_directory)
        return self._open[key]

    async def call(self, function: Callable[[], T]) -> T:
        """Run what blocks: calls of transports, and of the shared storage beside them."""
        async with self._lock:
            return await asyncio.to_thread(function)
