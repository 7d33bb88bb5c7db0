"""What flows work on, the root and the stages that the environment names."""

from __future__ import annotations

from argparse import Namespace

from stages.engine.commands import context
from stages.engine.commands.context import Context


def opened() -> Context:
    """Return the root and stages of PHASELINE_ROOT and PHASELINE_STAGES, checked.

    Raises PhaselineError in one line that says what is wrong and what to type.
    """
    return context.opened(Namespace(root=None, stages=None))
