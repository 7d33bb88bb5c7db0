"""What a person sees while the stack comes and goes: a line for each step, in place on a terminal while it lasts."""

from __future__ import annotations

import sys
import time

WIDTH = 12


class Display:
    """Prints steps. Elsewhere than on a terminal a step is one line, once it is over."""

    def __init__(self) -> None:
        self._step, self._begun, self._is_terminal = "", 0.0, sys.stdout.isatty()
        self._shown = 0.0

    def begin(self, step: str, doing: str) -> None:
        """A step begins; `tick` shows that it goes on."""
        self._step, self._begun = f"{step:<{WIDTH}}{doing}", time.monotonic()
        self._shown = 0.0
        self.tick()

    def tick(self) -> None:
        """Show how long the step has lasted, about once a second."""
        now = time.monotonic()
        if self._is_terminal and self._step and now - self._shown >= 1:
            self._shown = now
            print(f"\r\033[K{self._step} ... {now - self._begun:.0f} s", end="", flush=True)

    def done(self, step: str, what: str) -> None:
        """A step is over; how long it lasted is said if that was a second or more."""
        lasted = time.monotonic() - self._begun if self._step.startswith(step) else 0.0
        seconds = f" ({lasted:.0f} s)" if lasted >= 1 else ""
        self.say(f"{step:<{WIDTH}}{what}{seconds}")

    def say(self, line: str) -> None:
        """Print a line of its own."""
        self.clear()
        print(line, flush=True)

    def clear(self) -> None:
        """Take away a line that is not over: somebody else prints now."""
        if self._is_terminal and self._step:
            print("\r\033[K", end="", flush=True)
        self._step = ""
