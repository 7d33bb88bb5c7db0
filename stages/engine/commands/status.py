"""A line for each stage. What is marked with ! waits for a person; below the table stands what to type next.

Where more than 1,000 datasets wait, those at work and 1,000 others are opened, and the last sweep speaks for the rest.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from stages.engine import logs
from stages.engine.commands import context
from stages.engine.commands.context import Context
from stages.engine.inspection import PosixInspection
from stages.engine.manifest import Json
from stages.engine.quantities import duration, moment
from stages.engine.standing import Standing
from stages.engine.status import Observer, StageStatus, Status, Trouble

HELP = "how far everything is, stage by stage"
WATCH_SECONDS = 2.0
NAMES_SHOWN = 3
LONG_AGO_SECONDS = 300.0
HEADINGS = (
    ("", "stage"),
    ("", "waiting"),
    ("in", "flight"),
    ("backing", "off"),
    ("", "stale"),
    ("", "blocked"),
    ("no", "permission"),
    ("", "quarantined"),
    ("", "done"),
    ("oldest", "waiting"),
)
IN_THE_WAY = (Standing.BLOCKED, Standing.DAMAGED, Standing.NOT_A_DATASET)


def add_arguments(parser: ArgumentParser) -> None:
    """[--full] [--watch] [--json]."""
    parser.add_argument("--full", action="store_true", help="open every dataset, however many there are")
    parser.add_argument("--watch", action="store_true", help=f"again every {WATCH_SECONDS:.0f} s, until interrupted")
    parser.add_argument(
        "--json", action="store_true", help="print the counts as JSON; with --watch a document on each line"
    )


def run(arguments: Namespace) -> int:
    """Print the table once, or again and again."""
    at = context.opened(arguments)
    logs.configure("WARNING")
    observer = Observer(fs=at.fs, clock=at.clock, inspection=PosixInspection(), root=at.root, catalog=at.catalog)
    if arguments.watch:
        return _watch(observer, at, arguments)
    status = observer.status(full=arguments.full)
    if arguments.json:
        context.print_json(facts(status, at.root.path))
    else:
        print("\n".join(render(status)))
    return 0


def _watch(observer: Observer, at: Context, arguments: Namespace) -> int:
    """Again and again; as JSON one document on each line."""
    clear = "\033[H\033[2J" if sys.stdout.isatty() and not arguments.json else ""
    try:
        while True:
            status = observer.status(full=arguments.full)
            text = json.dumps(facts(status, at.root.path)) if arguments.json else "\n".join(render(status))
            print(clear + text, flush=True)
            at.clock.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return 0


def render(status: Status) -> Iterator[str]:
    """Yield the lines of the table and what stands below it."""
    rows = [*zip(*HEADINGS, strict=True), *(_row(stage) for stage in status.stages)]
    widths = [max(len(row[column].rstrip("! ")) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [
            cell.rstrip("! ").rjust(width) + ("!" if "!" in cell else " ")
            for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        yield " ".join(cells).rstrip()
    yield f"results: {status.results} published in {status.results_at}"
    for stage in status.stages:
        if stage.pause is not None:
            yield f"! {stage.stage}, no new pollers until {moment(stage.pause.until)}"
            yield f"    the latest {stage.pause.failures} all failed, the last one: {stage.pause.why}"
        yield from _troubles(stage)
        yield from _footnotes(stage)


def _row(stage: StageStatus) -> tuple[str, ...]:
    def cell(*standings: Standing) -> str:
        number = sum(stage.counts.get(standing, 0) for standing in standings)
        return "-" if not number else f"{number}!" if standings[0].needs_a_person else str(number)

    oldest = stage.oldest_waiting_seconds
    return (
        stage.stage,
        cell(Standing.WAITING),
        cell(Standing.IN_FLIGHT),
        cell(Standing.BACKING_OFF),
        cell(Standing.STALE),
        cell(*IN_THE_WAY),
        cell(Standing.NO_PERMISSION),
        cell(Standing.QUARANTINED),
        str(stage.done) if stage.done else "-",
        "-" if oldest is None else duration(oldest),
    )


def _troubles(stage: StageStatus) -> Iterator[str]:
    for standing in Standing:
        named = [trouble for trouble in stage.troubles if trouble.standing is standing]
        if not named:
            continue
        shown = ", ".join(trouble.dataset for trouble in named[:NAMES_SHOWN])
        more = stage.counts.get(standing, 0) - min(len(named), NAMES_SHOWN)
        yield f"! {stage.stage}, {standing}: {shown}" + (f" and {more} more" if more > 0 else "")
        yield f"    {named[0].todo}"


def _footnotes(stage: StageStatus) -> Iterator[str]:
    swept = stage.swept_seconds_ago
    sweep = "no sweep has left a trace" if swept is None else f"last sweep {duration(swept)} ago"
    if stage.counts.get(Standing.ARRIVING, 0):
        yield f"  {stage.stage}: {stage.counts[Standing.ARRIVING]} arriving, their ready.{stage.stage} is not there yet"
    waits_for_a_sweep = stage.retries_asked + stage.counts.get(Standing.STALE, 0)
    if waits_for_a_sweep and (swept is None or swept > LONG_AGO_SECONDS or stage.retries_asked):
        yield f"  {stage.stage}: {waits_for_a_sweep} wait for a sweep, {sweep}: phaseline sweep {stage.stage}"
    if stage.opened < stage.listed:
        rest = stage.listed - stage.opened
        yield (
            f"  {stage.stage}: {stage.opened:,} of {stage.listed:,} datasets were opened, the other {rest:,} are as "
            f"known before ({sweep}); --full opens all"
        )


def facts(status: Status, root: str) -> dict[str, Json]:
    """The same for programs."""
    return {
        "root": root,
        "results": {"location": status.results_at, "published": status.results},
        "stages": [_stage_facts(stage) for stage in status.stages],
    }


def _stage_facts(stage: StageStatus) -> dict[str, Json]:
    return {
        "stage": stage.stage,
        "title": stage.title,
        "reads": stage.reads,
        "writes": stage.writes,
        **{str(standing).replace(" ", "_"): stage.counts.get(standing, 0) for standing in Standing},
        "done": stage.done,
        "oldest_waiting_seconds": stage.oldest_waiting_seconds,
        "listed": stage.listed,
        "opened": stage.opened,
        "swept_seconds_ago": stage.swept_seconds_ago,
        "retries_asked": stage.retries_asked,
        "paused": None if stage.pause is None else asdict(stage.pause),
        "needs_a_person": _named(stage.troubles),
    }


def _named(troubles: Sequence[Trouble]) -> list[Json]:
    return [
        {"dataset": trouble.dataset, "standing": trouble.standing, "path": trouble.path, "todo": trouble.todo}
        for trouble in troubles
    ]
