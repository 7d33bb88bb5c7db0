"""Do the flows' modules do nothing but define?"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.repository.checkout import ROOT, product_modules

MODULES = sorted(
    f"flows.{path.stem}" for path in product_modules() if path.parent == ROOT / "flows" and path.stem != "__init__"
)

# Imports everything that a flow may need of others first; what is left is what the flows' modules do themselves.
WATCHED = """
import importlib, sys
import prefect, prefect.deployments, prefect.artifacts, prefect.events, prefect.task_runners, prefect.runtime
import stages.engine.commands.context

WORK = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.mkdir", "os.rename",
        "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.utime", "shutil.", "urllib.", "_thread.start")
seen = []

def listen(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or event.startswith(WORK):
        seen.append(f"{event} {arguments!r}"[:200])

sys.addaudithook(listen)
for name in sys.argv[1:]:
    importlib.import_module(name)
print("\\n".join(seen))
"""


def python(*words: str) -> str:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=120
    ).stdout


def test_nothing_does_work_at_import() -> None:
    """No file written, no process, no connection; with no root, no stages and no server named."""
    assert python("-c", WATCHED, *MODULES).strip() == ""


@pytest.mark.parametrize("heavy", ["prefect_shell", "prefect.server"])
def test_nothing_heavy_is_imported(heavy: str) -> None:
    """Every minute a process begins by importing these."""
    found = python("-c", f"import sys, {', '.join(MODULES)}; print([n for n in sys.modules if n == {heavy!r}])")
    assert found.strip() == "[]"
