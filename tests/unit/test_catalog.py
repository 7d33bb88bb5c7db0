"""What a stage.toml may say, and that the stages together form one chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.engine import catalog, errors
from stages.engine.durability import Durability
from stages.engine.layout import Root
from stages.engine.policy import RetryRule

CALLABLE = '[work]\ncallable = "stage:process"\n'


def write_stage(top: Path, name: str, reads: str, writes: str, rest: str = CALLABLE) -> None:
    folder = top / name
    folder.mkdir(parents=True)
    (folder / "stage.toml").write_text(f'reads = "{reads}"\nwrites = "{writes}"\n{rest}')


def error_of(top: Path) -> str:
    with pytest.raises(errors.CatalogError) as caught:
        catalog.load(str(top))
    assert "\n" not in str(caught.value)
    assert str(top) in str(caught.value) or "stages form" in str(caught.value)
    return str(caught.value)


def test_defaults_are_complete(tmp_path: Path) -> None:
    write_stage(tmp_path, "first", "A", "B")
    spec = catalog.load(str(tmp_path)).stage("first")
    assert (spec.title, spec.directory) == ("first", str(tmp_path / "first"))
    assert spec.retry == RetryRule()
    assert (spec.lease.heartbeat_seconds, spec.lease.expires_seconds) == (30.0, 180.0)
    assert (spec.output.durability, spec.output.hashing) == (Durability.FULL, True)
    assert spec.work.command is None
    assert not spec.arrival.ready_marker


def test_everything_can_be_said(tmp_path: Path) -> None:
    write_stage(
        tmp_path,
        "first",
        "A",
        "B",
        'title = "Train"\nrequires = ["*.npy"]\n'
        '[work]\ncommand = ["./go", "x"]\nsetup_seconds = 1\ntimeout_seconds = 2.5\n'
        "[retry]\nattempts_max = 7\nbackoff_seconds = [0, 1]\n[lease]\nheartbeat_seconds = 1\nexpires_seconds = 3\n"
        "[pollers]\npollers_max = 2\ndatasets_per_poller = 5\nidle_seconds = 9\n"
        '[output]\ndurability = "none"\nhashing = false\nlog_bytes_max = 10\n[arrival]\nready_marker = true\n',
    )
    spec = catalog.load(str(tmp_path)).stage("first")
    assert spec.work.command == ("./go", "x")
    assert spec.retry == RetryRule(attempts_max=7, backoff_seconds=(0.0, 1.0))
    assert spec.output.durability is Durability.NONE
    assert spec.arrival.ready_marker
    assert spec.requires == ("*.npy",)


def test_the_stages_come_in_order_whatever_their_names(tmp_path: Path) -> None:
    write_stage(tmp_path, "zero", "A", "B")
    write_stage(tmp_path, "one", "B", "C")
    write_stage(tmp_path, "middle", "C", "RESULTS")
    (tmp_path / "engine").mkdir()  # no stage.toml: passed by
    found = catalog.load(str(tmp_path))
    assert found.names == ("zero", "one", "middle")
    assert found.locations == ("A", "B", "C", "RESULTS")
    assert [spec and spec.name for spec in map(found.after, found.stages)] == ["one", "middle", None]
    at = catalog.passage(Root("/r"), found.stage("one"))
    assert (at.stage, at.reads.path, at.writes.path) == ("one", "/r/B", "/r/C")


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("", "'work' is missing"),
        ("[work]\n", "exactly one of 'callable' and 'command'"),
        ('[work]\ncallable = "a:b"\ncommand = ["c"]\n', "exactly one of 'callable' and 'command'"),
        ('[work]\ncallable = "nonsense"\n', "'module:function'"),
        ('[work]\ncommand = "ls -l"\n', "work.command = 'ls -l': it should be a valid tuple"),
        ("[work]\ncommand = []\n", "work.command"),
        (CALLABLE + "[lease]\nexpires_second = 5\n", "unknown key 'lease.expires_second'"),
        (CALLABLE + "[lease]\nexpires_second = 5\n", "did you mean 'expires_seconds'?"),
        (CALLABLE + "[lease]\nzebra = 5\n", "known here: heartbeat_seconds, expires_seconds"),
        (CALLABLE + "[retries]\n", "did you mean 'retry'?"),
        (CALLABLE + "[lease]\nexpires_seconds = 60\n", "90 is the smallest that would do"),
        (CALLABLE + "[lease]\nheartbeat_seconds = 0\n", "lease.heartbeat_seconds = 0: it should be greater than 0"),
        (CALLABLE + "[lease]\nheartbeat_seconds = nan\n", "lease.heartbeat_seconds"),
        (CALLABLE + "[lease]\nheartbeat_seconds = inf\n", "lease.heartbeat_seconds"),
        (CALLABLE + '[lease]\nheartbeat_seconds = "30"\n', "lease.heartbeat_seconds"),
        (CALLABLE + "[lease]\nheartbeat_seconds = true\n", "lease.heartbeat_seconds"),
        (CALLABLE + "[retry]\nattempts_max = 0\n", "retry.attempts_max = 0"),
        (CALLABLE + "[retry]\nattempts_max = 2.5\n", "retry.attempts_max = 2.5"),
        (CALLABLE + "[retry]\nbackoff_seconds = [-1]\n", "retry.backoff_seconds.0 = -1"),
        (CALLABLE + '[output]\ndurability = "most"\n', "output.durability = 'most'"),
        (CALLABLE + "[output]\nhashing = 1\n", "output.hashing = 1"),
        ('requires = ["/etc/*"]\n' + CALLABLE, "cannot match a file of a dataset"),
        ('name = "other"\n' + CALLABLE, "a stage's name is its folder's"),
        ("work = 5\n", "work = 5"),
        ("[work\n", "this is no TOML"),
    ],
)
def test_a_broken_stage_file_is_refused_in_one_line(tmp_path: Path, rest: str, said: str) -> None:
    write_stage(tmp_path, "first", "A", "B", rest)
    assert said in error_of(tmp_path)


@pytest.mark.parametrize("location", ["../A", "_work", "", "A/B", "x" * 65])
def test_a_location_is_a_plain_name(tmp_path: Path, location: str) -> None:
    write_stage(tmp_path, "first", location, "B")
    assert "cannot be a location" in error_of(tmp_path)


def test_a_missing_location_is_named(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "stage.toml").write_text('reads = "A"\n' + CALLABLE)
    assert "'writes' is missing" in error_of(tmp_path)


@pytest.mark.parametrize("name", ["Phase", "2a", "a" * 32, "a.b", "engine"])
def test_a_stage_name_that_is_not_allowed(tmp_path: Path, name: str) -> None:
    write_stage(tmp_path, name, "A", "B")
    with pytest.raises(errors.NameNotAllowedError):
        catalog.load(str(tmp_path))


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ({"a": "A B", "b": "A C"}, "A is read by two stages, 'a' and 'b'"),
        ({"a": "A C", "b": "B C"}, "C is written by two stages, 'a' and 'b'"),
        ({"a": "A B", "b": "B A"}, "circle: A -> B -> A"),
        ({"a": "A A"}, "circle: A -> A"),
        ({"a": "A B", "b": "C D"}, "beside A -> B stage 'b' reads C, which no stage writes"),
        ({"a": "A B", "b": "C D", "c": "D C"}, "beside A -> B there is a circle of b, c"),
    ],
)
def test_stages_that_form_no_chain(tmp_path: Path, chain: dict[str, str], said: str) -> None:
    for name, ends in chain.items():
        write_stage(tmp_path, name, *ends.split())
    assert said in error_of(tmp_path)


def test_only_the_first_stage_may_wait_for_a_ready_marker(tmp_path: Path) -> None:
    write_stage(tmp_path, "a", "A", "B")
    write_stage(tmp_path, "b", "B", "C", CALLABLE + "[arrival]\nready_marker = true\n")
    assert "which stage 'a' publishes without one" in error_of(tmp_path)


def test_an_unknown_stage_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    write_stage(tmp_path, "phase4", "A", "B")
    with pytest.raises(errors.UsageError, match=r"no stage 'phase5'.*did you mean 'phase4'\? stages here: phase4"):
        catalog.load(str(tmp_path)).stage("phase5")


@pytest.mark.parametrize("what", ["nowhere", "empty"])
def test_no_stages_at_all(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.UsageError, match="--stages DIR"):
        catalog.load(str(tmp_path / what))
