"""Order: one attempt that the author's code is to make, and the Protocol of whatever can carry it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from stages.engine.attempt import Attempt
from stages.engine.work.outcome import Outcome, Stop

Watch = Callable[[], Stop | None]
Log = Callable[[bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt. All paths are absolute; `output` exists and lies in the attempt's private directory.

    `scratch` does not exist yet; whoever carries out the order may create it. `watch_seconds`: how long the poller can
    do without being asked.
    """

    dataset: str
    stage: str
    number: int
    token: str
    input: str
    output: str
    scratch: str
    watch_seconds: float

    def attempt(self) -> Attempt:
        """Return what the author of a stage is handed."""
        return Attempt(
            dataset=self.dataset,
            stage=self.stage,
            number=self.number,
            input=self.input,
            output=self.output,
            scratch=self.scratch,
        )


def unwatched() -> Stop | None:
    """Never ask to stop."""
    return None


class Work(Protocol):
    """Carries out orders, one at a time, from the main thread of a process that is a subreaper."""

    def prepare(self, watch: Watch = unwatched) -> None:
        """Get ready for an order, before anything is claimed: cheap when ready already.

        Raises StageSetupError when the author's code cannot be brought up. Returns early, not ready, when `watch` asks
        to stop.
        """
        ...

    def run(self, order: Order, watch: Watch, log: Log) -> Outcome:
        """Carry out one order and return only when nothing that it started is left, or say `contained=False`.

        `watch` is called at least every `order.watch_seconds` while the author's code works, and at once when a signal
        arrives; when it answers with a Stop the work is killed. `log` gets every byte of the author's output. What
        either of them raises comes through, after the work was killed. Raises StageSetupError when the author's code
        cannot even be started: the dataset is not to pay for that.
        """
        ...

    def close(self) -> None:
        """End whatever is still there; may be called again."""
        ...
