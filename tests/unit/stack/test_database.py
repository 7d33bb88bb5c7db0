"""What is tidied up while no server runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from infra.stack.database import forget_planned

RUNS = [("a", "SCHEDULED", True), ("b", "SCHEDULED", False), ("c", "RUNNING", True), ("d", "COMPLETED", True)]


def test_what_was_planned_goes_and_what_a_person_asked_for_or_has_begun_stays(tmp_path: Path) -> None:
    path = tmp_path / "a file?.db"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE flow_run (id, state_type, auto_scheduled BOOLEAN)")
        made.executemany("INSERT INTO flow_run VALUES (?, ?, ?)", RUNS)
    forget_planned(path)
    with closing(sqlite3.connect(path)) as left:
        assert left.execute("SELECT id FROM flow_run ORDER BY id").fetchall() == [("b",), ("c",), ("d",)]


def test_what_is_no_such_database_is_left_as_it_is(tmp_path: Path) -> None:
    forget_planned(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("not a database")
    forget_planned(tmp_path / "text.db")
    with closing(sqlite3.connect(tmp_path / "empty.db")) as empty, empty:
        empty.execute("CREATE TABLE other (id)")
    forget_planned(tmp_path / "empty.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.db", "text.db"]
    assert (tmp_path / "text.db").read_text() == "not a database"
