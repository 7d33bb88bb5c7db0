"""What an answer of slurmrestd that is not the wanted one means: pure, for all versions.

The HTTP status says little (a wrong partition is 500 with 22.05 and 24.11, 422 with 26.05; an unknown job 500 or 404; a
wrong token 401, 500 or 511), so SLURM's own error number and words decide where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never, cast

from infra.slurm import answers
from infra.slurm.answers import Kind


class Meaning(StrEnum):
    """What follows from an answer."""

    FINE = "fine"
    TRANSIENT = "transient"  # could not be asked, the same may do in a moment
    LATER = "later"  # not while this user's other jobs are as they are
    TOKEN = "token"  # could not be asked, not before there is another token
    LOST = "lost"  # v0.0.38 says of a token that SLURM refuses what it says of a controller that has hung up
    NO_PATH = "no path"  # this version, or this path, is not served
    REFUSED = "refused"  # will never be accepted
    UNKNOWN = "unknown"  # there is no such job, or it is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`words`: what SLURM said, on one line, for people."""

    meaning: Meaning
    words: str = ""


# slurm_errno.h; the numbers have been the same since 22.05.
_UNKNOWN_JOB = frozenset({2017, 2021, 2084})  # invalid job id, already done, already finished
_TOKEN = frozenset({1007, *range(6000, 6100)})  # authentication of the protocol, and by a credential
_LOST = frozenset({-1, 5005})
_WITH_A_JOB = frozenset({2015, 2042})  # nothing free for it now, held: it waits
_OF_SLURMCTLD = range(2000, 3000)
_OF_PARSING = range(9000, 10000)

_UNAUTHORIZED, _NETWORK_AUTHENTICATION = 401, 511
_FORBIDDEN, _NOT_FOUND = 403, 404
_OK, _BAD, _UNPROCESSABLE = range(200, 300), 400, 422


def judge(status: int, answer: object) -> Verdict:
    """Return what an answer means; `answer` is JSON that was read, or text."""
    if isinstance(answer, str):
        return Verdict(meaning=_by_status(status), words=_line(answer) or f"HTTP status {status}")
    errors = [error for error in _errors(answer) if error.number not in _WITH_A_JOB]
    if not errors:
        return Verdict(meaning=_by_status(status), words="" if status in _OK else f"HTTP status {status}")
    words = "; ".join(dict.fromkeys(error.words for error in errors if error.words)) or f"HTTP status {status}"
    numbers = [error.number for error in errors if error.number is not None]
    number = next((one for one in numbers if one not in _LOST), numbers[0] if numbers else None)
    if number in _UNKNOWN_JOB:
        return Verdict(meaning=Meaning.UNKNOWN, words=words)
    if number in _TOKEN or number in _LOST:
        return Verdict(meaning=Meaning.TOKEN if number in _TOKEN else Meaning.LOST, words=words)
    return _by_words(words, number, status)


def warnings_of(answer: object) -> list[str]:
    """Return what slurmrestd has ignored or changed, each once."""
    said = cast("Mapping[str, object]", answer).get("warnings") if isinstance(answer, dict) else None
    found = [_mapping(one).get("description") for one in cast("Sequence[object]", said or [])]
    return list(dict.fromkeys(_line(str(one)) for one in found if one))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Error:
    number: int | None
    words: str


def _errors(answer: object) -> list[_Error]:
    """Return the errors of an answer, of the list `status` too, which says what became of each cancelled job."""
    body = _mapping(answer)
    found: list[_Error] = []
    for one in cast("Sequence[object]", body.get("errors") or []):
        error = _mapping(one)
        number = next((error[key] for key in ("error_number", "error_code", "errno") if key in error), None)
        said = [str(error[key]) for key in ("description", "error") if error.get(key)]
        found.append(_Error(number=number if isinstance(number, int) else None, words=_line(": ".join(said))))
    for one in cast("Sequence[object]", body.get("status") or []):
        error = _mapping(_mapping(one).get("error"))
        number = error.get("code")
        if isinstance(number, int) and number:
            found.append(_Error(number=number, words=_line(str(error.get("message") or error.get("string") or ""))))
    return found


def _by_words(words: str, number: int | None, status: int) -> Verdict:
    """Look SLURM's words up in the table that its tools share; words that are not there are judged by their number."""
    found = answers.judge(words)
    match found.kind:
        case Kind.AWAY:
            meaning = Meaning.TRANSIENT
        case Kind.LATER:
            meaning = Meaning.LATER
        case Kind.REFUSED:
            meaning = Meaning.REFUSED
        case Kind.UNKNOWN_JOB | Kind.OVER:
            meaning = Meaning.UNKNOWN
        case Kind.NO_ACCOUNTING | Kind.STRANGE if number is None:
            meaning = _by_status(status)
        case Kind.NO_ACCOUNTING | Kind.STRANGE if number in _OF_PARSING:
            advice = "look at the job variables 'gres' and 'directives'"  # of a gres that it lacks it says no more
            return Verdict(meaning=Meaning.REFUSED, words=f"{found.text}: {advice}")
        case Kind.NO_ACCOUNTING | Kind.STRANGE:
            meaning = Meaning.REFUSED if number in _OF_SLURMCTLD else Meaning.TRANSIENT
        case _:
            assert_never(found.kind)
    return Verdict(meaning=meaning, words=found.text)


def _by_status(status: int) -> Meaning:
    if status in _OK:
        return Meaning.FINE
    if status in {_UNAUTHORIZED, _NETWORK_AUTHENTICATION, _FORBIDDEN}:
        return Meaning.TOKEN
    if status == _NOT_FOUND:
        return Meaning.NO_PATH
    return Meaning.REFUSED if status in {_BAD, _UNPROCESSABLE} else Meaning.TRANSIENT


def _mapping(said: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", said) if isinstance(said, dict) else {}


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
