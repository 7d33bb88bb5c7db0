"""Do imports point the one way that DESIGN allows?"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.repository.checkout import BIN, ROOT, name, sources, tree


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(BIN / "lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file that stands."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield module
            case _:
                pass


def test_a_stage_sees_only_the_engines_public_face() -> None:
    """Stages are folders, which need not be packages: import-linter does not see them all."""
    folders = {path.parent for path in sources() if path.name == "stage.toml" and path.is_relative_to(ROOT / "stages")}
    wrong = [
        f"{name(path)} imports {module}"
        for path in sources()
        if path.suffix == ".py" and folders.intersection(path.parents)
        for module in imported(path)
        if module.split(".")[0] in {"stages", "infra", "flows", "tests"} and module != "stages.engine"
    ]
    assert wrong == []


def test_flows_see_only_the_engine_of_the_data_plane() -> None:
    wrong = [
        f"{name(path)} imports {module}"
        for path in sources()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "flows")
        for module in imported(path)
        if module.startswith("stages") and not module.startswith("stages.engine")
    ]
    assert wrong == []
