"""A site: a root with stages, a cluster, and a worker whose runs are in memory; what the runs say, what came of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.cluster.cluster import Cluster
from infra.slurm.job import JobSpec
from infra.slurm.runs import Place, Proposal, RunState
from infra.slurm.transports import open_transport
from tests.cluster.desk import Desk
from tests.end_to_end.prefect.ground import Ground
from tests.fakes_runs import FakeRuns
from tests.waiting import wait_until

SECONDS = 120.0
POLL_SECONDS = 60.0
STAMP = re.compile(r"^\d{4}-\d\d-\d\d \S+ [A-Z]+ +")


@dataclass(kw_only=True)
class Site:
    """Runs are named by who asks; a run's job has the tag `<run>.0`."""

    cluster: Cluster
    ground: Ground
    transport: str = "sbatch"
    desks: int = 0
    specs: dict[str, Callable[[str], JobSpec]] = field(default_factory=dict[str, Callable[[str], JobSpec]])

    def __enter__(self) -> Self:
        self._before = os.environ.get("SLURM_CONF")
        os.environ |= self.cluster.environment()
        self.runs = FakeRuns(
            Place(jobs_directory=str(self.ground.jobs), transport=self.transport, log_lines_max=10_000)
        )
        self.desk = self._desk()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.desk.die()
        if self._before is None:
            os.environ.pop("SLURM_CONF", None)
        else:
            os.environ["SLURM_CONF"] = self._before
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    # ---- what is done

    def ask(self, run: str, *command: str, waits: bool = True, **options: Any) -> str:  # noqa: ANN401  # fields of JobSpec by name
        """Hand a run in: a command, or a poller of the first stage. `options` are of JobSpec; returns its name."""
        what = command or self.poller()
        more = {"environment": self.ground.environment, **options}

        def spec(tag: str) -> JobSpec:
            directory = f"{self.ground.jobs}/{tag}"
            return JobSpec(tag=tag, name=run, directory=directory, command=what, working_directory=directory, **more)  # pyright: ignore[reportArgumentType]  # options by name

        self.specs[run] = spec
        self.runs.add(run)
        handed = self.desk.hand_in(run, spec)
        if waits:
            handed.result(SECONDS)
        return run

    def poller(self, stage: str = "", datasets: int | None = None) -> tuple[str, ...]:
        """Return the command of a poller; of the first stage, if nothing else is said."""
        most = () if datasets is None else ("--datasets", str(datasets))
        return (sys.executable, "-m", "stages.engine", "poll", stage or self.ground.stages[0], *most)

    def cancel(self, run: str) -> None:
        """As the button in the UI does."""
        self.runs.set_state(run, RunState.CANCELLING)

    def next_worker(self) -> None:
        """The worker is killed, and the next one begins."""
        self.desk.die()
        self.desk = self._desk()

    @contextmanager
    def path_before(self, directory: Path) -> Generator[None]:
        """Inside, programs in this directory go before all others."""
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{directory}:{before}"
        try:
            yield
        finally:
            os.environ["PATH"] = before

    def sweep(self) -> None:
        """Sweep all stages once, as an operator would."""
        self._type("sweep")

    def finish(self, *, at_rest: bool = True) -> None:
        """Whatever is left goes through, by pollers outside the cluster; then all that is promised holds."""
        self.ground.gates.open(*(f"{name}.{attempt}" for name in self.ground.arrived for attempt in range(1, 9)))

        def is_through() -> bool:
            self.sweep()
            for stage in self.ground.stages:
                self._type("poll", stage, "--until-idle")
            return self.ground.names("RESULTS") == sorted(self.ground.arrived)

        wait_until(is_through, SECONDS, lambda: f"results: {self.ground.names('RESULTS')}")
        wait_until(lambda: not self.processes(), SECONDS, lambda: f"still there: {self.processes()}")
        assert self.ground.broken(at_rest=at_rest) == []

    # ---- what is said

    def state(self, run: str) -> RunState:
        return self.runs.runs[run].state

    def last(self, run: str) -> Proposal:
        """Return what the run was told last."""
        return [proposal for of, proposal in self.runs.proposals if of == run][-1]

    def told(self, run: str) -> str:
        """Return the run's state in words."""
        proposals = [proposal for of, proposal in self.runs.proposals if of == run]
        return f"{self.state(run)}: {proposals[-1].message if proposals else ''}"

    def wait(self, run: str, wanted: RunState | Collection[RunState], seconds: float = SECONDS) -> str:
        """Wait until a run is in this state; returns what it was told with it."""
        kinds = {wanted} if isinstance(wanted, RunState) else set(wanted)
        wait_until(
            lambda: self.state(run) in kinds or self.state(run).is_final,
            seconds,
            lambda: (
                f"{wanted}, not {self.told(run)}; SLURM says {self.slurm_says(run)}; "
                f"alive: {self.processes()}; printed: {self.printed(run)}"
            ),
        )
        assert self.state(run) in kinds, self.told(run)
        return self.last(run).message

    def wait_queued(self, run: str, reason: str = "") -> None:
        """Wait until a run is told that it waits, for this reason."""
        self.wait_named(run, f"Queued: {reason}" if reason else "Queued")

    def wait_named(self, run: str, name: str) -> None:
        """Wait until the name of the run's state begins so."""
        wait_until(
            lambda: self.runs.runs[run].state_name.startswith(name), SECONDS, lambda: f"{name}: {self.told(run)}"
        )

    def node(self, run: str) -> str:
        """Return the node that the run's job is on."""
        words = self.cluster.ask("scontrol", "-o", "show", "job", self.job(run)).split()
        return next(word.removeprefix("NodeList=") for word in words if word.startswith("NodeList=n"))

    def lines(self, run: str) -> list[str]:
        """What the job has said, as the run's log holds it."""
        return self.runs.texts(run)

    def printed(self, run: str) -> list[str]:
        """What the job has printed, by the file itself, without time and level."""
        lines = (self.directory(run) / "output").read_text(errors="replace").splitlines()
        return [STAMP.sub("", line) for line in lines if line.strip()]

    def directory(self, run: str) -> Path:
        """Return the directory of the run's newest job."""
        return max(self.ground.jobs.glob(f"{run}.*"), key=lambda path: int(path.name.rpartition(".")[2]))

    # ---- what SLURM says

    def job(self, run: str) -> str:
        """Return the number of the run's newest job, which need not have begun."""
        directory = self.directory(run)
        return os.readlink(directory / ("job" if os.path.lexists(directory / "job") else "submitted"))

    def wait_for_slurm(self, run: str, state: str) -> None:
        """Wait until SLURM's own word for the run's job is this."""
        wait_until(lambda: f" {state} " in f"{self.slurm_says(run)} ", SECONDS, lambda: self.slurm_says(run))

    def slurm_says(self, run: str) -> str:
        """Return SLURM's own word for the run's job, for messages."""
        try:
            number = self.job(run)
        except (OSError, ValueError):
            return "nothing: no job was handed in"
        shown = self.cluster.ask("squeue", "-h", "-t", "all", "-o", "%A %T %r")
        return next((line for line in shown.splitlines() if line.startswith(f"{number} ")), "nothing")

    def processes(self) -> list[int]:
        """Return the processes that work in this root, in jobs or left behind by them."""
        sign, found = f"PHASELINE_ROOT={self.ground.root}".encode(), list[int]()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if sign in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
            except OSError:
                continue  # ended meanwhile, or another user's
        return found

    def _desk(self) -> Desk:
        self.desks += 1
        return Desk(self.runs, open_transport, self.desks)

    def _type(self, *words: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_JOB", "PHASELINE_"))}
        done = subprocess.run(
            [sys.executable, "-m", "stages.engine", *words],
            env=kept | self.ground.environment,
            capture_output=True,
            text=True,
            timeout=POLL_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
