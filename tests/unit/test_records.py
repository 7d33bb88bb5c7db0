"""Does a register say what was written, and does anything else raise?"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.engine.errors import DamagedRegisterError
from stages.engine.records import VALUE_BYTES_MAX, Ended, EndKind, Taken, parse_ended, parse_taken, printable

COUNTS = st.integers(0, 1000)
TOKENS = st.text("0123456789abcdef", min_size=8, max_size=8)
ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60).map(str.strip)


@given(TOKENS, st.from_regex(r"[A-Za-z0-9-]{1,24}", fullmatch=True), st.integers(1, 2**22), st.sampled_from("-7"))
def test_an_owner_comes_back(token: str, host: str, pid: int, job: str) -> None:
    taken = Taken(token=token, host=host, pid=pid, job=f"{job}.0" if job != "-" else "-")
    assert parse_taken(taken.value) == taken


ENDS = st.builds(
    Ended,
    kind=st.sampled_from(EndKind),
    token=TOKENS,
    failures=COUNTS,
    lost=COUNTS,
    not_before=st.integers(0, 2**34),
    why=ASCII,
)


@given(ENDS)
def test_an_end_comes_back(end: Ended) -> None:
    assert parse_ended(end.value) == end


@given(st.text(), st.integers(0, 2**34))
def test_a_register_is_one_short_printable_line_whatever_the_reason(why: str, not_before: int) -> None:
    value = Ended(kind=EndKind.RETRY, failures=999, lost=10, not_before=not_before, why=why).value
    assert len(value) <= VALUE_BYTES_MAX
    assert re.fullmatch(r"[ -~]+", value)
    again = parse_ended(value)
    assert (again.failures, again.lost, again.not_before) == (999, 10, not_before)
    assert again.value == value


def test_what_cannot_be_printed_becomes_a_question_mark() -> None:
    assert printable("  Größe\tin\nBytes ") == "Gr??e?in?Bytes"


def test_colons_in_a_reason_are_the_reasons() -> None:
    assert parse_ended("retry:-:1:0:9:KeyError: 'a:b'").why == "KeyError: 'a:b'"


def test_a_register_looks_as_the_protocol_says() -> None:
    assert Taken(token="ab9c6d45", host="node17", pid=4711, job="123.0").value == "ab9c6d45:node17:4711:123.0"
    end = Ended(kind=EndKind.RETRY, failures=1, not_before=1795217270, why="boom")
    assert end.value == "retry:-:1:0:1795217270:boom"


@pytest.mark.parametrize("value", ["", "a", "tok:host:pid", "tok:host:x:-", "tok:host:1"])
def test_what_is_no_owner_raises(value: str) -> None:
    with pytest.raises(DamagedRegisterError, match=r"never writes: /here; look who made it"):
        parse_taken(value, "/here")


@pytest.mark.parametrize("value", ["", "retry", "done:-:0:0:0:x", "retry:-:x:0:0:x", "retry:-:0:0:0", "Retry:-:0:0:0:"])
def test_what_is_no_end_raises(value: str) -> None:
    with pytest.raises(DamagedRegisterError, match="remove that one name"):
        parse_ended(value, "/here")
