"""Containerfiles: which steps are found in one, and which are left to podman."""

from __future__ import annotations

import pytest

from infra.containers.errors import BuildError
from infra.containers.recipe import Copy, Install, parse
from stages.engine import catalog
from tests.repository.checkout import ROOT

TEXT = """\
# a comment
FROM python:3.12-slim
WORKDIR /opt/phaseline
COPY pyproject.toml README.md ./
COPY stages/engine stages/engine
RUN pip install --no-cache-dir . \\
    # in between
    --requirement "a b.txt"
ENV A=1 B="x y"
CMD ["phaseline", "poll", "first"]
"""


def test_steps_are_found_in_order() -> None:
    recipe = parse(TEXT, "Containerfile")
    assert recipe.base == "python:3.12-slim"
    assert recipe.steps == (
        Copy(sources=("pyproject.toml", "README.md"), target="/opt/phaseline/./"),
        Copy(sources=("stages/engine",), target="/opt/phaseline/stages/engine"),
        Install(arguments=("--no-cache-dir", ".", "--requirement", "a b.txt"), directory="/opt/phaseline"),
    )
    assert recipe.environment == {"A": "1", "B": "x y"}


@pytest.mark.parametrize(
    "line",
    [
        "RUN apt-get install gcc",
        "RUN pip install x && rm y",
        "RUN pip install $X",
        "COPY --from=other a b",
        "USER nobody",
        "ENV A 1",
        "FROM another",
    ],
)
def test_what_only_a_builder_can_do_is_refused_by_its_line(line: str) -> None:
    with pytest.raises(BuildError, match=r"^C:2: `.*` needs podman or buildah"):
        parse(f"FROM x\n{line}\n", "C")


def test_a_containerfile_has_a_base_and_closes_its_quotes() -> None:
    with pytest.raises(BuildError, match="has no FROM"):
        parse("WORKDIR /x\n", "C")
    with pytest.raises(BuildError, match=r"^C:1: No closing quotation"):
        parse("ENV A='x\n", "C")


@pytest.mark.parametrize("stage", catalog.load(catalog.shipped()).names)
def test_the_shipped_ones_need_no_builder(stage: str) -> None:
    path = ROOT / "stages" / stage / "Containerfile"
    recipe = parse(path.read_text(), str(path))
    assert recipe.environment["PHASELINE_STAGES"] == "/opt/phaseline/stages"
    assert all((ROOT / source).exists() for source in recipe.sources)
