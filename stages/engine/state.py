"""What a dataset's markers say, from the names alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.engine import names

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Markers:
    """The markers of one dataset in one stage.

    `latest` is the highest attempt taken, 0 if there is none. `request` is the name of an operator's
    retry mark that no sweeper has accepted yet; `granted` tells that one was accepted for `latest`.
    """

    latest: int
    ended: bool
    request: str | None
    granted: bool


def read_markers(found: Collection[str], stage: str, dataset: str) -> Markers:
    """Read the names at the top of a dataset's directory."""
    tag = names.tag(stage, dataset)
    prefix = f"taken.{tag}."
    latest = 0
    for name in found:
        if name.startswith(prefix) and name[len(prefix) :].isdecimal():
            latest = max(latest, int(name[len(prefix) :]))
    # `touch retry.phase4` is taken in any generation: nobody should have to know about them.
    request = next((name for name in (f"retry.{tag}", f"retry.{stage}") if name in found), None)
    return Markers(
        latest=latest,
        ended=names.ended(tag, latest) in found,
        request=request,
        granted=accepted(tag, latest) in found,
    )


def accepted(tag: str, number: int) -> str:
    """Return the name that a retry mark gets when it is bound to an attempt."""
    return f"retry.{tag}.{number}"
