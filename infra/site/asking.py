"""Asking a program of this host, within a time limit."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

ANSWER_SECONDS = 20.0  # a controller that is down lets its clients wait for minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a program said; `code` None: there is none, or it was silent for too long, as `error` says."""

    code: int | None
    output: str = ""
    error: str = ""

    @property
    def is_well(self) -> bool:
        return self.code == 0

    @property
    def why(self) -> str:
        """The last line of its complaint, without the program's name."""
        lines = [line.strip() for line in (self.error or self.output).splitlines() if line.strip()]
        return lines[-1].rpartition("error: ")[2] if lines else f"exit code {self.code}"


def ask(words: Sequence[str], *, told: str = "", seconds: float = ANSWER_SECONDS) -> Said:
    """Start a program, tell it `told`, and wait for its answer. Raises nothing."""
    try:
        done = subprocess.run(
            words, input=told, capture_output=True, text=True, errors="replace", timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Said(code=None, error=f"`{words[0]}` did not answer within {seconds:.0f} s")
    except OSError as error:
        return Said(code=None, error=f"`{words[0]}` cannot be started: {error.strerror}")
    return Said(code=done.returncode, output=done.stdout, error=done.stderr)
