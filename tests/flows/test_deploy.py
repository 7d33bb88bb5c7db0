"""Are pools and deployments brought to a new server by the commands that are written down, without a warning?"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

from prefect.client.orchestration import SyncPrefectClient

from tests.repository import work_pools
from tests.repository.checkout import ROOT

README = work_pools.POOLS / "README.md"


def test_the_commands_of_the_readme_do_it(client: SyncPrefectClient, api_url: str) -> None:
    said: list[str] = []
    environment = {**os.environ, "PREFECT_API_URL": api_url, "PREFECT_CLI_COLORS": "false", "COLUMNS": "200"}
    for line in re.findall(r"^    prefect (.*)$", README.read_text(), re.MULTILINE):
        words = [sys.executable, "-m", "prefect", *shlex.split(line)]
        done = subprocess.run(
            words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said.append(done.stdout + done.stderr)
    assert "warn" not in "".join(said).lower()
    assert said[-1].count("successfully created") == 8
    for name, pool in work_pools.pools().items():
        there = client.read_work_pool(name)
        assert (there.type, there.concurrency_limit) == (pool["type"], pool["concurrency_limit"])
        assert there.base_job_template == work_pools.written(name)
    poll = client.read_deployment_by_name("poll/phase4")
    assert (poll.pull_steps, poll.path, poll.entrypoint) == ([], None, "flows.poll.poll")
    assert (poll.job_variables or {})["command"] == ["phaseline", "poll", "phase4"]
    assert poll.enforce_parameter_schema
