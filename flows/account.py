"""What a sweep has done, in words for an operator: a table, a line for each stage, a message, events. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from flows.tables import Row
from stages.engine.finding import Action, Finding
from stages.engine.news import News
from stages.engine.sweeper import Report

NAMED_MAX = 100  # datasets that an event names
MESSAGE_PARTS_MAX = 12  # of the final state's message; the artifact has them all
NOTHING = "nothing: "
NEXT_SWEEP = "the next sweep goes on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One stage in one sweep. `report` is None if it could not be looked at, `trouble` says why it is not whole.

    `why_quarantined` has the reasons of those that pollers have quarantined since the last sweep, the first few.
    """

    stage: str
    report: Report | None = None
    trouble: str = ""
    news: Mapping[News, Sequence[str]] = field(default_factory=dict[News, Sequence[str]])
    why_quarantined: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def findings(self) -> Sequence[Finding]:
        """What was done, and found."""
        return () if self.report is None else self.report.findings

    @property
    def by_pollers(self) -> list[str]:
        """The datasets that are new in quarantine and that this sweep did not put there."""
        by_sweep = {finding.dataset for finding in self.findings if finding.action is Action.QUARANTINED}
        return [dataset for dataset in self.news.get(News.QUARANTINED, ()) if dataset not in by_sweep]

    @property
    def known(self) -> int:
        """How many stand in quarantine of whom people were told before."""
        return 0 if self.report is None else len(self.report.quarantined) - len(self.news.get(News.QUARANTINED, ()))

    @property
    def counts(self) -> Counter[Action]:
        """How many datasets of each kind."""
        found = Counter(finding.action for finding in self.findings)
        if self.by_pollers:
            found[Action.QUARANTINED] += len(self.by_pollers)
        return found

    @property
    def failed(self) -> bool:
        """Whether this stage was not, or not wholly, swept for its storage's sake."""
        return bool(self.trouble) or self.counts[Action.STORAGE] > 0


def rows(accounts: Sequence[Account]) -> list[Row]:
    """Return the table: what needs a person first, then what was done, then stages without any."""
    unswept = [
        _row(one.stage, "", "not swept", one.trouble, "mend that; the next sweep tries again")
        for one in accounts
        if one.trouble
    ]
    urgent: list[Row] = []
    done: list[Row] = []
    quiet: list[Row] = []
    for one in accounts:
        urgent += [_of_poller(one, dataset) for dataset in one.by_pollers]
        for finding in one.findings:
            into = urgent if finding.action.needs_a_person or finding.action is Action.STORAGE else done
            into.append(
                _row(one.stage, finding.dataset, _word(finding.action), _why(finding), _next(one.stage, finding))
            )
        if one.known:
            todo = f"phaseline status; all: phaseline retry {one.stage} '*'"
            quiet.append(_row(one.stage, "", f"{one.known:,} in quarantine", "reported before", todo))
        elif one.report is not None and not one.findings and not one.by_pollers:
            quiet.append(_row(one.stage, "", "nothing to do", f"{one.report.opened:,} looked at", ""))
    return [*unswept, *urgent, *done, *quiet]


def message(accounts: Sequence[Account]) -> str:
    """Return one line for the final state: "1 quarantined in phase2a, 2 requeued in phase4"."""
    parts = [f"{one.stage} was not swept: {one.trouble}" for one in accounts if one.trouble]
    counts = [(one.stage, one.counts) for one in accounts]
    by_kind = [(action, stage, found[action]) for action in Action for stage, found in counts if found[action]]
    by_kind.sort(key=lambda each: not (each[0].needs_a_person or each[0] is Action.STORAGE))
    counted = [f"{count:,} {_word(action)} in {stage}" for action, stage, count in by_kind]
    if len(counted) > MESSAGE_PARTS_MAX:
        counted = [*counted[:MESSAGE_PARTS_MAX], "more in the artifact"]
    parts += [", ".join(counted)] if counted else []
    known = sum(one.known for one in accounts)
    if not parts:
        opened = sum(one.report.opened for one in accounts if one.report is not None)
        parts.append(f"nothing to do: {opened:,} looked at in {_stages(len(accounts))}")
    if known:
        parts.append(f"{known:,} in quarantine since before")
    return "; ".join(parts)


