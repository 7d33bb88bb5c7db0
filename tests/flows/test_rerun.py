"""Does an operator get back what was asked for, and is told what would be right when it was not?"""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import pytest
from prefect.client.schemas.objects import State

from flows.rerun import rerun
from stages.engine.work.outcome import OutcomeKind
from tests.fakes import FakeWork, answer
from tests.flows.scenery import Records
from tests.unit.chain import Chain

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture
def chain(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """Two datasets in quarantine and two done, in a root that the environment names."""
    found = Chain(tmp_path_factory.mktemp("chain"))
    for name in ("x1", "x2", "d1", "d2"):
        found.put(name)
    reject = answer(OutcomeKind.REJECT, "empty")
    found.poll("first", FakeWork(x1=reject, x2=reject))
    monkeypatch.setenv("PHASELINE_ROOT", found.root.path)
    monkeypatch.setenv("PHASELINE_STAGES", str(found.stages))
    return found


def asked(**parameters: object) -> tuple[State[object], UUID]:
    """What became of one run of `rerun`, and which it was; parameters as they come from a form."""
    state = cast("State[object]", rerun(**cast("dict[str, Any]", parameters), return_state=True))
    assert state.state_details.flow_run_id is not None
    return state, state.state_details.flow_run_id


def test_quarantined_datasets_come_back(chain: Chain, api_url: str) -> None:
    dry, run = asked(stage="first", datasets=["x*"], state="quarantined", dry_run=True)
    assert (dry.type, dry.message) == ("COMPLETED", "dry run, nothing was changed: 2 would be brought back in first")
    rows = Records(api_url).table("rerun", run)
    assert [(row["dataset"], row["what"]) for row in rows] == [
        ("x1", "would be brought back"),
        ("x2", "would be brought back"),
    ]
    assert all("returns from quarantine at the next sweep" in row["what happens next"] for row in rows)
    assert not chain.path("IN/_failed/x1/retry.first").exists()
    state, _ = asked(stage="first", datasets=["x*"], limit=1)
    assert (state.type, state.message) == ("COMPLETED", "1 brought back, 1 left in first")
    chain.sweep("first")
    chain.poll("first")
    assert chain.ls("MID") == ["d1", "d2", "x1"]


def test_done_datasets_are_processed_once_more(chain: Chain) -> None:
    state, _ = asked(stage="first", datasets=["d1"], state="done")
    assert (state.type, state.message) == ("COMPLETED", "1 brought back in first")
    assert chain.ls("IN") == ["d1+g2"]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"stage": "frist"}, "did you mean 'first'?"),
        ({"datasets": ["y*"]}, "no dataset 'y*' of first is quarantined"),
        ({"datasets": ["x1", "d*"]}, "2 such with state=done"),
        ({"datasets": []}, "at least 1 item"),
        ({"state": "failed"}, "'quarantined', 'backing_off' or 'done'"),
        ({"limit": 0}, "greater than or equal to 1"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused_with_what_would_be_right(
    chain: Chain, wrong: dict[str, object], hint: str
) -> None:
    state, _ = asked(**{"stage": "first", "datasets": ["x*"], **wrong})
    assert state.type == "FAILED"
    assert hint in str(state.message)
    assert not chain.path("IN/_failed/x1/retry.first").exists()


def test_one_that_cannot_come_back_fails_the_run_and_no_other_dataset(chain: Chain) -> None:
    (entry,) = chain.path("IN/_done").glob("d1~*")
    entry.rename(f"{entry}~pruned")
    state, _ = asked(stage="first", datasets=["d*"], state="done")
    assert (state.type, state.message) == ("FAILED", "1 refused, 1 brought back in first")
    assert chain.ls("IN") == ["d2+g2"]
