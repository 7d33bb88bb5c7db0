"""What people are told of a sweep: each dataset once, however many sweeps find it as it was. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from stages.engine.finding import Action
from stages.engine.sweeper import Report


class News(StrEnum):
    """What has become of some datasets of a stage since it was last told."""

    QUARANTINED = "quarantined"
    STUCK = "stuck"  # nothing goes on there until a person has looked, and it is no quarantine
    REQUEUED = "requeued"


BACK = frozenset({Action.REQUEUED, Action.GRANTED})


def standing(report: Report, told: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return what people know of a stage once they have been told of this pass; `told`: what they knew before.

    A pass that did not open everything says nothing of what it did not see: what was stuck is taken to be so still.
    """
    stuck = {finding.dataset for finding in report.findings if _is_stuck(finding.action)}
    if not report.full:
        stuck |= {*told.get(News.STUCK, ())}
    return {News.QUARANTINED: sorted(report.quarantined), News.STUCK: sorted(stuck)}


def news(report: Report, told: Mapping[str, Sequence[str]]) -> dict[News, list[str]]:
    """Return the datasets that there is news of, sorted, by what it is; only what holds any."""
    now = standing(report, told)
    found = {kind: sorted({*now[kind]} - {*told.get(kind, ())}) for kind in (News.QUARANTINED, News.STUCK)}
    found[News.REQUEUED] = sorted({finding.dataset for finding in report.findings if finding.action in BACK})
    return {kind: datasets for kind, datasets in found.items() if datasets}


def _is_stuck(action: Action) -> bool:
    return action.needs_a_person and action is not Action.QUARANTINED
