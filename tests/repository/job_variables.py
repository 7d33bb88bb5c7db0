"""The table of docs/job-variables.md as it should be: every job variable with its default, and what it says.

python -m tests.repository.job_variables writes it anew, after the worker's variables have changed.
"""

from __future__ import annotations

import json
import re

from pydantic.fields import FieldInfo

from infra.slurm.variables import SlurmVariables
from tests.repository.checkout import ROOT

PAGE = ROOT / "docs" / "job-variables.md"
HEAD = ["| job variable | default | says |", "|---|---|---|"]
TABLE = re.compile(r"(?:^\| job variable .*\n)(?:^\|.*\n)+", re.MULTILINE)


def due() -> str:
    """Return the table."""
    rows = [
        f"| `{name}` | {_default(name, field)} | {_text(field)} |"
        for name, field in SlurmVariables.model_fields.items()
    ]
    return "".join(f"{line}\n" for line in [*HEAD, *rows])


def written() -> str:
    """Return the table as it stands in the page."""
    found = TABLE.search(PAGE.read_text(encoding="utf-8"))
    return found[0] if found is not None else ""


def _default(name: str, field: FieldInfo) -> str:
    value: object = field.get_default(call_default_factory=True, validated_data={})
    return "required" if name == "command" else "none" if value in (None, [], {}) else f"`{json.dumps(value)}`"


def _text(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: due(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
