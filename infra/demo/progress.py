"""How far the demo's datasets are, as `phaseline status` tells it, and a line or two for a terminal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

BAR_CELLS = 24
READY = ("arriving", "waiting", "in_flight", "backing_off", "stale")
STUCK = ("blocked", "no_permission", "damaged", "not_a_dataset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A moment: what is unfinished and quarantined by stage, and how many results there are in all."""

    unfinished: Mapping[str, int]
    in_flight: Mapping[str, int]
    quarantined: Mapping[str, int]
    published: int

    @property
    def is_over(self) -> bool:
        """Whether nothing waits and nothing is at work in any stage."""
        return not any(self.unfinished.values())


def parse(line: str) -> Progress:
    """Read what `phaseline status --json` prints."""
    facts = cast("dict[str, object]", json.loads(line))
    stages = cast("list[dict[str, int | str]]", facts["stages"])
    results = cast("dict[str, int | str]", facts["results"])
    return Progress(
        unfinished={str(stage["stage"]): sum(int(stage[key]) for key in READY + STUCK) for stage in stages},
        in_flight={str(stage["stage"]): int(stage["in_flight"]) for stage in stages},
        quarantined={str(stage["stage"]): int(stage["quarantined"]) for stage in stages},
        published=int(results["published"]),
    )


def follow(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Progress]:
    """Yield how far it is, every two seconds, from one `phaseline status --watch --json`."""
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, text=True) as watcher:
        try:
            for line in watcher.stdout or ():
                yield parse(line)
        finally:
            watcher.terminate()


def render(now: Progress, *, before: Progress, datasets: int, seconds: float) -> str:
    """One line: a bar of what has ended, then how many are in each stage (those at work after a +)."""
    published = now.published - before.published
    quarantined = sum(now.quarantined.values()) - sum(before.quarantined.values())
    ended = published + quarantined
    filled = BAR_CELLS * ended // max(1, datasets)
    stages = "  ".join(
        f"{stage} {count - now.in_flight[stage]}+{now.in_flight[stage]}" for stage, count in now.unfinished.items()
    )
    bar = "#" * filled + "." * (BAR_CELLS - filled)
    rate = f"{60 * ended / seconds:.0f}/min" if seconds > 0 else ""
    return f"[{bar}] {ended}/{datasets}  {stages}  published {published}  quarantined {quarantined}  {rate}"
