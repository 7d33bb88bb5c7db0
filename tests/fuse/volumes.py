"""The volumes of glusterfs that are tried, as text: bricks over local directories, and what clients put over bricks.

`glusterd` writes such files at a site. Here nothing but their form is taken from it: sockets of this host, no daemon.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: How bricks become one volume, and how many there are of them.
LAYOUTS: Final = {"single": 1, "distributed": 2, "replicated": 3}
#: What a client keeps and defers by default.
DEFAULTS = (
    "features/utime",
    "performance/write-behind",
    "performance/open-behind",
    "performance/quick-read",
    "performance/md-cache",
)
#: What the server of a brick puts over a directory, as far as it has to do with what we ask for.
SERVED = ("features/access-control", "features/locks", "features/upcall")


def brick(number: int) -> str:
    """Return the volume file of a server: the directory `/mnt/export/NUMBER` behind a socket."""
    parts = [_volume("posix", "storage/posix", directory=f"/mnt/export/{number}")]
    parts += _tower(SERVED, "posix", top="brick")
    access = {"auth.addr.brick.allow": "*", "transport.socket.listen-path": _socket(number)}
    return "\n".join([*parts, _volume("server", "protocol/server", ["brick"], **_local(), **access)])


def client(layout: str, *, plain: bool) -> str:
    """Return the volume file of a mount; a plain one keeps and defers nothing."""
    bricks = range(1, LAYOUTS[layout] + 1)
    parts = [_client(number) for number in bricks]
    names = [f"brick{number}" for number in bricks]
    if layout == "replicated":
        parts.append(_volume("replicated", "cluster/replicate", names, **{"quorum-type": "auto"}))
        names = ["replicated"]
    parts.append(_volume("distributed", "cluster/distribute", names))
    return "\n".join([*parts, *_tower(() if plain else DEFAULTS, "distributed", top="top")])


def _client(number: int) -> str:
    there = {"remote-host": "localhost", "remote-subvolume": "brick", "transport.socket.connect-path": _socket(number)}
    return _volume(f"brick{number}", "protocol/client", **_local(), **there)


def _tower(kinds: Sequence[str], name: str, top: str) -> list[str]:
    """Put one translator over the other, and one of the name `top` over all."""
    parts: list[str] = []
    for kind in kinds:
        parts.append(_volume(kind.partition("/")[2], kind, [name]))
        name = kind.partition("/")[2]
    return [*parts, _volume(top, "performance/io-threads", [name])]


def _volume(name: str, kind: str, below: Sequence[str] = (), **options: str) -> str:
    lines = [f"volume {name}", f"    type {kind}"]
    lines += [f"    option {option} {value}" for option, value in options.items()]
    if below:
        lines.append(f"    subvolumes {' '.join(below)}")
    return "\n".join([*lines, "end-volume", ""])


def _socket(number: int) -> str:
    return f"/mnt/brick.{number}.socket"


def _local() -> dict[str, str]:
    return {"transport-type": "socket", "transport.address-family": "unix"}
