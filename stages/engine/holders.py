"""Which jobs hold claims now, and what the batch system says of them: hints, never decisions (PROTOCOL 3, STALE)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from stages.engine import names
from stages.engine.errors import DamagedRegisterError
from stages.engine.names import Attempt
from stages.engine.records import Taken, parse_taken
from stages.engine.store import Store

NO_JOB = "-"
Ask = Callable[[Collection[str]], Mapping[str, bool | str]]


class Bulletin:
    """What the batch system said of jobs, asked once for all of them; `ask` None where there is none.

    Calling it answers for one job (`123.0`): True, it certainly ended, or a word if it was the cluster that ended it
    (`preempted`); False, it has not; None, nobody could say.
    """

    def __init__(self, ask: Ask | None = None) -> None:
        self._ask = ask
        self._said: Mapping[str, bool | str] = {}

    def learn(self, jobs: Collection[str]) -> str:
        """Ask about these jobs, and forget what was said before; returns why it could not be asked, else nothing."""
        self._said = {}
        if self._ask is None or not jobs:
            return ""
        try:
            self._said = dict(self._ask(sorted(jobs)))
        except Exception as error:  # noqa: BLE001 - whatever an installed package raises, a sweep goes on without it
            how_many = "1 job that holds claims" if len(jobs) == 1 else f"{len(jobs)} jobs that hold claims"
            return f"the batch system could not be asked about {how_many}, so leases alone decide: {error}"
        return ""

    def __call__(self, job: str) -> bool | str | None:
        return self._said.get(job)


def held(store: Store, directories: Iterable[str]) -> Iterator[tuple[Attempt, Taken]]:
    """Yield the attempts that these names in `_work` stand for, and who took them: one look by path at each.

    What cannot be read is left out: whoever mends the dataset says what is wrong with it.
    """
    for directory in directories:
        attempt = names.parse_attempt(directory)
        if attempt is None:
            continue
        tag = names.tag(store.passage.stage, attempt.dataset)
        where = f"{store.passage.reads.dataset(attempt.dataset)}/{names.taken(tag, attempt.number)}"
        try:
            value = store.registers.get(where)
            owner = None if value is None else parse_taken(value, where)
        except (OSError, DamagedRegisterError):
            continue
        if owner is not None and owner.token == attempt.token:
            yield attempt, owner
