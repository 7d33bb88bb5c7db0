"""The environment of all that the stack starts: Prefect's settings, each with its reason."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.stack.place import Place

HOST = "127.0.0.1"  # nobody else's machine: there is no password
SLOTS = 8
LOOPBACK = (HOST, "localhost")

_SERVER = {
    # Nothing is told to anybody.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # Leases of concurrency limits outlive the server. In memory, a server that is killed while the trigger runs would
    # count that run as active for ever, and no trigger could start again.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # A holder that was killed blocks its limit for a minute, not for five: whoever lives renews.
    "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": "60",
    # Runs are planned a minute ahead, not an hour: whatever was planned when the server died comes late, all at once,
    # and SQLite has stalled for a minute under two dozen. Looked at often, so that the plan never runs dry.
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT60S",
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "15",
    # A new or changed schedule is planned at once.
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
}
_WORKER = {
    # From asked to submitted in two seconds (default 10).
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    # The UI knows a dead worker after half a minute (three heartbeats; default 90 s).
    "PREFECT_WORKER_HEARTBEAT_SECONDS": "10",
    # A run is started at most 4 s before its time: about as long as its process needs. More (default 10) would let a
    # trigger of every ten seconds meet the one before, and be dropped.
    "PREFECT_WORKER_PREFETCH_SECONDS": "4",
}
_CLIENT = {
    # Logs are files.
    "PREFECT_LOGGING_COLORS": "false",
    "PREFECT_CLI_COLORS": "false",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_CLI_WRAP_LINES": "false",
    "PYTHONUNBUFFERED": "1",
}


def ui(port: int) -> str:
    """Return the address that a person opens."""
    return f"http://{HOST}:{port}"


def api(port: int) -> str:
    """Return the address that clients are given."""
    return f"{ui(port)}/api"


def environment(
    base: Mapping[str, str], place: Place, *, port: int, root: Path | None = None, stages: Path | None = None
) -> dict[str, str]:
    """Return the environment of the server, the workers, and of a command that talks to them.

    It is `base` without any setting of Prefect: whoever is logged in at another server has not meant it for this one.
    """
    kept = {name: value for name, value in base.items() if not name.startswith("PREFECT_")}
    without_proxy = _without_proxy(kept)
    own = {
        "PREFECT_HOME": str(place.prefect_home),
        "PREFECT_PROFILES_PATH": str(place.prefect_home / "profiles.toml"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{place.database}",
        "PREFECT_API_URL": api(port),
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        "TMPDIR": str(place.temporary),
        "XDG_CACHE_HOME": str(place.cache),
        "MPLCONFIGDIR": str(place.cache / "matplotlib"),
        "NO_PROXY": without_proxy,
        "no_proxy": without_proxy,
        # A poller that waits for datasets holds its slot. With one for each core (the default), on two cores the third
        # stage of a chain would wait until the first has been idle for minutes.
        "PHASELINE_LOCAL_SLOTS": kept.get("PHASELINE_LOCAL_SLOTS") or str(max(SLOTS, os.cpu_count() or 1)),
        # Jobs are commands by name: `phaseline` is the one beside this Python.
        "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '/usr/bin:/bin')}",
    }
    if root is not None:
        own["PHASELINE_ROOT"] = str(root)
    if stages is not None:
        own["PHASELINE_STAGES"] = str(stages)
    return kept | _CLIENT | _SERVER | _WORKER | own


def exports(place: Place, port: int, base: Mapping[str, str]) -> str:
    """Return what a person types so that the `prefect` command talks to this server."""
    words = {"PREFECT_API_URL": api(port), "PREFECT_HOME": str(place.prefect_home)}
    if _has_proxy(base):
        words["NO_PROXY"] = _without_proxy(base)
    return "export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in words.items())


def _has_proxy(base: Mapping[str, str]) -> bool:
    return any(base.get(name) for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"))


def _without_proxy(base: Mapping[str, str]) -> str:
    """Whatever goes around the proxy already, and this machine."""
    named = base.get("NO_PROXY") or base.get("no_proxy") or ""
    hosts = [host.strip() for host in named.split(",") if host.strip()]
    return ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
