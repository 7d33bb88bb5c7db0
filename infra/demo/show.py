"""What the demo does whoever carries it: opens a root, adds the datasets, follows them live, says what came of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from infra.demo import corpus, progress
from infra.demo.corpus import Tree
from infra.demo.crew import phaseline
from infra.demo.progress import Progress

DEFAULT_ROOT = "demo-root"
LIMIT_SECONDS = 600.0


class DemoError(Exception):
    """The demo cannot go on; its text says why and what to do."""


class Company(Protocol):
    """Whoever starts the pollers."""

    def pollers(self) -> str:
        """Say in a few words how many pollers there are, for the line of progress; nothing if that is no news."""
        ...

    def check(self) -> None:
        """Raise DemoError if somebody has ended who should not have."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One run of the demo in one root; `turn` counts them."""

    root: Path
    stages: Path | None
    turn: int
    environment: dict[str, str]

    @property
    def logs(self) -> Path:
        """Each turn leaves a directory: so they are counted."""
        return self.root / "_jobs" / f"demo-{self.turn}"

    def name(self, tree: Tree) -> str:
        """A dataset's name is used once in a root: later turns add their number."""
        return tree.name if self.turn == 1 else f"{tree.name}-{self.turn}"

    def call(self, *words: str) -> str:
        """Run a phaseline command; returns what it prints. Raises DemoError."""
        done = subprocess.run(phaseline(*words), env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise DemoError(f"`phaseline {' '.join(words[:2])} ...` failed: {said}")
        return done.stdout


def opened(arguments: Namespace) -> Demo:
    """Make the root if it is none; raises DemoError."""
    root = Path(arguments.root or os.environ.get("PHASELINE_ROOT") or DEFAULT_ROOT).expanduser().absolute()
    environment = {**os.environ, "PHASELINE_ROOT": str(root)}
    stages = arguments.stages or os.environ.get("PHASELINE_STAGES")
    if stages:
        environment["PHASELINE_STAGES"] = str(Path(stages).absolute())
    turn = _turns_before(root) + 1
    demo = Demo(root=root, stages=Path(stages).absolute() if stages else None, turn=turn, environment=environment)
    again = "" if turn == 1 else f" again, turn {turn}: the datasets get fresh names that end in -{turn}"
    say(f"root {short(root)}{again}")
    demo.call("init")
    demo.logs.mkdir(parents=True)
    return demo


def trees(arguments: Namespace) -> list[Tree]:
    """Return what is fed in: the directories that were named, else what is installed here. Raises DemoError."""
    paths: list[Path] = arguments.paths
    for path in paths:
        if not path.is_dir():
            raise DemoError(f"{path} is no directory: name directories of text")
    if paths:
        return corpus.given(paths)
    odd = corpus.without_text()
    return [*corpus.spread(corpus.installed_trees(), arguments.datasets - len(odd)), *odd]


def stages(demo: Demo) -> list[str]:
    """Return the names of the stages, first to last."""
    return list(_status(demo).unfinished)


def run(demo: Demo, fed: Sequence[Tree], carried: AbstractContextManager[Company]) -> int:
    """Show all of it; the last line counts what was published and quarantined. Raises DemoError."""
    begun = time.monotonic()
    first = _status(demo)
    entry = next(iter(first.unfinished))
    with carried as company:
        say(f"adding {len(fed)} datasets to {entry}, {sum(tree.size_bytes for tree in fed) / 1e6:.0f} MB in all")
        last = _through(demo, fed, company, first)
        _conclude(demo, fed, last)
    published = last.published - first.published
    quarantined = last.count_since(first) - published
    print(f"demo: {published} published, {quarantined} quarantined in {time.monotonic() - begun:.0f} s", flush=True)
    return 0


def _through(demo: Demo, fed: Sequence[Tree], company: Company, first: Progress) -> Progress:
    enough = Event()
    with ThreadPoolExecutor(1) as aside:
        try:
            adding = aside.submit(_add, demo, next(iter(first.unfinished)), fed, enough)
            return _follow(demo, company, first, len(fed), adding)
        finally:
            enough.set()


def _add(demo: Demo, stage: str, fed: Sequence[Tree], enough: Event) -> None:
    """Bring the trees in while the pollers are at work already, as it is in life."""
    for tree in fed:
        if not enough.is_set():
            demo.call("add", stage, str(tree.path), "--as", demo.name(tree))


def _follow(demo: Demo, company: Company, first: Progress, datasets: int, adding: Future[None]) -> Progress:
    """Show how far it is until nothing is left; raises DemoError when it cannot go on."""
    begun, watch = time.monotonic(), phaseline("status", "--watch", "--json")
    try:
        for now in progress.follow(watch, demo.environment):
            is_added = adding.done()
            if is_added:
                adding.result()
            seconds = time.monotonic() - begun
            line = progress.render(now, before=first, datasets=datasets, seconds=seconds, pollers=company.pollers())
            _show(line)
            if is_added and now.is_over and now.count_since(first) == datasets:
                return now
            company.check()
            if now.paused and now.paused != first.paused:  # what an earlier turn left behind passes
                raise DemoError(f"{now.paused}; look with `phaseline status --root {demo.root}`")
            if seconds > LIMIT_SECONDS:
                raise DemoError(
                    f"not over after {LIMIT_SECONDS:.0f} s: look with `phaseline status --root {demo.root}`"
                )
    finally:
        _end_line()
    raise DemoError("`phaseline status --watch` ended: try it by hand")


def _conclude(demo: Demo, fed: Sequence[Tree], last: Progress) -> None:
    print(demo.call("status"), end="")
    ours = {demo.name(tree) for tree in fed}
    for dataset in last.to_explain:
        if dataset in ours:
            print(f"quarantined: {dataset}, by {progress.last_words(demo.call('explain', dataset, '--json'))}")
    published = sorted(ours - {*last.to_explain})
    if published:
        some = published[len(published) // 2]
        print(f"a report, one of many: {short(demo.root)}/RESULTS/{some}/report.html")
        print(f"a dataset's story: .venv/bin/phaseline explain {some} --root {short(demo.root)}")


def _status(demo: Demo) -> Progress:
    return progress.parse(demo.call("status", "--json").replace("\n", ""))


def _turns_before(root: Path) -> int:
    found = [re.fullmatch(r"demo-([0-9]+)", path.name) for path in root.glob("_jobs/demo-*")]
    return max((int(match[1]) for match in found if match), default=0)


def _show(line: str) -> None:
    """In place on a terminal, as much as it is wide; a line each time elsewhere."""
    if sys.stdout.isatty():
        print(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
    else:
        print(line, flush=True)


def _end_line() -> None:
    if sys.stdout.isatty():
        print(flush=True)


def say(line: str) -> None:
    """Print a line of the demo's own."""
    print(f"demo: {line}", flush=True)


def short(path: Path) -> str:
    """Return a path as one would type it here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
