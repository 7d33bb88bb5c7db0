"""What is tidied up in the server's database while no server runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

SECONDS_MAX = 10.0  # somebody may look at it with a tool of his own


def forget_planned(database: Path) -> None:
    """Delete the runs that the scheduler had planned and nobody has begun; it plans anew when it starts.

    They would all come late at once: the server marks each as late, in transactions that get in each other's way, and
    answers nobody for up to a minute (SQLite's `database is locked`; seen with 18). That is all that is at stake, so a
    database that cannot be read, or looks different in another version of Prefect, is left as it is.
    """
    address = f"file:{quote(str(database))}?mode=rw"
    with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True, timeout=SECONDS_MAX)) as opened, opened:
        opened.execute("PRAGMA foreign_keys = ON")  # the states go with their runs
        opened.execute("DELETE FROM flow_run WHERE state_type = 'SCHEDULED' AND auto_scheduled")
