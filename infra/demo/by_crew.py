"""The demo without Prefect: a poller for each stage and a sweeper, started here and ended here."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from infra.demo import show
from infra.demo.crew import Crew
from infra.demo.show import Company, Demo, DemoError

LOG_LINES = 12


class CrewCompany:
    """A crew, as the show sees it."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def pollers(self) -> str:
        return ""

    def check(self) -> None:
        fallen = self._crew.fallen()
        if fallen is not None:
            raise DemoError(f"{fallen.title} ended with {fallen.process.returncode}:\n{_tail(fallen.log)}")


@contextmanager
def crew(demo: Demo) -> Generator[Company]:
    """Start the crew, and end it, whatever happens."""
    stages = show.stages(demo)
    show.say(f"starting a poller for each of {', '.join(stages)}, and a sweeper; their logs: {show.short(demo.logs)}")
    started = Crew(demo.root, demo.logs)
    started.start(stages)
    try:
        yield CrewCompany(started)
    finally:
        show.say("asking pollers and sweeper to end")
        started.stop()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
