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
    """A moment: what is unfinished and quarantined by stage, and how many results there are in all.

    `to_explain` are the first quarantined datasets by name; `paused` tells of a stage whose pollers all fail, or is "".
    """

    unfinished: Mapping[str, int]
    in_flight: Mapping[str, int]
    quarantined: Mapping[str, int]
    to_explain: tuple[str, ...]
    paused: str
    published: int

    @property
    def is_over(self) -> bool:
        """Whether nothing waits and nothing is at work in any stage."""
        return not any(self.unfinished.values())

    def count_since(self, before: Progress) -> int:
        """How many have been published or quarantined since an earlier moment."""
        quarantined = sum(self.quarantined.values()) - sum(before.quarantined.values())
        return self.published - before.published + quarantined


def parse(line: str) -> Progress:
    """Read what `phaseline status --json` prints."""
    facts = cast("dict[str, object]", json.loads(line))
    stages = cast("list[dict[str, int | str]]", facts["stages"])
    troubles = [cast("list[dict[str, str]]", stage["needs_a_person"]) for stage in stages]
    results = cast("dict[str, int | str]", facts["results"])
    return Progress(
        unfinished={str(stage["stage"]): sum(int(stage[key]) for key in READY + STUCK) for stage in stages},
        in_flight={str(stage["stage"]): int(stage["in_flight"]) for stage in stages},
        quarantined={str(stage["stage"]): int(stage["quarantined"]) for stage in stages},
        to_explain=tuple(one["dataset"] for some in troubles for one in some if one["standing"] == "quarantined"),
        paused=next((words for stage in stages if (words := _paused(stage))), ""),
        published=int(results["published"]),
    )


def _paused(stage: Mapping[str, object]) -> str:
    pause = cast("Mapping[str, object] | None", stage["paused"])
    return (
        ""
        if pause is None
        else f"the latest {pause['failures']} pollers of {stage['stage']} all failed: {pause['why']}"
    )


def last_words(story: str) -> str:
    """Return why a dataset's last attempt ended, from what `phaseline explain --json` prints."""
    chapter = cast("dict[str, list[dict[str, str]]]", json.loads(story)["chapters"][-1])
    return f"{chapter['stage']}: {chapter['attempts'][-1]['why']}"


def follow(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Progress]:
    """Yield how far it is, every two seconds, from one `phaseline status --watch --json`."""
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, text=True) as watcher:
        try:
            for line in watcher.stdout or ():
                yield parse(line)
        finally:
            watcher.terminate()


def render(now: Progress, *, before: Progress, datasets: int, seconds: float, pollers: str = "") -> str:
    """One line: a bar of what has ended, then how many are in each stage (those at work after a +)."""
    published, ended = now.published - before.published, now.count_since(before)
    quarantined = ended - published
    filled = BAR_CELLS * ended // max(1, datasets)
    stages = "  ".join(
        f"{stage} {count - now.in_flight[stage]}+{now.in_flight[stage]}" for stage, count in now.unfinished.items()
    )
    bar = "#" * filled + "." * (BAR_CELLS - filled)
    rate = f"{60 * ended / seconds:.0f}/min" if seconds > 0 else ""
    parts = (
        f"[{bar}] {ended}/{datasets}",
        stages,
        f"published {published}",
        f"quarantined {quarantined}",
        rate,
        pollers,
    )
    return "  ".join(part for part in parts if part)
