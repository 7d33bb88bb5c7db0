"""Do the tables of docs/ say what the code says?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from pydantic import BaseModel

from stages.engine.cli import ENGINE
from stages.engine.commands.status import render
from stages.engine.errors import ExitCode
from stages.engine.settings import PREFIX, Settings
from stages.engine.spec import StageSpec, Table
from stages.engine.standing import Standing
from stages.engine.status import Status
from stages.engine.work import command
from stages.engine.work.order import Order
from tests.repository.checkout import ROOT, name

README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
AUTHORS, OPERATORS, PROTOCOL = (ROOT / "docs" / f"{page}.md" for page in ("authors", "operators", "protocol"))
WORK = {"work.callable": "one of the two", "work.command": "one of the two"}
FROM_THE_FOLDER = {"name", "directory"}
ORDER = Order(dataset="", stage="", number=1, token="", input="", output="", scratch="", watch_seconds=1)


def rows(document: Path, first_header: str) -> list[list[str]]:
    """The cells of the one table of a document whose first column is headed so."""
    found: list[list[str]] = []
    for block in re.findall(r"(?:^\|.*\n)+", document.read_text(encoding="utf-8"), re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in block.splitlines()]
        if lines[0][0] == first_header:
            found += lines[2:]
    assert found, f"{name(document)} has no table that begins with {first_header!r}"
    return found


def code(cell: str) -> str:
    return cell.replace("`", "")


def keys(model: type[BaseModel], table: str = "") -> Iterator[tuple[str, object]]:
    """Every key of a stage.toml with what stands in its place where it says nothing."""
    for field_name, field in model.model_fields.items():
        key = f"{table}{field.alias or field_name}"
        if key in FROM_THE_FOLDER:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, Table):
            yield from keys(field.annotation, f"{key}.")
        else:
            yield key, "required" if field.is_required() else field.get_default()


def toml(value: object) -> str:
    """A default as one would write it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml, cast('tuple[object, ...]', value)))}]"
    return json.dumps(value) if isinstance(value, str | bool) else str(value)


def test_authors_are_told_every_key_of_stage_toml_with_its_default() -> None:
    told = {code(key): code(default) for key, default, _ in rows(AUTHORS, "key")}
    there = {key: value if value == "required" else toml(value) for key, value in keys(StageSpec)}
    assert told == {**there, **WORK, "title": "the folder's name"}


def test_authors_are_told_what_a_command_is_given() -> None:
    told = {code(row[0]) for row in rows(AUTHORS, "variable")}
    assert told == {variable.decode() for variable in command.environment(ORDER, "/stage")}
    page = AUTHORS.read_text(encoding="utf-8")
    assert [word for word in command.PLACEHOLDERS if f"`{{{word}}}`" not in page] == []


def test_operators_are_told_every_setting() -> None:
    told = {code(row[0]) for row in rows(OPERATORS, "variable")}
    assert told == {PREFIX + field.upper() for field in Settings.model_fields} | {"PHASELINE_DEBUG"}


def test_operators_are_told_every_exit_code() -> None:
    told = {int(row[0]) for row in rows(OPERATORS, "exit code")}
    assert {int(exit_code) for exit_code in ExitCode} <= told


def test_operators_are_told_every_standing_and_command() -> None:
    assert {row[0] for row in rows(OPERATORS, "status says")} == {str(standing) for standing in Standing}
    page = OPERATORS.read_text(encoding="utf-8")
    assert [word for word in ENGINE if f"phaseline {word}" not in page] == []


def test_the_protocol_names_modules_that_exist() -> None:
    named = set(re.findall(r"`([a-z_]+\.py)`", PROTOCOL.read_text(encoding="utf-8")))
    assert named
    assert {module for module in named if not (ROOT / "stages" / "engine" / module).is_file()} == set()


def test_the_demo_in_the_readme_looks_like_the_demo() -> None:
    """Its numbers differ from one machine to the next; `.ci/run` lets it happen twice."""
    shown = re.findall(r"^```text\n(demo:.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(shown) == 1
    lines = shown[0].splitlines()
    last = re.fullmatch(r"demo: (\d+) published, \d+ quarantined in \d+ s", lines[-1])
    assert last is not None
    status = Status(stages=(), results_at="demo-root/RESULTS", results=int(last[1]))
    above, below, results = (line.split() for line in render(status))
    at = [line.split() for line in lines].index(above)
    assert lines[at + 1].split() == below
    assert results in [line.split() for line in lines[at:]]


def anchor(heading: str) -> str:
    """How a forge calls a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]*(?:#[^)]*)?)\)", document.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE) if heading else []
        assert not heading or heading in map(anchor, headings), target
