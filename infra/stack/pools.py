"""The work pools: what work-pools/ says, brought to the server."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from infra.stack.api import Api, Json
from infra.stack.errors import StackError
from infra.stack.place import POOLS

TABLE = "pools.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A work pool as its files say. `concurrency_limit` is the cap over all that it runs at once; None is none."""

    name: str
    type: str
    concurrency_limit: int | None
    template: Mapping[str, Json]


def read(clone: Path) -> list[Pool]:
    """Return the pools of a clone, in the table's order. Raises StackError naming the file that cannot be used."""
    table = clone / POOLS / TABLE
    try:
        facts = cast("dict[str, dict[str, object]]", tomllib.loads(table.read_text(encoding="utf-8")))
        return [_pool(clone / POOLS / f"{name}.json", name, about) for name, about in facts.items()]
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise StackError(f"{table} cannot be used: {type(error).__name__} {error}") from None


def bring(api: Api, pools: Sequence[Pool]) -> None:
    """Create the pools that are missing and change the others; whether one is paused stays as it is."""
    for pool in pools:
        there = api.pool_type(pool.name)
        facts = {"base_job_template": pool.template, "concurrency_limit": pool.concurrency_limit}
        if there is None:
            api.create_pool({"name": pool.name, "type": pool.type, **facts})
        elif there == pool.type:
            api.update_pool(pool.name, facts)
        else:
            raise StackError(
                f"the work pool {pool.name} has type {there}, {TABLE} says {pool.type}: "
                f"`prefect work-pool delete {pool.name}`, then again"
            )


def _pool(template: Path, name: str, about: Mapping[str, object]) -> Pool:
    try:
        return Pool(
            name=name,
            type=cast("str", about["type"]),
            concurrency_limit=cast("int | None", about.get("concurrency_limit")),
            template=cast("dict[str, Json]", json.loads(template.read_text(encoding="utf-8"))),
        )
    except (OSError, ValueError) as error:
        raise StackError(f"{template} cannot be used: {type(error).__name__} {error}") from None
