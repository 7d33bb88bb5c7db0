"""The kill storm: pollers, sweepers and an operator under SIGKILL, SIGSTOP, SIGTERM and requeues, then order again."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from stages.engine import catalog, names
from stages.engine.posix import Posix
from stages.engine.records import EndKind, parse_ended, parse_taken
from stages.engine.spec import StageSpec
from tests.end_to_end.fleet import CATALOG, Fleet, Member, type_in
from tests.end_to_end.traces import ends_of, wrong_tokens
from tests.invariants import Expectation, Observation, Stage, observe, violations
from tests.waiting import wait_until

STAGES = catalog.load(str(CATALOG)).stages
LOCATIONS = catalog.load(str(CATALOG)).locations
ANYBODY = 0.1  # of the acts are meant for whoever it is, the others for somebody with an attempt at hand
VIOLENCE_ENDS = 0.9  # of the progress that the datasets will make


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is done to how many; the acts are spread evenly over the progress that the datasets make."""

    datasets: int
    kills: int
    stops: int
    requeues: int
    asks: int
    retries: int
    reruns: int
    seed: int
    pollers: int = 2  # of each stage
    sweepers: int = 2
    sweep_seconds: float = 0.3
    files: int = 3  # of each dataset
    stop_seconds: tuple[float, float] = (0.3, 6.0)  # some shorter than the lease, most longer
    limit_seconds: float = 240.0


@dataclass(kw_only=True)
class Outcome:
    """What became of it: `wrong` is empty if all went well."""

    wrong: list[str] = field(default_factory=list[str])
    figures: Counter[str] = field(default_factory=Counter[str])

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.figures.items())


