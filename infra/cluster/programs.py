"""SLURM's programs: where they are, and which Debian package brings what is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.cluster.errors import ClusterError

JWT = "auth_jwt"  # a plugin, which slurmrestd needs for tokens
PACKAGES: Mapping[str, str] = {
    "munged": "munge",
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "slurmrestd": "slurmrestd",
    **dict.fromkeys(("sbatch", "scancel", "scontrol", "sinfo", "squeue"), "slurm-wlm"),
    JWT: "slurm-wlm-jwt-plugin",
}
DAEMONS_ARE_IN = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not on everybody's PATH
PLUGINS_ARE_IN = "lib/*/slurm*"


def search_path(path: str) -> str:
    """Return a PATH that leads to daemons too."""
    found = [part for part in path.split(os.pathsep) if part]
    return os.pathsep.join([*found, *(part for part in DAEMONS_ARE_IN if part not in found)])


def check() -> None:
    """Raise ClusterError, with the line to type, unless all that a cluster needs is installed."""
    absent = missing(where)
    if absent:
        raise ClusterError(refusal(absent))


def missing(which: Callable[[str], str | None]) -> list[str]:
    """Return what is not there, of programs and plugins; `which` says where each is."""
    return [name for name in PACKAGES if which(name) is None]


def refusal(absent: list[str]) -> str:
    """Return what a person is told who lacks these."""
    packages = sorted({PACKAGES[name] for name in absent})
    line = f"sudo apt-get install --no-install-recommends {' '.join(packages)}"
    return f"not installed: {', '.join(absent)}; type: {line}"


def where(name: str) -> str | None:
    """Return where a program or plugin is, None if it is not installed."""
    path = search_path(os.environ.get("PATH", os.defpath))
    if name != JWT:
        return shutil.which(name, path=path)
    daemon = shutil.which("slurmctld", path=path)
    if daemon is None:
        return None
    folders = list(Path(daemon).resolve().parents[1].glob(PLUGINS_ARE_IN))
    found = [str(folder / f"{JWT}.so") for folder in folders if (folder / f"{JWT}.so").exists()]
    # Plugins that are not where distributions put them may be anywhere: slurmctld will say.
    return found[0] if found else None if folders else daemon
