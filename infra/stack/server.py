"""The server's process: Prefect's own command, with its garbage collected by a thread of its own.

Collected wherever it is due, garbage stops the server for a minute now and then (Prefect 3.8.8 on Python 3.11 and
SQLite; a dozen runs at once will do). Among it are cursors of SQLite; freeing one needs its connection's mutex; and a
connection that waits for the write lock holds that for all of its busy_timeout, 60 s. If that happens to the event
loop, whoever has the write lock cannot finish either. A thread that has to wait there hinders nobody.
"""

from __future__ import annotations

import gc
import runpy
import sys
import time
from threading import Thread

YOUNG, OLD = 1, 2  # generations
YOUNG_SECONDS, ROUNDS = 1.0, 30  # the young ones every second, all every half minute


def main() -> None:
    """Run `prefect` with this process's arguments."""
    gc.disable()
    Thread(target=_collect, name="garbage", daemon=True).start()
    sys.argv[0] = "prefect"
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


def _collect() -> None:
    while True:
        for number in range(1, ROUNDS + 1):
            time.sleep(YOUNG_SECONDS)
            gc.collect(OLD if number == ROUNDS else YOUNG)


if __name__ == "__main__":
    main()
