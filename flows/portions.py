"""One pass over a stage, and its datasets in portions: as many tasks for ten datasets as for 100,000. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from stages.engine import names
from stages.engine.memory import Memory
from stages.engine.sweeper import Place, Survey, Sweeper, Target

PORTIONS_MAX = 40  # of all stages together, as long as there are no more stages than that
PORTIONS_OF_A_STAGE_MAX = 4


class Pass:
    """One pass over one stage; what it has seen is in its sweeper, and read and written through `memory`.

    This and Portion are no dataclasses: Prefect looks for futures in every field and item of what a task is
    given, which takes longer than mending.
    """

    __slots__ = ("memory", "sweeper")

    def __init__(self, sweeper: Sweeper, memory: Memory) -> None:
        self.sweeper, self.memory = sweeper, memory

    def __str__(self) -> str:
        return self.sweeper.stage


class Portion:
    """Some of the datasets of a pass."""

    __slots__ = ("label", "survey", "swept", "targets")

    def __init__(self, swept: Pass, survey: Survey, targets: Sequence[Target], label: str) -> None:
        self.swept, self.survey, self.targets, self.label = swept, survey, targets, label

    def __str__(self) -> str:
        return self.label


def portions(found: Sequence[tuple[Pass, Survey]]) -> list[Portion]:
    """Return the work of a sweep over these stages in portions; those of one stage are about the same size."""
    each_max = max(1, min(PORTIONS_OF_A_STAGE_MAX, PORTIONS_MAX // max(1, len(found))))
    made: list[Portion] = []
    for swept, survey in found:
        parts = split(survey.targets, each_max)
        for number, targets in enumerate(parts, 1):
            made.append(Portion(swept, survey, targets, f"{swept} {number}/{len(parts)}"))
    return made


def split(targets: Iterable[Target], parts_max: int) -> list[list[Target]]:
    """Return targets in at most so many parts, none empty, those of one dataset together and in their order."""
    by_dataset: dict[str, list[Target]] = {}
    for target in targets:
        by_dataset.setdefault(_dataset(target), []).append(target)
    groups = list(by_dataset.values())
    count = min(parts_max, len(groups))
    # Dealt like cards: those that take time, what is stale for instance, stand side by side.
    return [list(chain.from_iterable(groups[part::count])) for part in range(count)]


def _dataset(target: Target) -> str:
    attempt = names.parse_attempt(target.name) if target.place is Place.WORK else None
    return target.name if attempt is None else attempt.dataset
