"""What the doctor asks others for without knowing them: entry points of the group `phaseline.doctor`."""

from __future__ import annotations

from importlib import metadata

from stages.engine.errors import UsageError

GROUP = "phaseline.doctor"


def plugin(name: str, option: str) -> object:
    """Load what is registered as `name`; raises UsageError if nobody is installed who can do what `option` wants.

    `site`: given the arguments and the root's path, examines the cluster, prints, and returns the exit code.
    `nodes`: given the root's path, two lists of words that follow `phaseline`, and for how many seconds to wait for
    nodes, starts the two on two nodes and waits for their ends; returns notes for people, and what went wrong.
    """
    for entry in metadata.entry_points(group=GROUP, name=name):
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            what = f"`phaseline doctor {option}` needs {error.name!r}, which is not installed"
            raise UsageError(what, todo="pip install 'phaseline[control]'") from None
    raise UsageError(
        f"`phaseline doctor {option}` is not part of this installation", todo="pip install 'phaseline[control]'"
    )