def line(one: Account) -> str:
    """Return one line for the log."""
    if one.report is None:
        return f"{one.stage}: not swept: {one.trouble}"
    extent = "" if one.report.full else " (those that can need it)"
    done = ", ".join(f"{count:,} {_word(action)}" for action, count in sorted(one.counts.items())) or "nothing to do"
    trouble = f"; not whole: {one.trouble}" if one.trouble else ""
    return f"{one.stage}: {one.report.opened:,} looked at{extent} in {one.report.seconds:.1f} s: {done}{trouble}"


def payload(one: Account, kind: News) -> dict[str, object]:
    """Return what an event says: how many, the first of them by name, and what to do."""
    datasets = one.news[kind]
    return {
        "stage": one.stage,
        "count": len(datasets),
        "datasets": list(datasets[:NAMED_MAX]),
        "next": _after(one.stage, kind, datasets),
    }


def _after(stage: str, kind: News, datasets: Sequence[str]) -> str:
    match kind:
        case News.QUARANTINED:
            return (
                f"phaseline explain {shlex.quote(datasets[0])}; mend the cause, then: phaseline retry {stage} DATASET"
            )
        case News.STUCK:
            return "phaseline status says what to do"
        case News.REQUEUED:
            return f"{NOTHING}the next poller takes them"
        case _:
            assert_never(kind)


def _of_poller(one: Account, dataset: str) -> Row:
    why = one.why_quarantined.get(dataset, "its poller put it there: see its log")
    return _row(one.stage, dataset, Action.QUARANTINED, why, _mend_and_retry(one.stage, dataset))


def _row(stage: str, dataset: str, what: str, why: str, todo: str) -> Row:
    return {"stage": stage, "dataset": dataset, "what": str(what), "why": why, "type next": todo}


_WORDS = {
    Action.GRANTED: "given another try",
    Action.PUBLISHED: "published to the end",
    Action.CLEANED: "cleaned up after",
    Action.NO_PERMISSION: "without permission",
    Action.STORAGE: "could not be read",
}


def _word(action: Action) -> str:
    return _WORDS.get(action, str(action))


def _stages(count: int) -> str:
    return "1 stage" if count == 1 else f"{count} stages"


def _mend_and_retry(stage: str, dataset: str) -> str:
    name = shlex.quote(dataset)
    return f"phaseline explain {name}; mend the cause, then: phaseline retry {stage} {name}"


_BY_ITSELF = {
    Action.REQUEUED: "the next poller takes it",
    Action.GRANTED: "the next poller takes it",
    Action.PUBLISHED: "it is done",
    Action.CLEANED: "it is done",
    Action.SUSPECTED: "the next sweep decides",
    Action.STORAGE: "the next sweep tries again; if it stays so, look at the storage",
}


def _why(finding: Finding) -> str:
    match finding.action:
        case Action.GRANTED:
            return "somebody asked for it"
        case Action.CLEANED:
            return "its attempt has ended"
        case _:
            return finding.why


def _next(stage: str, finding: Finding) -> str:
    if finding.action in _BY_ITSELF:
        return NOTHING + _BY_ITSELF[finding.action]
    where = shlex.quote(finding.where)
    match finding.action:
        case Action.QUARANTINED:
            return _mend_and_retry(stage, finding.dataset)
        case Action.BLOCKED:
            return f"move away what is in the way: {NEXT_SWEEP}"
        case Action.NO_PERMISSION:
            return f"chmod g+rwxs {where}"
        case Action.NOT_A_DATASET:
            return f"move it away, or rename it: {where}"
        case Action.UNKNOWN_ATTEMPT:
            return f"ls -l {where}; move it away if nobody misses it"
        case _:
            return f"ls -l {where}; remove the name that nobody of ours made"


def is_failed(accounts: Iterable[Account]) -> bool:
    """Whether any stage was not wholly swept: what a person has to look at is no failure of the sweep's."""
    return any(one.failed for one in accounts)
