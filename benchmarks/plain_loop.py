"""A plain loop over the work of the pipeline benchmark: one of two processes, each with its half of the datasets.

    python -m benchmarks.plain_loop GATE DIRECTORY... <names

The callable is called as it is, on each dataset in the first directory, then on what came of it, and so on.
"""

from __future__ import annotations

import os
import sys
from itertools import pairwise

from benchmarks import gate
from benchmarks.carried import copy_with_a_line_more
from stages.engine.attempt import Attempt


def main() -> None:
    at, *directories = sys.argv[1:]
    names = sys.stdin.read().split()
    gate.pass_through(at)
    carry_all(directories, names)
    gate.arrive(at)


def carry_all(directories: list[str], names: list[str]) -> None:
    """Carry all datasets through one step after the other."""
    for here, there in pairwise(directories):
        for name in names:
            output = f"{there}/{name}"
            os.mkdir(output)
            copy_with_a_line_more(
                Attempt(dataset=name, stage="", number=1, input=f"{here}/{name}", output=output, scratch="")
            )


if __name__ == "__main__":
    main()
