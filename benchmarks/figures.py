"""Figures: what was measured, beside what was promised."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Sample = Callable[[], float]
"""Measures once and returns seconds; what it sets up and clears away is not in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measure; `value` is the median of `rounds`, `target` the most that was promised, None if nothing was."""

    name: str
    value: float
    unit: str
    target: float | None = None
    rounds: tuple[float, ...] = ()

    @property
    def is_met(self) -> bool | None:
        """Whether the promise was kept, None if there is none."""
        return None if self.target is None else self.value <= self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Numbers by row and column."""

    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float, ...]]


def interleaved(rounds: int, *samples: Sample) -> tuple[list[float], ...]:
    """Measure A B A B ..., so that whatever else the machine does strikes all of them alike.

    One round goes before and is thrown away: it pays for imports and first looks.
    """
    found: tuple[list[float], ...] = tuple([] for _ in samples)
    for number in range(rounds + 1):
        for sample, into in zip(samples, found, strict=True):
            gc.collect()  # what one sample left behind is not cleared away on another's account
            seconds = sample()
            if number:
                into.append(seconds)
    return found


def ratio(name: str, ours: Sequence[float], theirs: Sequence[float], target: float | None = None) -> Figure:
    """How many times as long ours took, round by round: a ratio within a round outlives a noisy machine."""
    rounds = [one / other for one, other in zip(ours, theirs, strict=True)]
    return figure(name, rounds, "x", target)


def each(name: str, seconds: Sequence[float], count: int) -> Figure:
    """How long one of `count` took."""
    return figure(name, [one / count * 1e6 for one in seconds], "us")


def figure(name: str, rounds: Sequence[float], unit: str, target: float | None = None) -> Figure:
    """The median of some rounds."""
    return Figure(name=name, value=statistics.median(rounds), unit=unit, target=target, rounds=tuple(rounds))
