"""What the tests of work share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stages.engine.work.callable_work import CallableWork
from stages.engine.work.command_work import CommandWork
from tests.unit.work.site import Log, Site

MakeCallable = Callable[..., CallableWork]
MakeCommand = Callable[..., CommandWork]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def callable_work(site: Site) -> Iterator[MakeCallable]:
    """Makes a CallableWork of a stage.py's text."""
    made: list[CallableWork] = []

    def make(text: str, *, name: str = "stage:process", setup: float = 30.0, timeout: float = 30.0) -> CallableWork:
        directory = site.stage(text)
        made.append(
            CallableWork(stage_directory=directory, callable=name, setup_seconds=setup, timeout_seconds=timeout)
        )
        return made[-1]

    yield make
    for work in made:
        work.close()


@pytest.fixture
def command_work(site: Site) -> Iterator[MakeCommand]:
    """Makes a CommandWork of words."""
    made: list[CommandWork] = []

    def make(*command: str, timeout: float = 30.0) -> CommandWork:
        site.stage_directory.mkdir(exist_ok=True)
        made.append(CommandWork(stage_directory=site.stage_directory, command=command, timeout_seconds=timeout))
        return made[-1]

    yield make
    for work in made:
        work.close()
