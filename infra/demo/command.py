"""Real datasets through all stages, by a poller for each stage and a sweeper, followed live.

Without PATHs: the source trees of the Python packages that are installed here, and one tree without any
text, which has to be rejected. The root is PHASELINE_ROOT or --root, else ./demo-root. It can be run
again in the same root: the datasets get fresh names then.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from infra.demo import corpus, progress
from infra.demo.corpus import Tree
from infra.demo.crew import Crew, phaseline
from infra.demo.progress import Progress

HELP = "carry real datasets through all stages, here and now"
DEFAULT_ROOT = "demo-root"
DATASETS = 30
LIMIT_SECONDS = 600.0
LOG_LINES = 12
NEEDED = ("numpy", "tokenizers", "datasketch", "matplotlib")
USAGE, FAILED = 2, 1


class DemoError(Exception):
    """The demo cannot go on; its text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One run of the demo in one root; `turn` counts them."""

    root: Path
    turn: int
    environment: dict[str, str]

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


def add_arguments(parser: ArgumentParser) -> None:
    """PATH... and how many."""
    parser.add_argument("paths", nargs="*", metavar="PATH", type=Path, help="directories of text of your own")
    parser.add_argument("--datasets", type=int, default=DATASETS, metavar="N", help=f"how many (default {DATASETS})")


def run(arguments: Namespace) -> int:
    """Show all of it; the last line counts what was published and quarantined."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return _fail(f"the example stages need {', '.join(missing)}: pip install 'phaseline[example]'", USAGE)
    try:
        return _run(_open(arguments), _trees(arguments))
    except DemoError as error:
        return _fail(str(error), FAILED)


def _run(demo: Demo, trees: Sequence[Tree]) -> int:
    begun = time.monotonic()
    first = progress.parse(demo.call("status", "--json").replace("\n", ""))
    stages = list(first.unfinished)
    _say(f"adding {len(trees)} datasets to {stages[0]}, {sum(tree.size_bytes for tree in trees) / 1e6:.0f} MB in all")
    logs = demo.root / "_jobs" / f"demo-{demo.turn}"
    crew = Crew(demo.root, logs)
    _say(f"starting a poller for each of {', '.join(stages)}, and a sweeper; their logs: {_short(logs)}")
    crew.start(stages)
    try:
        with ThreadPoolExecutor(1) as aside:
            adding = aside.submit(_add, demo, stages[0], trees)
            last = _follow(demo, crew, first, len(trees), adding)
    finally:
        _say("asking pollers and sweeper to end")
        crew.stop()
    _conclude(demo, trees, last)
    published = last.published - first.published
    quarantined = last.count_since(first) - published
    print(f"demo: {published} published, {quarantined} quarantined in {time.monotonic() - begun:.0f} s", flush=True)
    return 0


def _open(arguments: Namespace) -> Demo:
    root = Path(arguments.root or os.environ.get("PHASELINE_ROOT") or DEFAULT_ROOT).expanduser().absolute()
    environment = {**os.environ, "PHASELINE_ROOT": str(root)}
    if arguments.stages:
        environment["PHASELINE_STAGES"] = str(Path(arguments.stages).absolute())
    turn = _turns_before(root) + 1
    demo = Demo(root=root, turn=turn, environment=environment)
    again = "" if turn == 1 else f" again, turn {turn}: the datasets get fresh names that end in -{turn}"
    _say(f"root {_short(root)}{again}")
    demo.call("init")
    return demo


def _turns_before(root: Path) -> int:
    """Each turn leaves its pollers' logs."""
    found = [re.fullmatch(r"demo-([0-9]+)", path.name) for path in root.glob("_jobs/demo-*")]
    return max((int(match[1]) for match in found if match), default=0)


def _trees(arguments: Namespace) -> list[Tree]:
    paths: list[Path] = arguments.paths
    for path in paths:
        if not path.is_dir():
            raise DemoError(f"{path} is no directory: name directories of text")
    if paths:
        return corpus.given(paths)
    odd = corpus.without_text()
    return [*corpus.spread(corpus.installed_trees(), arguments.datasets - len(odd)), *odd]


def _add(demo: Demo, stage: str, trees: Sequence[Tree]) -> None:
    """Bring the trees in while the pollers are at work already, as it is in life."""
    for tree in trees:
        demo.call("add", stage, str(tree.path), "--as", demo.name(tree))


def _follow(demo: Demo, crew: Crew, first: Progress, datasets: int, adding: Future[None]) -> Progress:
    """Show how far it is until nothing is left; raises DemoError when it cannot go on."""
    begun, watch = time.monotonic(), phaseline("status", "--watch", "--json")
    for now in progress.follow(watch, demo.environment):
        is_added = adding.done()
        if is_added:
            adding.result()
        seconds = time.monotonic() - begun
        _show(progress.render(now, before=first, datasets=datasets, seconds=seconds))
        if is_added and now.is_over and now.count_since(first) == datasets:
            _end_line()
            return now
        _check(demo, crew, seconds)
    raise DemoError("`phaseline status --watch` ended: try it by hand")


def _check(demo: Demo, crew: Crew, seconds: float) -> None:
    fallen = crew.fallen()
    if fallen is not None:
        _end_line()
        raise DemoError(f"{fallen.title} ended with {fallen.process.returncode}:\n{_tail(fallen.log)}")
    if seconds > LIMIT_SECONDS:
        _end_line()
        raise DemoError(f"not over after {LIMIT_SECONDS:.0f} s: look with `phaseline status --root {demo.root}`")


def _conclude(demo: Demo, trees: Sequence[Tree], last: Progress) -> None:
    print(demo.call("status"), end="")
    ours = {demo.name(tree) for tree in trees}
    for dataset in last.to_explain:
        if dataset in ours:
            print(f"quarantined: {dataset}, by {progress.last_words(demo.call('explain', dataset, '--json'))}")
    published = sorted(ours - {*last.to_explain})
    if published:
        some = published[len(published) // 2]
        print(f"a report, one of many: {_short(demo.root)}/RESULTS/{some}/report.html")
        print(f"a dataset's story: .venv/bin/phaseline explain {some} --root {_short(demo.root)}")


def _show(line: str) -> None:
    """In place on a terminal, a line each time elsewhere."""
    print(f"\r\033[K{line}" if sys.stdout.isatty() else line, end="" if sys.stdout.isatty() else "\n", flush=True)


def _end_line() -> None:
    if sys.stdout.isatty():
        print(flush=True)


def _say(line: str) -> None:
    print(f"demo: {line}", flush=True)


def _fail(line: str, code: int) -> int:
    print(f"phaseline demo: {line}", file=sys.stderr)
    return code


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
