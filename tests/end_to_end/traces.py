"""What attempts have left behind: their ends, and the token that each wrote into its output."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from stages.engine.records import Ended, parse_ended
from tests.invariants import Observation


def ends_of(registers: Mapping[str, str]) -> list[Ended]:
    """Return every end among a dataset's registers."""
    return [parse_ended(value) for name, value in registers.items() if name.startswith("ended.")]


def wrong_tokens(found: Observation) -> list[str]:
    """Return the published trees in which a file says that another attempt wrote it (I3)."""
    wrong: list[str] = []
    for dataset in found.datasets:
        if dataset.manifest is None:
            continue
        token = str(dataset.manifest["token"]).encode()
        written = dataset.files.get(f"token.{dataset.manifest['stage']}")
        if written is None or written.sha256 != hashlib.sha256(token).hexdigest():
            wrong.append(f"I3 {dataset.path}: its files are not those of attempt {token.decode()}")
    return wrong
