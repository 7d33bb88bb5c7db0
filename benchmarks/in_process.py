"""A poller whose work is nothing, in a process of its own: what `syscalls` follows with strace.

python -m benchmarks.in_process ROOT none|data|full
"""

from __future__ import annotations

import sys

from loguru import logger

from benchmarks.carried import nothing
from benchmarks.engine import poller
from stages.engine.durability import Durability
from stages.engine.work.in_process import InProcessWork

if __name__ == "__main__":
    root, durability = sys.argv[1:]
    logger.remove()
    poller(root, InProcessWork(nothing), durability=Durability(durability)).poll()
