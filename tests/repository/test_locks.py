"""Is it true that nothing on a data root is locked? `flock` lets everybody in on sshfs, and nobody on some NFS."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.repository.checkout import ROOT, name, product_modules, tree

LOCKS = re.compile(r"flock|lockf|F_(OFD_)?SETLKW?|FileLock|SoftFileLock|filelock|portalocker|fasteners|msvcrt")
#: Where one process of a host waits for another one of that host, on a file of the host's own and for no data root.
ON_ONE_HOST = {
    "infra/cluster/cluster.py": "a private cluster is one host's",
    "infra/stack/lock.py": "`up` and `down` of one host's servers",
}


def words(path: Path) -> Iterator[str]:
    """Every name that a module uses or imports; prose may speak of locks."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Attribute(attr=word) | ast.Name(id=word):
                yield word
            case ast.alias(name=word) | ast.ImportFrom(module=str(word)):
                yield word
            case _:
                pass


def test_nothing_locks_but_what_stays_on_one_host() -> None:
    found = {name(path) for path in product_modules() if any(LOCKS.search(word) for word in words(path))}
    assert found == set(ON_ONE_HOST)


def test_no_shell_script_locks() -> None:
    """Nor does the text of one: `flock` is a command, too."""
    texts = [path for path in (ROOT / "stages").rglob("*") if path.suffix in {".sh", ".toml"}]
    texts += [path for path in (ROOT / "infra").rglob("*") if path.suffix in {".sh", ".toml", ".json"}]
    assert [name(path) for path in texts if LOCKS.search(path.read_text(encoding="utf-8"))] == []
