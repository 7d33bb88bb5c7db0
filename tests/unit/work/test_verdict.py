"""Is everything that can become of an attempt said in words, and told apart?"""

from __future__ import annotations

import errno
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.engine.errors import RejectDataset, TryLater
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind, Stop, settled, stopped
from stages.engine.work.verdict import (
    WHY_CHARACTERS_MAX,
    of_death,
    of_exception,
    of_exit,
    of_timeout,
    was_asked_to_end,
)
from stages.engine.work.wire import decode_outcome, encode_outcome, has_opened

OOM = "killed by signal 9 (SIGKILL), out of memory: the cgroup's OOM killer ended it, so the stage needs more memory"
HERE = __file__.rpartition("/")[0]


def judged(error: BaseException, *, attempt_paths: tuple[str, ...] = ()) -> Outcome:
    """The outcome of an error that was raised by a stage in this folder."""
    try:
        raise error
    except BaseException as raised:  # noqa: BLE001 - SystemExit too
        return of_exception(raised, stage_directory=HERE, attempt_paths=attempt_paths)


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "begins", "signature"),
    [
        (ValueError("bad  row\nin line 3"), "ValueError: bad row in line 3 (test_verdict.py:", "ValueError"),
        (ValueError(), "ValueError (test_verdict.py:", "ValueError"),
        (MuteError(), "MuteError (test_verdict.py:", "MuteError"),
        (MemoryError("x"), "out of memory (MemoryError) (test_verdict.py:", "MemoryError"),
        (SystemExit(3), "sys.exit(3) instead of a return (test_verdict.py:", "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt (test_verdict.py:", "KeyboardInterrupt"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a"), "FileNotFoundError: [Errno 2]", "FileNotFoundError"),
    ],
)
def test_an_exception_is_a_failure_with_its_place(error: BaseException, begins: str, signature: str) -> None:
    outcome = judged(error)
    assert outcome.kind is OutcomeKind.FAIL
    assert outcome.why.startswith(begins)
    assert outcome.signature.startswith(f"{signature} test_verdict.py:")


def test_the_same_line_fails_in_the_same_way_whatever_it_says() -> None:
    first, second = (judged(ValueError(text)) for text in ("row 1", "row 2"))
    assert first.signature == second.signature
    assert first.why != second.why


def test_an_exception_from_elsewhere_has_no_place() -> None:
    try:
        raise ValueError("deep")
    except ValueError as error:
        outcome = of_exception(error, stage_directory="/another/stage")
    assert (outcome.why, outcome.signature) == ("ValueError: deep", "ValueError")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE])
def test_what_the_storage_does_is_the_storages(number: int) -> None:
    assert judged(OSError(number, "text")).kind is OutcomeKind.STORAGE


def test_storage_is_found_behind_another_error() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/data/out/x")
    caused = RuntimeError("could not save")
    caused.__cause__ = full
    during = RejectDataset("unreadable")
    during.__context__ = full
    grouped = ExceptionGroup("two", [ValueError(), full])
    for error in (caused, during, grouped):
        assert judged(error).kind is OutcomeKind.STORAGE
    assert judged(caused).why.startswith("no space left: /data/out/x (test_verdict.py:")


def test_from_none_hides_what_was_before() -> None:
    rejected = RejectDataset("a broken sector")
    rejected.__context__ = OSError(errno.EIO, "text")
    rejected.__suppress_context__ = True
    assert judged(rejected).kind is OutcomeKind.REJECT


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert judged(first).kind is OutcomeKind.FAIL


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/IN/ds/out/x", OutcomeKind.STORAGE),
        ("relative", OutcomeKind.STORAGE),
        ("/opt/model/cache", OutcomeKind.FAIL),
    ],
)
def test_a_read_only_image_is_not_the_storage(path: str, kind: OutcomeKind) -> None:
    """Else a stage that writes into its image would end every poller with 75, for ever."""
    error = OSError(errno.EROFS, "Read-only file system", path)
    assert judged(error, attempt_paths=("/data/IN/ds",)).kind is kind


