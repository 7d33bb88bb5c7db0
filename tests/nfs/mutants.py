"""Engines without a rule that lost replies ask for; what a model shows as well is in tests.simulation.mutants."""

from __future__ import annotations

from stages.engine import names
from stages.engine.registers import Registers
from stages.engine.settlement import Settlement


class TakesItsOwnEndForAnothers(Registers):
    """COMPLETE 3: EEXIST at the commit is a fence, whatever stands there."""

    def put(self, name: str, value: str, at: int | None = None) -> str | None:
        try:
            self._fs.symlink(value, name, at)
        except FileExistsError:
            found = super().put(name, value, at)
            return f"{found}, somebody else's" if "ended." in name else found
        return value


class FailsOnItsOwnRename(Settlement):
    """ERRORS: an own rename that says ENOENT is a lost reply."""

    def _publish(self, private: str, dataset: str) -> bool | None:
        self._fs.rename(f"{private}/{names.OUTPUT}", self._at.writes.dataset(dataset))
        return True

    def _move(self, base: str, dataset: str, target: str) -> bool | None:
        self._fs.rename(f"{base}/{dataset}", target)
        return True
