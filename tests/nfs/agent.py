"""The agent in the guest: carries out what the host asks for, beside each other, and says how each ended.

    python -m tests.nfs.agent EXCHANGE

The host puts `N.request` there (`{"where": "a" | "b" | "server", "words": [...], "more": {...}}`), whole, by rename.
What the command prints goes to `N.output`; its exit code stands in `N.ended`. A file `end` ends the agent.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TypedDict, cast

LOOK_SECONDS = 0.1


class Request(TypedDict):
    """What the host wants: a command line, where, and what is added to its environment."""

    where: str
    words: list[str]
    more: dict[str, str]


def at(where: str) -> list[str]:
    """Return how to be on a client: with its network, host name and mounts; the server is where we are."""
    if where == "server":
        return []
    process = Path(f"/run/{where}.pid").read_text().strip()
    return ["nsenter", "--target", process, "--mount", "--net", "--uts", f"--wd={os.getcwd()}", "--"]


def main(exchange: Path) -> None:
    """Serve until asked to end."""
    under_way: dict[str, subprocess.Popen[bytes]] = {}
    (exchange / "ready").touch()
    while not (exchange / "end").exists():
        for name in os.listdir(exchange):
            number, _, kind = name.partition(".")
            if kind == "request" and number not in under_way:
                request = cast("Request", json.loads((exchange / name).read_text()))
                (exchange / name).unlink()
                with (exchange / f"{number}.output").open("wb") as output:
                    under_way[number] = subprocess.Popen(
                        [*at(request["where"]), *request["words"]],
                        env={**os.environ, **request["more"]},
                        stdout=output,
                        stderr=output,
                    )
        for number, process in list(under_way.items()):
            code = process.poll()
            if code is not None:
                (exchange / f"{number}.tmp").write_text(str(code))
                (exchange / f"{number}.tmp").rename(exchange / f"{number}.ended")
                del under_way[number]
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
