"""`phaseline up` and `phaseline down`, typed."""

from __future__ import annotations

from pathlib import Path

from infra.stack import processes
from infra.stack.choices import SERVER
from infra.stack.stack import Stack
from tests.end_to_end.prefect.stacks import phaseline, place_in
from tests.ports import free_port
from tests.waiting import wait_until

NAMES = {SERVER, "control", "slurm-cpu", "slurm-gpu"}


def test_up_twice_then_half_of_it_dies_then_up_then_down_twice(tmp_path: Path) -> None:
    place, home, port = place_in(tmp_path), tmp_path / "home", free_port()
    try:
        up = phaseline("up", "--port", str(port), "--root", "root", place=place, home=home)
        assert up.returncode == 0, up.stderr
        assert f"http://127.0.0.1:{port}" in up.stdout
        stack = Stack(place)
        assert set(stack.alive()) == NAMES
        assert stack.api.count_deployments() >= 8
        first = stack.record.processes

        again = phaseline("up", place=place, home=home)
        assert again.returncode == 0, again.stderr
        assert "up already, nothing to do: a server and 3 workers; root root" in again.stdout
        stack.refresh()
        assert stack.record.processes == first

        stack.kill(SERVER)
        stack.kill("slurm-gpu")
        mended = phaseline("up", place=place, home=home)
        assert mended.returncode == 0, mended.stderr
        assert "workers     started: slurm-gpu" in mended.stdout
        assert "deployments" not in mended.stdout
        stack.refresh()
        assert stack.record.port == port
        kept = {name for name in NAMES if stack.record.processes[name] == first[name]}
        assert kept == {"control", "slurm-cpu"}
        assert set(stack.alive()) == NAMES
    finally:
        down = phaseline("down", "--pollers", place=place, home=home)
    assert down.returncode == 0, down.stderr
    assert "all of it again: phaseline up" in down.stdout
    wait_until(lambda: not any(processes.is_alive(one) for one in first.values()), 10, "the first ones' end")
    assert phaseline("down", place=place, home=home).stdout == "nothing was running\n"
    assert list(home.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"a stack", "home", "root"}
