"""A job's output as lines of a log."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from infra.slurm.joblog import CHUNK_BYTES, Position, Source, read_lines
from infra.slurm.runs import LogLine

NOW_US = 1_800_000_000_000_000
SOURCE = Source(run_id="r", path="/jobs/r.0/output", lines_max=100)
START = Position()


def read(chunk: bytes, position: Position = START, *, final: bool = False, source: Source = SOURCE) -> list[LogLine]:
    return list(read_lines(source, chunk, position, at_us=NOW_US, final=final, count_max=500).lines)


def texts(chunk: bytes, *, final: bool = False) -> list[str]:
    return [line.text for line in read(chunk, final=final)]


def stamp(at_us: int) -> str:
    at = datetime.fromtimestamp(at_us // 1_000_000).astimezone()
    return f"{at:%Y-%m-%d %H:%M:%S}.{at_us // 1000 % 1000:03}"


def test_lines_of_ours_keep_their_level_and_time() -> None:
    at_us = NOW_US - 5_250_000
    chunk = f"{stamp(at_us)} WARNING claimed dataset=a b\n{stamp(at_us)} INFO    done\n".encode()
    assert read(chunk) == [
        LogLine(run_id="r", at_us=at_us, level=30, text="claimed dataset=a b"),
        LogLine(run_id="r", at_us=at_us + 1, level=20, text="done"),
    ]


def test_other_lines_get_the_time_of_the_line_before_them_or_now() -> None:
    at_us = NOW_US - 9_000_000
    lines = read(f"begins\n{stamp(at_us)} ERROR   no\nTraceback:\n".encode())
    assert [(line.text, line.level) for line in lines] == [("begins", 20), ("no", 40), ("Traceback:", 20)]
    assert lines[0].at_us == NOW_US
    assert [line.at_us for line in lines] == sorted({line.at_us for line in lines})  # no time goes back


def test_a_level_at_the_beginning_counts() -> None:
    chunk = b"ERROR: disk\n[WARN] hm\nINFORMATION\nCRITICAL x\n"
    assert [line.level for line in read(chunk)] == [40, 30, 20, 50]


def test_a_time_from_another_world_is_not_believed() -> None:
    for year in ("0001", "1970", "9999"):
        assert read(f"{year}-01-01 00:00:00.000 INFO x\n".encode())[0].at_us == NOW_US
    assert texts(b"2026-13-45 00:00:00.000 INFO x\n") == ["2026-13-45 00:00:00.000 INFO x"]


def test_a_line_without_an_end_waits_until_there_is_no_more() -> None:
    assert texts(b"one\ntwo") == ["one"]
    assert texts(b"one\ntwo", final=True) == ["one", "two"]


def test_a_line_that_never_ends_is_cut() -> None:
    assert texts(b"x" * CHUNK_BYTES) == ["x" * CHUNK_BYTES]


def test_what_a_terminal_would_show() -> None:
    assert texts(b"\x1b[31mred\x1b[0m\n 10%\r 20%\r100%\r\n\n \n\x00a\x07b\n") == ["red", "100%", "ab"]


def test_invalid_utf8_does_no_harm() -> None:
    assert texts(b"caf\xe9 \xff\xfe\n") == ["caf� ��"]


def test_the_cap_names_the_whole_file_once() -> None:
    source = Source(run_id="r", path="/jobs/r.0/output", lines_max=2)
    lines = read(b"a\nb\nc\nd\n", source=source, final=True)
    assert [line.text for line in lines] == [
        "a",
        "b",
        "More lines than 2 are not shown here; all stand in /jobs/r.0/output",
    ]
    assert lines[-1].level == 30


@given(
    st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=30),
    st.lists(st.integers(1, 40), min_size=1, max_size=60),
    st.integers(1, 5),
)
def test_however_it_is_cut_into_reads_each_line_comes_once(lines: list[bytes], cuts: list[int], count: int) -> None:
    whole = b"\n".join(lines)
    position, got, end = Position(), list[LogLine](), 0
    for cut in [*cuts, len(whole)]:
        end = min(len(whole), end + cut)
        final = end == len(whole)
        while True:
            excerpt = read_lines(
                SOURCE, whole[position.offset : end], position, at_us=NOW_US, final=final, count_max=count
            )
            position = excerpt.after
            got += excerpt.lines
            if not excerpt.lines:
                break
    assert position.offset == len(whole)
    assert got == read(whole, final=True)
