"""A Containerfile as a list of steps, as far as they can be carried out without a container builder. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from infra.containers.errors import BuildError


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Files or directories of the context, and where they go: an absolute path; with a `/` at the end, into it."""

    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """`pip install` with these arguments, started in `directory` of the image."""

    arguments: tuple[str, ...]
    directory: str


Step: TypeAlias = Copy | Install


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an image is made of. `base`: what FROM names. `environment`: what ENV sets."""

    base: str
    steps: tuple[Step, ...]
    environment: Mapping[str, str]

    @property
    def sources(self) -> tuple[str, ...]:
        """Every file and directory that it takes from the context, in order."""
        return tuple(source for step in self.steps if isinstance(step, Copy) for source in step.sources)


def parse(text: str, path: str) -> Recipe:
    """Read a Containerfile; `path` is for messages. Raises BuildError for what only podman or buildah can do."""
    base, directory = "", "/"
    steps, environment = list[Step](), dict[str, str]()
    for number, instruction, rest in _instructions(text):
        words = _words(rest, f"{path}:{number}") if instruction != "CMD" else []
        match instruction:
            case "FROM" if not base and len(words) == 1:
                base = words[0]
            case "WORKDIR" if len(words) == 1:
                directory = posixpath.join(directory, words[0])
            case "COPY" if len(words) > 1 and not words[0].startswith("--"):
                steps.append(Copy(sources=tuple(words[:-1]), target=posixpath.join(directory, words[-1])))
            case "RUN" if words[:2] == ["pip", "install"] and not _SHELL.search(rest):
                steps.append(Install(arguments=tuple(words[2:]), directory=directory))
            case "ENV" if words and all("=" in word for word in words):
                environment.update((name, value) for name, _, value in (word.partition("=") for word in words))
            case "CMD":
                pass  # the job says what to start
            case _:
                raise BuildError(
                    f"{path}:{number}: `{instruction} {rest}` needs podman or buildah (--with podman); else there"
                    " is FROM, WORKDIR, COPY, RUN pip install, ENV and CMD; all else belongs into the base (--from)"
                )
    if not base:
        raise BuildError(f"{path} has no FROM: the first line of a Containerfile names what it builds on")
    return Recipe(base=base, steps=tuple(steps), environment=environment)


_SHELL = re.compile(r"[;&|<>$`*?(){}]")


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, instruction and what follows it; lines that end with a backslash go on."""
    pending, begun = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begun = begun if pending else number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1] + " "
            continue
        instruction, _, rest = (pending + line).strip().partition(" ")
        pending = ""
        yield begun, instruction.upper(), rest.strip()


def _words(rest: str, where: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError as error:
        raise BuildError(f"{where}: {error}: {rest}") from None
