"""What a stage.toml may say, and what stands where it says nothing (DESIGN 3)."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from stages.engine import names
from stages.engine.durability import Durability
from stages.engine.errors import CatalogError
from stages.engine.policy import ATTEMPTS_IN_ALL, RetryRule

SECONDS_MAX = 10 * 365 * 86400.0  # ten years: what is longer was meant otherwise
HEARTBEATS_IN_A_LEASE = 3  # two heartbeats may be late without the attempt being taken for dead

_CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_RETRY = RetryRule()
_FROM_THE_FOLDER = ("name", "directory")


def _is_location(text: str) -> str:
    if not names.is_location(text):
        raise ValueError(f"{text!r} cannot be a location: a letter or digit, then at most 63 of A-Z a-z 0-9 _ -")
    return text


def _is_callable(text: str) -> str:
    if not _CALLABLE.fullmatch(text):
        raise ValueError(f"{text!r} is not of the form 'module:function'")
    return text


def _is_pattern(text: str) -> str:
    if not text or text.startswith("/") or ".." in text.split("/"):
        raise ValueError(f"{text!r} cannot match a file of a dataset: give a name or pattern such as '*.npy'")
    return text


Seconds = Annotated[float, Field(strict=True, gt=0, le=SECONDS_MAX, allow_inf_nan=False)]
Pause = Annotated[float, Field(strict=True, ge=0, le=SECONDS_MAX, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1)]
Switch = Annotated[bool, Field(strict=True)]
LocationName = Annotated[str, AfterValidator(_is_location)]
Pattern = Annotated[str, AfterValidator(_is_pattern)]


class Table(BaseModel):
    """A table of stage.toml: nothing is changed after loading, and no key passes unread."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")


class WorkTable(Table):
    """What is done: exactly one of `callable` ("module:function") and `command` (a list of words)."""

    callable: Annotated[str, AfterValidator(_is_callable)] | None = None
    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    setup_seconds: Seconds = 300.0
    timeout_seconds: Seconds = 3600.0

    @model_validator(mode="after")
    def _one_of_two(self) -> WorkTable:
        if (self.callable is None) == (self.command is None):
            raise ValueError("exactly one of 'callable' and 'command' must be given")
        return self


class RetryTable(Table):
    """How often a dataset is tried, and how long it waits after each failure; the last wait is for all later ones."""

    attempts_max: Annotated[int, Field(strict=True, ge=1, le=ATTEMPTS_IN_ALL)] = _RETRY.attempts_max
    backoff_seconds: tuple[Pause, ...] = _RETRY.backoff_seconds


class LeaseTable(Table):
    """How often an owner says that it lives, and how long it may be silent before it is taken for dead."""

    heartbeat_seconds: Seconds = 30.0
    expires_seconds: Seconds = 180.0

    @model_validator(mode="after")
    def _long_enough(self) -> LeaseTable:
        least = HEARTBEATS_IN_A_LEASE * self.heartbeat_seconds
        if self.expires_seconds < least:
            raise ValueError(
                f"expires_seconds = {self.expires_seconds:g} is too short for heartbeat_seconds = "
                f"{self.heartbeat_seconds:g}: {least:g} is the smallest that would do"
            )
        return self


class PollersTable(Table):
    """How many pollers a stage has at most, and when one of them ends."""

    pollers_max: Count = 8
    datasets_per_poller: Count = 50
    idle_seconds: Seconds = 300.0


class OutputTable(Table):
    """How an output is sealed before it is published."""

    durability: Durability = Durability.FULL
    hashing: Switch = True
    log_bytes_max: Annotated[int, Field(strict=True, ge=0)] = 10 << 20


class ArrivalTable(Table):
    """`ready_marker`: a dataset counts only once `ready.<stage>`, written last, is in it (PROTOCOL 3, ARRIVE b)."""

    ready_marker: Switch = False


class StageSpec(Table):
    """One stage. `name` is its folder's name, `directory` the folder's absolute path."""

    name: str
    directory: str
    title: str
    description: str = ""
    reads: LocationName
    writes: LocationName
    requires: tuple[Pattern, ...] = ()
    work: WorkTable
    retry_table: RetryTable = Field(default=RetryTable(), alias="retry")
    lease: LeaseTable = LeaseTable()
    pollers: PollersTable = PollersTable()
    output: OutputTable = OutputTable()
    arrival: ArrivalTable = ArrivalTable()

    @property
    def retry(self) -> RetryRule:
        """What the engine's decisions need of `[retry]`."""
        return RetryRule(attempts_max=self.retry_table.attempts_max, backoff_seconds=self.retry_table.backoff_seconds)


def parse_spec(table: dict[str, object], *, name: str, directory: str, where: str) -> StageSpec:
    """Check what a stage.toml says. `where` is its path, for people.

    Raises CatalogError with the first thing that is wrong and what would be right.
    """
    for key in _FROM_THE_FOLDER:
        if key in table:
            raise CatalogError(
                f"key {key!r} is not allowed", where=where, todo="a stage's name is its folder's: remove it"
            )
    try:
        return StageSpec.model_validate({"title": name, **table, "name": name, "directory": directory})
    except ValidationError as error:
        raise _explained(error, where) from None


def _explained(error: ValidationError, where: str) -> CatalogError:
    """Turn pydantic's account into one line; the first error is enough to go on."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden":
            return CatalogError(f"unknown key {key!r}", where=where, todo=_suggestion(first))
        case "missing":
            return CatalogError(f"{key!r} is missing", where=where, todo="add it (docs: what a stage.toml may say)")
        case "value_error":
            what = first["msg"].removeprefix("Value error, ")
            return CatalogError(f"{key}: {what}", where=where)
        case _:
            what = first["msg"].replace("Input should be", "it should be")
            return CatalogError(f"{key} = {first['input']!r}: {what}", where=where)


def _suggestion(error: ErrorDetails) -> str:
    *tables, key = [str(part) for part in error["loc"]]
    model: type[Table] = StageSpec
    for name in tables:
        inner = next(f.annotation for k, f in model.model_fields.items() if (f.alias or k) == name)
        if isinstance(inner, type) and issubclass(inner, Table):
            model = inner
    known = [f.alias or k for k, f in model.model_fields.items() if k not in _FROM_THE_FOLDER]
    close = get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
