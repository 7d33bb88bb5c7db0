"""Do an order's facts reach the words of a command?"""

from __future__ import annotations

import pytest

from stages.engine.work.command import PLACEHOLDERS, check_command, environment, render_command
from stages.engine.work.order import Order

ORDER = Order(
    dataset="ds{1}",
    stage="phase9",
    number=2,
    token="0123abcd",
    input="/d/IN/ds{1}",
    output="/d/w/out",
    scratch="/d/w/scratch",
    watch_seconds=1.0,
)


def test_every_placeholder_is_filled() -> None:
    words = ["tool", *(f"--{name}={{{name}}}" for name in PLACEHOLDERS), "{input}:{output}"]
    check_command(words)
    assert render_command(words, ORDER) == [
        "tool",
        "--input=/d/IN/ds{1}",
        "--output=/d/w/out",
        "--scratch=/d/w/scratch",
        "--dataset=ds{1}",
        "--attempt=2",
        "--stage=phase9",
        "/d/IN/ds{1}:/d/w/out",
    ]


def test_a_brace_is_written_twice() -> None:
    words = ["awk", "{{print $1}}"]
    check_command(words)
    assert render_command(words, ORDER) == ["awk", "{print $1}"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "the command is empty"),
        ([" "], "the command is empty"),
        (["t", "{inptu}"], "unknown placeholder {inptu} in '{inptu}': there are {input} {output}"),
        (["t", "{}"], "unknown placeholder {}"),
        (["t", "{input!r}"], "unknown placeholder {input!r}"),
        (["t", "{attempt:03}"], "unknown placeholder {attempt:03}"),
        (["t", "{input.x}"], "unknown placeholder {input.x}"),
        (["awk", "{print $1"], "a brace itself is {{ or }}"),
        (["t", "x}"], "a brace itself is {{ or }}"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_one_line(words: list[str], says: str) -> None:
    with pytest.raises(ValueError) as refused:
        check_command(words)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_environment() -> None:
    assert environment(ORDER, "/stages/phase9") == {
        b"STAGE_INPUT": b"/d/IN/ds{1}",
        b"STAGE_OUTPUT": b"/d/w/out",
        b"STAGE_SCRATCH": b"/d/w/scratch",
        b"STAGE_DATASET": b"ds{1}",
        b"STAGE_ATTEMPT": b"2",
        b"STAGE_NAME": b"phase9",
        b"STAGE_DIRECTORY": b"/stages/phase9",
    }
