"""Real datasets through all stages, followed live: Prefect asks for pollers, they carry the datasets.

Without PATHs: the source trees of the Python packages that are installed here, and one tree without any
text, which has to be rejected. The root is PHASELINE_ROOT or --root, else ./demo-root. It can be run
again in the same root: the datasets get fresh names then. At the end nothing runs any more, unless --keep.
"""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from infra.demo import images, show
from infra.demo.by_crew import crew
from infra.demo.by_prefect import stack
from infra.demo.by_slurm import slurm
from infra.demo.show import Company, Demo, DemoError

HELP = "carry real datasets through all stages, here and now"
DATASETS = 30
EXAMPLE = ("numpy", "tokenizers", "datasketch", "matplotlib")
USAGE, FAILED, TERMINATED = 2, 1, 143


def add_arguments(parser: ArgumentParser) -> None:
    """PATH..., how many, and by whom."""
    parser.add_argument("paths", nargs="*", metavar="PATH", type=Path, help="directories of text of your own")
    parser.add_argument("--datasets", type=int, default=DATASETS, metavar="N", help=f"how many (default {DATASETS})")
    parser.add_argument(
        "--slurm", action="store_true", help="on a private SLURM of this machine, for as long as it takes"
    )
    parser.add_argument("--containers", action="store_true", help="each poller in its stage's image, by charliecloud")
    parser.add_argument("--no-prefect", action="store_true", help="start the pollers directly, without Prefect")
    parser.add_argument("--keep", action="store_true", help="leave Prefect up at the end, as `phaseline up` does")
    parser.add_argument("--port", type=int, metavar="N", help="the Prefect server's port (default: 4200 if free)")


def run(arguments: Namespace) -> int:
    """Show all of it; the last line counts what was published and quarantined."""
    missing = [name for name in EXAMPLE if find_spec(name) is None]
    if missing:
        return _fail(f"the example stages need {', '.join(missing)}: pip install 'phaseline[example]'", USAGE)
    if arguments.no_prefect and (arguments.slurm or arguments.containers):
        return _fail("--slurm and --containers go through Prefect: leave --no-prefect out", USAGE)
    if not arguments.no_prefect and find_spec("prefect") is None:
        return _fail("it needs Prefect: pip install 'phaseline[control]', or go without: --no-prefect", USAGE)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        demo = show.opened(arguments)
        return show.run(demo, show.trees(arguments), _carried(demo, arguments))
    except DemoError as error:
        return _fail(str(error), FAILED)


def _carried(demo: Demo, arguments: Namespace) -> AbstractContextManager[Company]:
    if arguments.no_prefect:
        return crew(demo)
    return _by_prefect(demo, arguments)


@contextmanager
def _by_prefect(demo: Demo, arguments: Namespace) -> Generator[Company]:
    nothing: Mapping[str, str] = {}
    image = images.made(demo) if arguments.containers else nothing
    on = slurm(keep=arguments.keep) if arguments.slurm else nullcontext(nothing)
    with on as cluster, stack(demo, port=arguments.port, keep=arguments.keep, more={**image, **cluster}) as company:
        yield company


def _terminate(number: int, frame: object) -> NoReturn:
    """What was started is ended on the way out."""
    del number, frame
    raise SystemExit(TERMINATED)


def _fail(line: str, code: int) -> int:
    print(f"phaseline demo: {line}", file=sys.stderr)
    return code
