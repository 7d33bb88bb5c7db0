"""Does the page on job variables say what the worker knows?"""

from __future__ import annotations

from infra.containers.image import DIRECTORY
from infra.slurm.contained import OF_THE_NODE
from infra.slurm.variables import RUNTIME
from tests.repository import job_variables


def test_the_table_is_that_of_the_code() -> None:
    assert job_variables.written() == job_variables.due(), "python -m tests.repository.job_variables"


def test_the_page_names_what_passes_and_what_a_site_sets() -> None:
    page = job_variables.PAGE.read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in (DIRECTORY, RUNTIME))
    assert {name for name in OF_THE_NODE if f"`{name.removeprefix('SLURM_')}`" not in page} == set()
