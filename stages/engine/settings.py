"""What the environment says: variables that begin with PHASELINE_."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from stages.engine.errors import UsageError

PREFIX = "PHASELINE_"


def _octal(text: object) -> object:
    """A umask is written as in a shell: 002, 027."""
    if not isinstance(text, str):
        return text
    try:
        return int(text, 8)
    except ValueError:
        raise ValueError("it should be octal, as in a shell: 002") from None


Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The environment's settings; an option on the command line goes before its variable."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
    )

    root: str | None = None
    stages: str | None = None
    allow_short_lease: bool = False  # tests only: a lease under 120 s on a network file system
    umask: Annotated[int, BeforeValidator(_octal), Field(ge=0, le=0o777)] = 0o002
    look_seconds_max: Seconds = 30.0  # an idle poller's longest pause
    grace_seconds: Seconds = 20.0  # how long a poller that is asked to stop has for letting go
    code_version: str = ""
    image: str = ""
    ends_at: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None  # when this job is ended, since the epoch
    parameters: str = ""  # JSON: what the poll run that this poller is the job of was given
    log_level: Literal["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"] = "INFO"


class PollParameters(BaseModel):
    """What a poll run may be given, besides which deployment it is of; an option that is typed goes before."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    stage: str | None = None
    until_idle: bool = False
    datasets: Annotated[int, Field(ge=1)] | None = None


def poll_parameters(text: str) -> PollParameters:
    """Read PHASELINE_PARAMETERS; raises UsageError naming the parameter that cannot be used."""
    try:
        return PollParameters.model_validate_json(text or "{}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"])) or "PHASELINE_PARAMETERS"
        what = "there is no such parameter" if first["type"] == "extra_forbidden" else first["msg"]
        raise UsageError(
            f"parameter {name} = {first['input']!r}: {what}",
            todo=f"parameters of poll: {', '.join(PollParameters.model_fields)}",
        ) from None


def load() -> Settings:
    """Read the environment; raises UsageError naming the variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        variable = PREFIX + ".".join(str(part) for part in first["loc"]).upper()
        what = first["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
        raise UsageError(f"{variable} = {first['input']!r}: {what}", todo=f"change {variable}") from None