def test_verdicts_of_the_author() -> None:
    assert judged(RejectDataset("no text")) == Outcome(kind=OutcomeKind.REJECT, why="no text")
    assert judged(RejectDataset()).why == "rejected by the stage"
    later = judged(TryLater("licence taken", after_seconds=5))
    assert later == Outcome(kind=OutcomeKind.LATER, why="licence taken", after_seconds=5.0)
    assert judged(TryLater()).after_seconds is None


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_a_time_that_is_none_is_left_to_the_engine(seconds: float) -> None:
    assert judged(TryLater(after_seconds=seconds)).after_seconds is None


@given(st.text(max_size=400))
def test_why_is_one_line_that_fits_and_keeps_the_place(text: str) -> None:
    why = judged(ValueError(text)).why
    assert len(why) <= WHY_CHARACTERS_MAX
    assert why.isprintable()
    assert why.endswith(")")
    assert "(test_verdict.py:" in why


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (0, "bye", PUBLISHED),
        (65, "no rows", Outcome(kind=OutcomeKind.REJECT, why="no rows")),
        (65, "", Outcome(kind=OutcomeKind.REJECT, why="rejected by the stage (exit code 65)")),
        (75, "busy", Outcome(kind=OutcomeKind.LATER, why="busy")),
        (3, "", Outcome(kind=OutcomeKind.FAIL, why="exit code 3", signature="exit code 3")),
        (3, "no\ttool", Outcome(kind=OutcomeKind.FAIL, why="exit code 3: no tool", signature="exit code 3")),
    ],
)
def test_an_exit_code(code: int, said: str, expected: Outcome) -> None:
    assert of_exit(code, said) == expected


@pytest.mark.parametrize(
    ("code", "out_of_memory", "why", "signature"),
    [
        (3, False, "ended with exit code 3", "exit code 3"),
        (-11, False, "killed by signal 11 (SIGSEGV): the stage's code crashed", "signal 11"),
        (-9, False, "killed by signal 9 (SIGKILL): most likely out of memory, or killed by hand", "signal 9"),
        (
            -9,
            True,
            OOM,
            "signal 9",
        ),
        (-15, False, "killed by signal 15 (SIGTERM)", "signal 15"),
        (-40, False, "killed by signal 40", "signal 40"),
    ],
)
def test_a_death(code: int, out_of_memory: bool, why: str, signature: str) -> None:
    expected = Outcome(kind=OutcomeKind.FAIL, why=why, signature=signature)
    assert of_death(code, out_of_memory=out_of_memory) == expected


def test_a_timeout() -> None:
    assert of_timeout(3600.0).why == "took longer than timeout_seconds = 3600"


def test_who_was_asked_to_end() -> None:
    assert all(was_asked_to_end(code) for code in (-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM))
    assert not any(was_asked_to_end(code) for code in (0, 1, -signal.SIGKILL, -signal.SIGSEGV, 128 + signal.SIGKILL))


def test_a_failure_while_the_poller_is_to_stop_is_not_one() -> None:
    failed = of_timeout(1)
    assert settled(failed, None) is failed
    assert settled(failed, Stop.DRAIN) == stopped(Stop.DRAIN)
    assert settled(PUBLISHED, Stop.DEADLINE) is PUBLISHED
    assert settled(PUBLISHED, Stop.REVOKED) == stopped(Stop.REVOKED)


@given(
    st.builds(
        Outcome,
        kind=st.sampled_from(OutcomeKind),
        why=st.text(),
        signature=st.text(),
        after_seconds=st.none() | st.floats(min_value=0, allow_infinity=False),
    )
    | st.just(PUBLISHED),
    st.booleans(),
)
def test_an_outcome_arrives_as_it_was_sent(outcome: Outcome, opened: bool) -> None:
    message = encode_outcome(outcome, has_opened=opened)
    assert (decode_outcome(message), has_opened(message)) == (outcome, opened)
