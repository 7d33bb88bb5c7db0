"""The engine in this process, put together as `phaseline poll` does it, around work that is handed in."""

from __future__ import annotations

from functools import cache

from benchmarks.place import READS, STAGE, WRITES
from stages.engine import assembly
from stages.engine.clock import SystemClock
from stages.engine.drain import Drain
from stages.engine.durability import Durability
from stages.engine.fs import FileSystem
from stages.engine.identity import current
from stages.engine.layout import Root
from stages.engine.poller import Poller
from stages.engine.posix import Posix
from stages.engine.spec import StageSpec, parse_spec
from stages.engine.vigil import Limits
from stages.engine.work.order import Work


def poller(
    root: str,
    work: Work,
    *,
    hashing: bool = False,
    durability: Durability = Durability.NONE,
    datasets_max: int | None = None,
    fs: FileSystem | None = None,
) -> Poller:
    """Return a poller of the one stage below `root` that ends when nothing is left, or after `datasets_max`."""
    site = assembly.Site(fs=fs or Posix(), clock=SystemClock(), identity=current({}), root=Root(root))
    edition = assembly.Edition(code_version="sha256:0123456789ab")
    limits = Limits(until_idle=True, datasets_max=datasets_max)
    return assembly.poller(
        site, spec(hashing=hashing, durability=durability), edition, work=work, limits=limits, drain=_drain()
    )


def spec(*, hashing: bool, durability: Durability) -> StageSpec:
    """Return the stage.toml of the one stage."""
    table: dict[str, object] = {
        "reads": READS,
        "writes": WRITES,
        "work": {"callable": "nothing:here"},  # the work is handed in
        "output": {"hashing": hashing, "durability": durability},
    }
    return parse_spec(table, name=STAGE, directory="/", where="a benchmark")


@cache
def _drain() -> Drain:
    """One for all pollers: each holds a pipe for as long as the process lives."""
    return Drain()