class Storm:
    """One storm; `run` does all of it."""

    def __init__(self, plan: Plan, top: Path) -> None:
        self._plan, self._root, self._rng = plan, top / "data", Random(plan.seed)
        self._judged = (
            Path(os.environ.get("STORM_EXPORT") or top) / "data"
        )  # as the server has it, if that is to be seen
        self._fleet = Fleet(self._root, top / "logs")
        self._logs = top / "logs"
        self._names = self._names_of_all()
        self._waiting = list(self._names)
        self._counted, self._count_again = 0, 0.0
        self._figures: Counter[str] = Counter()
        self._wrong: list[str] = []

    def run(self) -> Outcome:
        """Let it rage, let everything come to rest, and judge."""
        made = self._type_in("init")
        assert made.returncode == 0, made.stderr
        with self._fleet as fleet:
            for _ in range(self._plan.sweepers):
                fleet.add("sweep", "--forever", "--every-seconds", str(self._plan.sweep_seconds))
            for spec in STAGES * self._plan.pollers:
                fleet.add("poll", spec.name)
            self._rage()
            wait_until(self._is_at_rest, self._plan.limit_seconds, self._unrest)
            fleet.end()
        self._judge()
        return Outcome(wrong=self._wrong, figures=self._figures)

    def _type_in(self, *words: str) -> subprocess.CompletedProcess[str]:
        return type_in(self._root, *words)

    # ---- what happens

    def _names_of_all(self) -> list[str]:
        """One in 40 is poison, one in 40 is rejected."""
        kinds = {7: "poison", 23: "reject"}
        found = [f"{kinds.get(number % 40, 'ds')}{number}" for number in range(self._plan.datasets)]
        self._rng.shuffle(found)
        return found

    def _rage(self) -> None:
        plan = self._plan
        acts: list[Callable[[], bool]] = [
            *[self._kill] * plan.kills,
            *[self._stop] * plan.stops,
            *[self._requeue] * plan.requeues,
            *[self._ask] * plan.asks,
            *[self._retry] * plan.retries,
            *[self._rerun] * plan.reruns,
        ]
        self._rng.shuffle(acts)
        whole = plan.datasets * len(STAGES) * VIOLENCE_ENDS
        count = len(acts)

        def is_over() -> bool:
            self._fleet.tend()
            progress = self._published() / whole
            while self._waiting and len(self._waiting) > plan.datasets * (0.75 - 1.5 * progress):
                self._arrive(self._waiting.pop())
            while acts and progress * count >= count - len(acts) and self._active() and acts[-1]():
                acts.pop()
            return not acts and not self._waiting

        wait_until(is_over, plan.limit_seconds, lambda: f"{len(acts)} acts are left; {self._unrest()}")

    def _published(self) -> int:
        """How many datasets stages have published; counted anew when that costs little of the time that has passed."""
        begun = time.monotonic()
        if begun >= self._count_again:
            self._counted = sum(len(os.listdir(self._at(spec.reads) / "_done")) for spec in STAGES)
            now = time.monotonic()
            self._count_again = now + 10 * (now - begun)
        return self._counted

    def _at(self, location: str) -> Path:
        return self._root / location

    def _arrive(self, name: str) -> None:
        """Copy into _incoming, then rename (PROTOCOL 3, ARRIVE a)."""
        incoming = self._at(LOCATIONS[0]) / "_incoming" / name
        incoming.mkdir()
        for number in range(self._plan.files):
            (incoming / f"{number}.txt").write_text(f"{name} {number}\n" * self._rng.randint(1, 100))
        incoming.rename(self._at(LOCATIONS[0]) / name)

    def _kill(self) -> bool:
        member = self._victim()
        if member is None:
            return False
        self._fleet.kill(member)
        self._figures["kills"] += 1
        self._figures["of these with an attempt"] += self._holds(member)
        return True

    def _stop(self) -> bool:
        member = self._victim()
        if member is None:
            return False
        self._fleet.stop(member, self._rng.uniform(*self._plan.stop_seconds))
        self._figures["stops"] += 1
        return True

    def _requeue(self) -> bool:
        """A poller's node is out of sight, and its job is started on another one; what it was doing goes on later."""
        member = self._victim()
        if member is None:
            return False
        if member.stage is None:
            self._fleet.go_on(member)
            return False
        self._fleet.requeue(member, self._rng.uniform(*self._plan.stop_seconds))
        self._figures["requeues"] += 1
        return True

    def _ask(self) -> bool:
        member = self._victim()
        if member is None:
            return False
        self._fleet.ask(member)
        self._figures["requests to end"] += 1
        return True

    def _victim(self) -> Member | None:
        """Stop somebody with an attempt at hand, now and then anybody; None if there is nobody just now."""
        members = self._active()
        self._rng.shuffle(members)
        if self._rng.random() < ANYBODY:
            self._fleet.stop(members[0], 0)
            return members[0]
        for member in members:
            self._fleet.stop(member, 0)
            if self._holds(member):
                return member
            self._fleet.go_on(member)
        return None

    def _active(self) -> list[Member]:
        return [member for member in self._fleet.members if member.resumes is None and not member.asked]

    def _holds(self, member: Member) -> bool:
        spec = next((spec for spec in STAGES if spec.name == member.stage), None)
        if spec is None:
            return False
        for directory in os.listdir(self._at(spec.reads) / "_work"):
            attempt = names.parse_attempt(directory)
            if attempt is None:
                continue  # a probe of a poller that begins
            tag, dataset = names.tag(spec.name, attempt.dataset), self._at(spec.reads) / attempt.dataset
            with suppress(FileNotFoundError):
                owner = parse_taken(os.readlink(dataset / names.taken(tag, attempt.number)))
                if owner.pid == member.process.pid and owner.token == attempt.token:
                    return not (dataset / names.ended(tag, attempt.number)).is_symlink()
        return False

    def _retry(self) -> bool:
        """An operator touches a mark: on a quarantined dataset if there is one, else on any other."""
        spec = self._rng.choice(STAGES)
        at = self._at(spec.reads)
        failed, waiting = sorted(os.listdir(at / "_failed")), sorted(filter(names.is_candidate, os.listdir(at)))
        for place, found in ((at / "_failed", failed), (at, waiting)):
            if found:
                with suppress(FileNotFoundError):  # moved meanwhile
                    (place / self._rng.choice(found) / f"retry.{spec.name}").touch()
                    self._figures["retry marks"] += 1
                break
        return True

    def _rerun(self) -> bool:
        spec = self._rng.choice(STAGES)
        done = sorted(os.listdir(self._at(spec.reads) / "_done"))
        if not done:
            return False
        typed = self._type_in("rerun", spec.name, self._rng.choice(done).partition("~")[0])
        self._figures["reruns"] += typed.returncode == 0
        if typed.returncode not in {0, 2} or "unexpected" in typed.stderr:
            self._wrong.append(f"rerun: {typed.stderr}")
        return True

    def _is_at_rest(self) -> bool:
        self._fleet.tend()
        return not self._unrest()

    def _unrest(self) -> str:
        """What is not finished yet."""
        left = {
            spec.reads: [*filter(names.is_candidate, os.listdir(self._at(spec.reads)))][:3]
            + [name for name in os.listdir(self._at(spec.reads) / "_work") if name[0] != "."][:3]
            + [name for name in os.listdir(self._at(spec.reads) / "_failed") if self._is_asked_for(spec, name)][:3]
            for spec in STAGES
        }
        return " ".join(f"{location}: {found}" for location, found in left.items() if found)

    def _is_asked_for(self, spec: StageSpec, dataset: str) -> bool:
        """Tell whether an operator's mark on a quarantined dataset is yet to be carried out, or not to its end."""
        at, tag = self._at(spec.reads) / "_failed" / dataset, names.tag(spec.name, dataset)
        with suppress(FileNotFoundError):  # moved meanwhile, or what a poller tries there when it starts
            there = os.listdir(at)
            last = max((int(name.rpartition(".")[2]) for name in there if name.startswith(f"ended.{tag}.")), default=0)
            is_quarantined = parse_ended(os.readlink(at / names.ended(tag, last))).kind is EndKind.QUARANTINE
            return not is_quarantined or f"retry.{spec.name}" in there or f"retry.{tag}.{last}" in there
        return True

    # ---- what came of it

    def _judge(self) -> None:
        self._wrong += self._fleet.strange
        swept = self._type_in("sweep", "--full")
        if swept.returncode != 0 or swept.stdout.count("nothing to do") != len(STAGES):
            self._wrong.append(f"a sweep at rest: {swept.stdout} {swept.stderr}")
        found = observe(Posix(), str(self._judged), LOCATIONS)
        expected = Expectation(
            stages=tuple(
                Stage(name=spec.name, reads=spec.reads, writes=spec.writes, attempts_max=spec.retry.attempts_max)
                for spec in STAGES
            ),
            arrived={LOCATIONS[0]: self._names},
            may_fail=frozenset(name for name in self._names if not name.startswith("ds")),
        )
        self._wrong += violations(found, expected)
        self._wrong += wrong_tokens(found)
        results = {names.generation(dataset.name).base for dataset in found.datasets if dataset.location == "RESULTS"}
        good = {name for name in self._names if name.startswith("ds")}
        if results != good:
            self._wrong.append(f"results: {sorted(results ^ good)[:5]} differ")
        self._count(found)

    def _count(self, found: Observation) -> None:
        logs = "".join(log.read_text(errors="replace") for log in self._logs.iterdir())
        ends = [end for dataset in found.datasets for end in ends_of(dataset.registers)]
        self._figures["fenced or revoked"] = logs.count("fenced:") + logs.count("revoked:")
        self._figures["lost"] = sum(end.why.startswith("lost:") for end in ends)
        self._figures["requeued"] = sum(end.why.endswith(" was requeued") for end in ends)
        self._figures["failed"] = sum("Error: " in end.why for end in ends)
        self._figures["published"] = sum(end.kind is EndKind.PUBLISH for end in ends)
        self._figures["quarantined"] = sum(len(os.listdir(self._at(spec.reads) / "_failed")) for spec in STAGES)
        self._figures["results"] = sum(dataset.location == LOCATIONS[-1] for dataset in found.datasets)
