"""Does the alert of docs/alerts.md, typed as it stands there, reach somebody?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import cast

import pytest
from prefect.client.orchestration import SyncPrefectClient

from flows.sweep import sweep
from stages.engine.work.outcome import OutcomeKind
from tests.fakes import FakeWork, answer
from tests.unit.chain import Chain
from tests.waiting import wait_until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "alerts.md"
FIRED_SECONDS = 60.0


class Pager(HTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/alerts"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Pager)
        self.server.heard.append(self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - so it is called
        pass


@pytest.fixture
def pager() -> Iterator[Pager]:
    with Pager() as found:
        serving = threading.Thread(target=found.serve_forever)
        serving.start()
        yield found
        found.shutdown()
        serving.join()


@pytest.fixture
def silence(client: SyncPrefectClient) -> Iterator[None]:
    """Afterwards other tests of this session alarm nobody."""
    yield
    found = cast("list[dict[str, str]]", client.request("POST", "/automations/filter", json={}).json())
    for automation in found:
        client.request("DELETE", "/automations/{id}", path_params={"id": automation["id"]})


@pytest.mark.usefixtures("silence")
def test_a_quarantine_is_heard(pager: Pager, api_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (script,) = [
        block for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) if "alert.yaml" in block
    ]
    typed = re.sub(r"(?<=ALERTS_URL=)\S+", pager.url, script)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PREFECT_API_URL": api_url, "PATH": path}
    subprocess.run(["bash", "-ec", typed], cwd=tmp_path, env=environment, check=True, timeout=60, capture_output=True)
    chain = Chain(tmp_path)
    monkeypatch.setenv("PHASELINE_ROOT", chain.root.path)
    monkeypatch.setenv("PHASELINE_STAGES", str(chain.stages))
    chain.put("ds7")
    chain.poll("first", FakeWork(answer(OutcomeKind.REJECT)))
    sweep()

    def mine() -> list[str]:
        return [line for line in pager.heard if "ds7" in line]  # the session's server is not ours alone

    wait_until(lambda: bool(mine()), FIRED_SECONDS, "nobody was told")
    assert mine() == [
        "1 quarantined in first: ds7; phaseline explain ds7; mend the cause, then: phaseline retry first DATASET"
    ]
    (shown,) = re.findall(r"What arrives: `([^`]*)`", PAGE.read_text())
    assert " ".join(shown.split()) == mine()[0].replace("first", "phase4")
