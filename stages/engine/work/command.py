"""Command: the words of stage.toml with an order's facts put in. Pure."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

from stages.engine.work.order import Order

PLACEHOLDERS = ("input", "output", "scratch", "dataset", "attempt", "stage")


def check_command(command: Sequence[str]) -> None:
    """Raise ValueError, in one line, for a command that can never be rendered or started."""
    if not command or not command[0].strip():
        raise ValueError("the command is empty")
    for word in command:
        for name in _placeholders(word):
            if name not in PLACEHOLDERS:
                known = " ".join(f"{{{one}}}" for one in PLACEHOLDERS)
                raise ValueError(
                    f"unknown placeholder {{{name}}} in {word!r}: there are {known}; a brace itself is {{{{ or }}}}"
                )


def render_command(command: Sequence[str], order: Order) -> list[str]:
    """Return the words to start; `command` has passed `check_command`."""
    facts = _facts(order)
    return [word.format_map(facts) if "{" in word or "}" in word else word for word in command]


def environment(order: Order, stage_directory: str) -> dict[bytes, bytes]:
    """Return what is added to the environment of a command."""
    facts = {f"STAGE_{name.upper()}": value for name, value in _facts(order).items() if name != "stage"}
    facts |= {"STAGE_NAME": order.stage, "STAGE_DIRECTORY": stage_directory}
    return {name.encode(): value.encode(errors="surrogateescape") for name, value in facts.items()}


def _facts(order: Order) -> Mapping[str, str]:
    return {
        "input": order.input,
        "output": order.output,
        "scratch": order.scratch,
        "dataset": order.dataset,
        "attempt": str(order.number),
        "stage": order.stage,
    }


def _placeholders(word: str) -> list[str]:
    """Return what stands between single braces, a conversion or format included: those are not known either."""
    try:
        fields = list(string.Formatter().parse(word))
    except ValueError as error:
        raise ValueError(f"{error} in {word!r}: a brace itself is {{{{ or }}}}") from None
    return [
        name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
        for _, name, form, conversion in fields
        if name is not None
    ]
