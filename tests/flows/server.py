"""One real Prefect server for a whole test session, however many processes carry it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, cast

import httpx

from tests.ports import free_port
from tests.waiting import wait_until

START_SECONDS_MAX = 90.0  # about 10 on two idle cores
_SETTINGS = {
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
}
_started: list[subprocess.Popen[bytes]] = []  # forgetting a process that goes on is a warning, and so an error


class State(TypedDict):
    """What the processes of a session share: the server, and how many of them use it."""

    url: str
    pid: int
    users: int


@contextmanager
def shared(directory: Path) -> Generator[str]:
    """Give the address of the session's server: the first to come starts it, the last to go ends it."""
    with _locked(directory):
        state = _read(directory) or start(directory)
        _write(directory, {**state, "users": state["users"] + 1})
    try:
        yield state["url"]
    finally:
        with _locked(directory):
            state["users"] = (_read(directory) or state)["users"] - 1
            _write(directory, state)
            if not state["users"]:
                end(state["pid"])
                (directory / "server.json").unlink()


def start(directory: Path) -> State:
    """Start a server whose home is in `directory`, on a free port, and wait until it answers."""
    port = free_port()
    home = directory / f"home-{port}"
    home.mkdir()
    log = directory / f"server-{port}.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "infra.stack.server", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, **_SETTINGS, "PREFECT_HOME": str(home), "PREFECT_SERVER_API_PORT": str(port)},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started.append(server)
    url = f"http://127.0.0.1:{port}/api"

    def answers() -> bool:
        assert server.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/health", trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, START_SECONDS_MAX, log.read_text)
    except BaseException:
        end(server.pid)
        raise
    return {"url": url, "pid": server.pid, "users": 0}


def end(pid: int) -> None:
    """End a server and what it has started, gently, then not."""
    for number, seconds in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(pid, number)
            wait_until(lambda: _is_gone(pid), seconds, f"process {pid} ends")
        except ProcessLookupError:
            return
        except TimeoutError:
            continue
        return


def _is_gone(pid: int) -> bool:
    """A zombie is gone too: the process of the session that started it reaps it when that ends."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@contextmanager
def _locked(directory: Path) -> Generator[None]:
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(directory: Path) -> State | None:
    try:
        return cast("State", json.loads((directory / "server.json").read_text()))
    except FileNotFoundError:
        return None


def _write(directory: Path, state: State) -> None:
    (directory / "server.json").write_text(json.dumps(state))
