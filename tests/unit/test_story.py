"""Does `explain` tell the whole story, true to its markers, and verify the history behind a result?"""

from __future__ import annotations

import errno
import os

import pytest

from stages.engine.commands.explain import outcome, render
from stages.engine.errors import DamagedRegisterError, UsageError
from stages.engine.records import Ended, EndKind
from stages.engine.work.outcome import OutcomeKind
from tests.fakes import START, FakeWork, answer, fail
from tests.unit.chain import Chain


def told(chain: Chain, dataset: str = "ds1") -> list[str]:
    return list(render(chain.narrator().story(dataset), chain.clock.now()))


def line(chain: Chain, beginning: str, dataset: str = "ds1") -> str:
    (found,) = [each for each in told(chain, dataset) if each.startswith(beginning)]
    return found


@pytest.fixture
def result(chain: Chain) -> Chain:
    """ds1 went through both stages."""
    chain.put("ds1")
    chain.poll("first")
    chain.poll("second")
    return chain


def test_every_stage_has_its_chapter(result: Chain) -> None:
    lines = told(result)
    assert lines[0].startswith(f"first: ds1 is done: {result.path('IN/_done/ds1~')}")
    assert lines[1].startswith("  attempt 1: ")
    assert lines[1].endswith("on node1 pid 4711: published")
    assert lines[2].startswith("second: ds1 is done: ")
    assert lines[4:6] == ["RESULTS: ds1 is published", f"  the result is at {result.path('RESULTS/ds1')}"]
    assert lines[6].startswith(f"history verified: 2 manifests from {result.path('RESULTS/ds1')} back to ")
    assert lines[6].endswith("(10 B in, 3 B out)")


def test_attempts_are_told_in_order_with_their_logs_and_costs(chain: Chain) -> None:
    path = chain.put("ds1")
    chain.poll("first", FakeWork(fail("no luck")))
    token = os.readlink(path / "taken.first.1").partition(":")[0]
    (path / f"log.first.1.{token}").write_text("said")
    chain.clock.advance(40)
    chain.poll("first", FakeWork(answer(OutcomeKind.LATER, "not now")))
    lines = told(chain)
    assert lines[0] == f"first: ds1 is backing off: {path}"
    assert "failed (failure 1): no luck" in lines[1]
    assert lines[2] == f"    log: {path}/log.first.1.{token}"
    assert "given back, not counted: later x1: not now" in lines[3]
    assert "sooner: phaseline retry first ds1 && phaseline sweep first" in lines[4]
    assert lines[5] == f"history: {path} is where it begins"


def test_each_standing_says_what_comes_next(chain: Chain) -> None:
    chain.put("ds1")
    assert "the next poller of first takes it" in line(chain, "  the next")
    claim = chain.claim("first", "ds1")
    os.utime(claim.private, (START - 4, START - 4))
    assert "last heartbeat 4.0 s ago; to give this attempt up: phaseline retry" in line(chain, "  under way")
    os.utime(claim.private, (START - 600, START - 600))
    assert line(chain, "  its owner").endswith("silent for 10 min: the next sweep requeues it: phaseline sweep first")


def test_quarantine_says_how_to_get_out(chain: Chain) -> None:
    chain.put("ds1")
    chain.poll("first", FakeWork(answer(OutcomeKind.REJECT, "no text in it")))
    assert line(chain, "first: ").endswith(str(chain.path("IN/_failed/ds1")))
    assert "quarantined: no text in it" in line(chain, "  attempt")
    assert "look why, mend it, then: phaseline retry first ds1" in line(chain, "  nothing happens")
    chain.phaseline("retry", "first", "ds1")
    assert line(chain, "  a retry was asked for")
    chain.sweep("first")
    assert "an operator gave the whole budget back" in line(chain, "  attempt 2")


def test_blocked_names_what_is_in_the_way(chain: Chain) -> None:
    chain.put("ds1")
    chain.put("ds1", "MID")
    chain.poll("first")
    assert f"{chain.path('MID/ds1')} is in the way" in line(chain, "  published, but")


def test_a_file_in_a_datasets_place_is_told(chain: Chain) -> None:
    chain.path("IN/ds1").touch()
    assert "a dataset is a real directory" in line(chain, "  a dataset")


