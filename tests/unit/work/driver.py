"""Driver: a process that stands for a poller, a subreaper, so that the tests' own process need not be one.

It reads what to do as JSON from its argument and writes a JSON line for every chunk of log and every outcome.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from stages.engine.work.callable_work import CallableWork
from stages.engine.work.command_work import CommandWork
from stages.engine.work.order import Work
from stages.engine.work.outcome import Stop
from stages.engine.work.prctl import become_subreaper
from tests.unit.work.site import Site


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


class Driver:
    """Runs some orders and says what became of them. A stage makes processes known by printing `pid=<n>`."""

    def __init__(self) -> None:
        self.signalled = False
        self.text = ""
        self.size = 0

    def ask(self, number: int, frame: FrameType | None) -> None:
        self.signalled = True

    def watch(self) -> Stop | None:
        return Stop.DRAIN if self.signalled else None

    def log(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size < 10_000:
            self.text += chunk.decode()
            say(log=chunk.decode())

    def drive(self, work: Work, orders: int, site: Site) -> None:
        for number in range(orders):
            self.text, self.size = "", 0
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            outcome = work.run(site.order(f"ds{number}", watch_seconds=60), self.watch, self.log)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            pids = [int(pid) for pid in re.findall(r"pid=(\d+)", self.text)]
            say(outcome=asdict(outcome), pids=pids, living=living(pids), bytes=self.size, grown_kb=grown)


def main() -> None:
    facts = json.loads(sys.argv[1])
    driver, site = Driver(), Site(Path(facts["root"]))
    reader, writer = os.pipe2(os.O_NONBLOCK)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGTERM, driver.ask)
    become_subreaper()
    timeout = facts.get("timeout", 30.0)
    work: Work
    if "command" in facts:
        work = CommandWork(
            stage_directory=site.stage_directory, command=facts["command"], timeout_seconds=timeout, wakeup_fd=reader
        )
    else:
        work = CallableWork(
            stage_directory=site.stage_directory,
            callable="stage:process",
            setup_seconds=30.0,
            timeout_seconds=timeout,
            wakeup_fd=reader,
        )
    work.prepare()
    driver.drive(work, facts.get("orders", 1), site)
    work.close()


if __name__ == "__main__":
    main()
