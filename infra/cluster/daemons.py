"""How each daemon of a private cluster is started: in the foreground, so that what was started is what runs. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from infra.cluster.place import Place
from infra.cluster.programs import search_path
from infra.cluster.shape import CONTROLLER, MUNGED, NODES, REST, REST_LOCAL, port_of

# Its configuration, jobs' variables and tokens of another cluster are not meant for this one.
_NOT_PASSED_ON = ("SLURM", "SBATCH_", "SQUEUE_", "PHASELINE_", "PREFECT_")
_OPENAPI = re.compile(r"openapi/(slurmctld|v0\.0\.\d+)\b")


def environment(base: Mapping[str, str], place: Place) -> dict[str, str]:
    """Return the environment of the daemons, and of a command that asks them."""
    kept = {name: value for name, value in base.items() if not name.startswith(_NOT_PASSED_ON)}
    return {
        **kept,
        "PATH": search_path(kept.get("PATH", "/usr/bin:/bin")),
        "SLURM_CONF": str(place.configuration),
    }


def more_environment(daemon: str) -> dict[str, str]:
    """Return what only this daemon is told."""
    # They would rather be another user than the cluster's; but here there is one user, whose cluster it is.
    any_user = {"SLURMRESTD_SECURITY": "disable_user_check"}
    match daemon:
        case "slurmrestd":
            return {**any_user, "SLURM_JWT": "daemon"}  # with this it asks SLURM by tokens only
        case "slurmrestd-local":
            return any_user
        case _:
            return {}


def command(daemon: str, place: Place, port: int, openapi: str) -> list[str]:
    """Return what to type for a daemon; `openapi` are the plugins of slurmrestd."""
    if daemon == MUNGED:
        run, keys, log = place.munge_socket.parent, place.munge_key.parent, place.log(MUNGED)
        return [
            *("munged", "--foreground", "--force", f"--key-file={place.munge_key}", f"--socket={place.munge_socket}"),
            *(f"--pid-file={run}/munged.pid", f"--log-file={log}", f"--seed-file={keys}/munge.seed"),
        ]
    if daemon == CONTROLLER:
        return ["slurmctld", "-D", "-f", str(place.configuration)]
    if daemon in NODES:
        return ["slurmd", "-D", "-f", str(place.configuration), "-N", daemon]
    if daemon == REST_LOCAL:
        return ["slurmrestd", "-a", "rest_auth/local", "-s", openapi, f"unix:{place.rest_socket}"]
    return ["slurmrestd", "-a", "rest_auth/jwt", "-s", openapi, f"127.0.0.1:{port_of(REST, port)}"]


def openapi_plugins(listed: str) -> str:
    """Return which plugins slurmrestd is to load, of those that `slurmrestd -s list` names.

    Those that ask slurmdbd are left out: there is none here, and some versions end at once for it.
    """
    found = sorted(set(_OPENAPI.findall(listed)))
    chosen = ["slurmctld"] if "slurmctld" in found else found
    return ",".join(f"openapi/{name}" for name in chosen)