def test_a_dataset_that_cannot_be_opened_is_told(chain: Chain) -> None:
    path = chain.put("ds1")
    chain.fs.fail("opendir", "IN/ds1", errno.EACCES)
    assert told(chain)[:2] == [
        f"first: ds1 is out of reach (no permission): {path}",
        f"  no poller of another user can claim it: chmod g+rwxs {path}",
    ]


def test_generations_are_told_apart(result: Chain) -> None:
    assert result.phaseline("rerun", "second", "ds1") == 0
    result.poll("second")
    lines = told(result)
    assert sum(each.startswith("history verified: 2 manifests") for each in lines) == 2
    assert any(each.startswith("  attempt 1 of generation 2: ") for each in lines)
    second = told(result, "ds1+g2")
    assert [each.split(": ")[0] for each in second if not each.startswith(" ")] == [
        "second",
        "RESULTS",
        "history verified",
    ]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("IN/_done", "says that attempt"),
        ("MID/_done", "says that attempt"),
    ],
)
def test_a_history_without_its_inputs_is_not_verified(result: Chain, place: str, says: str) -> None:
    (entry,) = result.path(place).iterdir()
    entry.rename(result.path("elsewhere"))
    assert says in line(result, "history NOT verified")


def test_a_changed_manifest_is_noticed(result: Chain) -> None:
    (entry,) = result.path("MID/_done").iterdir()
    manifest = entry / "manifest.json"
    content = manifest.read_text()
    manifest.write_text(content.replace('"bytes_in": 10', '"bytes_in": 11'))
    assert "is not what it was when" in line(result, "history NOT verified")
    manifest.unlink()
    assert "is gone, from which" in line(result, "history NOT verified")


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "cannot be read as JSON"), ("[]", "is no manifest"), ('{"inputs": {}}', "was not written by second")],
)
def test_a_manifest_that_is_none_is_named(result: Chain, content: str, says: str) -> None:
    result.path("RESULTS/ds1/manifest.json").write_text(content)
    assert says in line(result, "history NOT verified")


def test_a_result_that_was_taken_away_leaves_its_story(result: Chain) -> None:
    result.path("RESULTS/ds1").rename(result.path("taken"))
    lines = told(result)
    assert not any(each.startswith("RESULTS") for each in lines)
    assert lines[-1].startswith("history verified: 1 manifest from ")


def test_what_was_made_elsewhere_is_where_the_history_begins(chain: Chain) -> None:
    chain.put("ds1", "MID")
    chain.poll("second")
    assert "1 manifest from" in line(chain, "history verified")


def test_a_damaged_register_is_named_by_its_path(chain: Chain) -> None:
    path = chain.put("ds1")
    (path / "taken.first.1").mkdir()
    with pytest.raises(DamagedRegisterError, match=str(path / "taken.first.1")):
        chain.narrator().story("ds1")


def test_a_name_given_out_whose_data_is_nowhere(chain: Chain) -> None:
    chain.path("_names/ds1").symlink_to("first:0000000a:ada")
    with pytest.raises(UsageError, match=r"given out for first by ada.*type it again"):
        chain.narrator().story("ds1")


def test_names_that_are_like_it_are_suggested(chain: Chain) -> None:
    for name in ("sample-1", "sample-2", "sample-3", "sample-4", "other"):
        chain.put(name)
    with pytest.raises(UsageError, match=r"did you mean sample-1, sample-2, sample-3\?"):
        chain.narrator().story("sample")
    with pytest.raises(UsageError, match=r"did you mean other\?"):
        chain.narrator().story("othre")
    with pytest.raises(UsageError, match="phaseline status shows"):
        chain.narrator().story("zzzzzzz")


def test_losses_are_told_apart_from_failures() -> None:
    def retry(failures: int, lost: int) -> Ended:
        return Ended(kind=EndKind.RETRY, failures=failures, lost=lost, why="gone")

    assert outcome(retry(1, 0), None) == "failed (failure 1): gone"
    assert outcome(retry(1, 2), retry(1, 1)) == "gone (time 2)"
    assert outcome(retry(1, 1), retry(1, 1)) == "given back, not counted: gone"


def test_for_programs_it_is_json(result: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    found = result.json(capsys, "explain", "ds1")
    assert isinstance(found["chapters"], list)
    assert isinstance(found["histories"], list)
    assert len(found["chapters"]) == 3
    history = found["histories"][0]
    assert isinstance(history, dict)
    assert (history["verified"], history["broken"]) == (True, None)
