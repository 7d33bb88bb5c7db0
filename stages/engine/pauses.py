"""What people are told of a stage that is left alone for a while: a hint on disk, no decision reads it."""

from __future__ import annotations

import json
from dataclasses import asdict

from stages.engine import roots
from stages.engine.fs import FileSystem
from stages.engine.layout import Root
from stages.engine.plan import Pause


def tell(fs: FileSystem, root: Root, stage: str, pause: Pause | None) -> None:
    """Write down that a stage is paused, or remove what was said. Raises OSError, NotARootError."""
    if pause is not None:
        roots.make_directory(fs, root.trigger)
        fs.replace(root.pause(stage), json.dumps(asdict(pause)).encode())
        return
    try:
        fs.unlink(root.pause(stage))
    except FileNotFoundError:
        return


def told(fs: FileSystem, root: Root, stage: str, *, now: float) -> Pause | None:
    """Return the pause that a stage is in at `now` (since the epoch); what cannot be read is no pause."""
    try:
        facts = json.loads(fs.read(root.pause(stage)))
        pause = Pause(until=float(facts["until"]), failures=int(facts["failures"]), why=str(facts["why"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pause if now < pause.until else None
