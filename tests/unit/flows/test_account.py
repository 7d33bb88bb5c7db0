"""Does an operator understand what a sweep did, to which dataset, why, and what to type next?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from flows.account import NAMED_MAX, Account, is_failed, line, message, payload, rows
from stages.engine.finding import Action, Finding
from stages.engine.news import News
from stages.engine.sweeper import Report


def account(
    stage: str,
    *found: tuple[str, Action, str],
    quarantined: str = "",
    told: Mapping[News, Sequence[str]] | None = None,
    trouble: str = "",
    full: bool = True,
) -> Account:
    report = Report(
        stage=stage,
        full=full,
        opened=1234,
        findings=tuple(
            Finding(dataset=name, action=action, where=f"/data/{name}", why=why) for name, action, why in found
        ),
        seconds=0.25,
        quarantined=frozenset(quarantined.split()),
    )
    return Account(
        stage=stage, report=report, trouble=trouble, news=told or {}, why_quarantined={"p1": "rejected: empty"}
    )


BUSY = account(
    "phase4",
    ("r1", Action.REQUEUED, "lost: node1 pid 7 was silent for more than 180 s"),
    ("g1", Action.GRANTED, "operator"),
    ("q1", Action.QUARANTINED, "its poller was lost 10 times"),
    ("b 1", Action.BLOCKED, "/data/P5/b 1 is in the way: move it away"),
    quarantined="q1 p1 old1 old2",
    told={News.QUARANTINED: ["p1", "q1"]},
)
QUIET = account("phase5")
GONE = Account(stage="phase3", trouble="the storage failed (Input/output error): /data/P3")


def test_the_table_says_who_what_why_and_what_to_type() -> None:
    mend = "phaseline explain {0}; mend the cause, then: phaseline retry phase4 {0}"
    gone, there = "lost: node1 pid 7 was silent for more than 180 s", "/data/P5/b 1 is in the way: move it away"
    nothing = "nothing: the next poller takes it"
    assert [tuple(row.values()) for row in rows([QUIET, BUSY])] == [
        ("phase4", "p1", "quarantined", "rejected: empty", mend.format("p1")),
        ("phase4", "q1", "quarantined", "its poller was lost 10 times", mend.format("q1")),
        ("phase4", "b 1", "blocked", there, "move away what is in the way: the next sweep goes on"),
        ("phase4", "r1", "requeued", gone, nothing),
        ("phase4", "g1", "given another try", "somebody asked for it", nothing),
        ("phase5", "", "nothing to do", "1,234 looked at", ""),
        ("phase4", "", "2 in quarantine", "reported before", "phaseline status; all: phaseline retry phase4 '*'"),
    ]


@pytest.mark.parametrize("action", list(Action))
def test_every_finding_has_a_next_step_that_a_shell_takes(action: Action) -> None:
    (row,) = rows([account("phase4", ("a b'c", action, "so it is"))])
    assert row["type next"]
    assert row["type next"].startswith("nothing: ") or "a b'c" not in row["type next"]


def test_every_row_has_the_same_columns() -> None:
    assert len({tuple(row) for row in rows([GONE, BUSY, QUIET])}) == 1


def test_the_message_says_first_what_a_person_has_to_know() -> None:
    assert message([QUIET, BUSY]) == (
        "2 quarantined in phase4, 1 blocked in phase4, 1 requeued in phase4, 1 given another try in phase4; "
        "2 in quarantine since before"
    )
    assert message([GONE, QUIET]) == "phase3 was not swept: the storage failed (Input/output error): /data/P3"


def test_the_message_of_a_quiet_sweep() -> None:
    assert message([QUIET]) == "nothing to do: 1,234 looked at in 1 stage"
    assert message([QUIET, account("phase4", quarantined="old1")]) == (
        "nothing to do: 2,468 looked at in 2 stages; 1 in quarantine since before"
    )


def test_the_message_of_many_stages_stays_readable() -> None:
    found = [account(f"s{number}", ("r1", Action.REQUEUED, "lost")) for number in range(30)]
    assert len(message(found)) < 400
    assert message(found).endswith("more in the artifact")


def test_a_line_for_the_log() -> None:
    assert line(GONE) == "phase3: not swept: the storage failed (Input/output error): /data/P3"
    assert line(account("phase4", full=False)) == (
        "phase4: 1,234 looked at (those that can need it) in 0.2 s: nothing to do"
    )
    assert line(account("phase4", ("r1", Action.REQUEUED, "lost"), trouble="boom")).endswith(
        "1 requeued; not whole: boom"
    )


def test_what_waits_for_a_person_is_no_failure_of_the_sweep() -> None:
    assert not is_failed([BUSY, QUIET])
    assert is_failed([QUIET, GONE])
    assert is_failed([account("phase4", ("x1", Action.STORAGE, "Input/output error"))])


def test_an_event_counts_all_and_names_the_first() -> None:
    many = account("phase4", told={News.QUARANTINED: [f"x {number:03}" for number in range(500)], News.REQUEUED: ["r"]})
    said = payload(many, News.QUARANTINED)
    assert (said["stage"], said["count"]) == ("phase4", 500)
    assert said["datasets"] == [f"x {number:03}" for number in range(NAMED_MAX)]
    assert said["next"] == "phaseline explain 'x 000'; mend the cause, then: phaseline retry phase4 DATASET"
    assert payload(many, News.REQUEUED)["next"] == "nothing: the next poller takes them"
    assert (
        payload(account("phase4", told={News.STUCK: ["x"]}), News.STUCK)["next"] == "phaseline status says what to do"
    )
