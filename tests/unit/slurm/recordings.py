"""Answers of real slurmrestds, recorded by version of the API: 22.05 said v0.0.38, 24.11 v0.0.42, 26.05 v0.0.45."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

VERSIONS = ("v0.0.38", "v0.0.42", "v0.0.45")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """`body` is JSON that was read, or text."""

    method: str
    path: str
    status: int
    body: object

    @property
    def jobs(self) -> list[dict[str, object]]:
        return cast("dict[str, list[dict[str, object]]]", self.body)["jobs"]

    def content(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@cache
def _all(version: str) -> dict[str, dict[str, object]]:
    path = Path(__file__).with_name("recorded") / f"rest-{version}.json"
    return cast("dict[str, dict[str, object]]", json.loads(path.read_text()))


def recorded(version: str, name: str) -> Recorded:
    said = _all(version)[name]
    return Recorded(
        method=str(said["method"]), path=str(said["path"]), status=int(str(said["status"])), body=said["body"]
    )
