"""What a job has of its worker's environment: where programs are and who is at home, nothing of Prefect's. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_CACHES = ("XDG_CACHE_HOME", "MPLCONFIGDIR")  # where the worker was told to keep them, not in the home directory
_ANYWHERE = ("PATH", "HOME", "LANG", "USER", "LOGNAME", "VIRTUAL_ENV", *_CACHES)  # and LC_*
_HERE = (*_ANYWHERE, "TMPDIR")


def inherited(environment: Mapping[str, str], *, same_host: bool) -> dict[str, str]:
    """Return what a job gets; on a host of its own its temporary files are that host's business."""
    passed_on = _HERE if same_host else _ANYWHERE
    return {name: value for name, value in environment.items() if name in passed_on or name.startswith("LC_")}
