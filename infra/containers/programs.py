"""Programs of others, carried out: what they print is shown to a person only where they fail."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

from infra.containers.errors import BuildError

LINES = 15


def carry_out(
    words: Sequence[str], what: str, *, stdin: IO[bytes] | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Return what the program prints. Raises BuildError: `what` is the matter, and its last lines."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            capture_output=True,
            env=None if environment is None else dict(environment),
            check=False,
        )
    except FileNotFoundError:
        raise BuildError(f"{what}: there is no program {words[0]!r}; install it") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-LINES:]
        said = "".join(f"\n    {line}" for line in lines)
        raise BuildError(f"{what}: {words[0]} ended with {done.returncode}{':' if said else ''}{said}")
    return done.stdout.decode("utf-8", "replace").strip()


def is_there(program: str) -> bool:
    """Tell whether it is found on PATH."""
    return shutil.which(program) is not None
