"""`phaseline doctor --storage`: two processes on the root's file system, here or on two nodes, and a verdict."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import cast

from stages.engine import doctor, mounts, storage
from stages.engine.commands import context
from stages.engine.commands.context import Context
from stages.engine.commands.plugin import plugin
from stages.engine.errors import ExitCode, PhaselineError, UsageError
from stages.engine.identity import boot_id, current
from stages.engine.measurements import Report, decode
from stages.engine.meeting import Side, SilentError
from stages.engine.places import PREFIX, new_place
from stages.engine.play import PATIENCE_SECONDS, Actor, Scale, report_in
from stages.engine.probes import Finding, Verdict
from stages.engine.storage import Fitness, Setting

WAIT_SECONDS = 120.0  # for a node
SETTLE_SECONDS = 30.0  # what a node has written may be seen here so much later
LOOK_SECONDS = 0.2
END_SECONDS = 10.0

Carry = Callable[[str, Sequence[Sequence[str]], float], tuple[list[str], list[str]]]


class BrokenOffError(Exception):
    """The play did not come to its end, and not because of the file system; the text says why."""


def run(arguments: Namespace, at: Context) -> int:
    """Print a line for each finding, and the verdict; EX_CONFIG for `do not`."""
    show = _Shown(as_json=arguments.json)
    show.all(doctor.examine(at.fs, at.clock, at.root, at.catalog.locations))
    needed: list[Setting] = []
    verdict = storage.fitness(show.findings, ())
    if verdict is not Fitness.DO_NOT:
        try:
            sides = _on_nodes if arguments.from_nodes else _here
            reports = sides(arguments, at, show)
            least = storage.bounds(reports)
            show.all([*_mounts(reports, arguments), *storage.judge(*reports), storage.told_of_lease(least)])
            needed = [one for spec in at.catalog.stages for one in storage.shortfalls(spec, least)]
            show.all([setting.finding for setting in needed])
            verdict = storage.fitness(show.findings, needed)
        except SilentError as error:
            show.all([_silent(error)])
            verdict = Fitness.DO_NOT
        except BrokenOffError as error:
            show.all([Finding(probe="two sides", verdict=Verdict.NOTE, detail=str(error))])
            verdict = Fitness.UNKNOWN
    show.end(at.root.path, verdict, needed)
    return _CODES[verdict]


def play(arguments: Namespace, at: Context) -> int:
    """Play one side, as `run` has it started; its report is left in the place. Raises PhaselineError."""
    name, side = arguments.play
    if side not in list(Side) or not name.startswith(PREFIX) or "/" in name:
        raise UsageError("--play is what `phaseline doctor --storage` starts, and no option for people")
    parent, is_here = os.getppid(), not arguments.from_nodes

    def check() -> None:
        if is_here and os.getppid() != parent:
            raise PhaselineError("the doctor has ended, and so does its second process")

    actor = Actor(
        fs=at.fs,
        clock=at.clock,
        side=Side(side),
        who=_who(),
        boot=boot_id(),
        scale=Scale(rounds=arguments.rounds),
        check=check,
    )
    try:
        actor.perform(f"{at.root.path}/{name}", arguments.wait_seconds or PATIENCE_SECONDS)
    except SilentError as error:
        raise PhaselineError(str(error), where=f"{at.root.path}/{name}") from None
    return ExitCode.OK


_CODES = {
    Fitness.GOOD: ExitCode.OK,
    Fitness.WITH_SETTINGS: ExitCode.OK,
    Fitness.DO_NOT: ExitCode.CONFIGURATION,
    Fitness.UNKNOWN: ExitCode.FAILED,
}


@dataclass(slots=True, kw_only=True)
class _Shown:
    """What was found so far; printed as it comes, unless it is for a program."""

    as_json: bool
    findings: list[Finding] = field(default_factory=list[Finding])

    def all(self, findings: Sequence[Finding]) -> None:
        self.findings += findings
        if not self.as_json:
            for finding in findings:
                print(finding.line, flush=True)

    def end(self, root: str, verdict: Fitness, needed: Sequence[Setting]) -> None:
        if self.as_json:
            context.print_json(
                {
                    "root": root,
                    "fit": _CODES[verdict] is ExitCode.OK,
                    "verdict": verdict,
                    "findings": [asdict(finding) for finding in self.findings],
                    "settings": [asdict(setting) for setting in needed],
                }
            )
            return
        more = ", ".join(dict.fromkeys(f"{one.key} = {one.seconds:g} ({one.stage})" for one in needed))
        print(f"{root}: {verdict}" + (f": {more}" if more else ""))


def _here(arguments: Namespace, at: Context, show: _Shown) -> tuple[Report, Report]:
    """Play one side in this process and the other in a second one."""
    del show
    place = new_place(at.root.path)
    scale = Scale(rounds=arguments.rounds)
    try:
        with _second(arguments, at, place) as check:
            actor = Actor(fs=at.fs, clock=at.clock, side=Side.A, who=_who(), boot=boot_id(), scale=scale, check=check)
            mine = actor.perform(place)
        return mine, decode(at.fs.read(report_in(place, Side.B)))
    finally:
        at.fs.remove_tree(place)


@contextmanager
def _second(arguments: Namespace, at: Context, place: str) -> Generator[Callable[[], None]]:
    """Have a second process play the other side; yields what raises BrokenOffError once it has ended badly."""
    words = _words(arguments, place, Side.B)
    common = ["--root", at.root.path, "--stages", at.catalog.directory]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "stages.engine", *common, *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )

        def check() -> None:
            if process.poll():
                said.seek(0)
                last = said.read().decode(errors="replace").strip().splitlines()[-1:]
                raise BrokenOffError(f"the second process ended with {process.returncode}: {' '.join(last)}")

        try:
            yield check
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
        finally:
            process.kill()
            process.wait()


def _on_nodes(arguments: Namespace, at: Context, show: _Shown) -> tuple[Report, Report]:
    """Have both sides played by jobs; what they have to say comes back through the file system."""
    place = new_place(at.root.path)
    wait_seconds = arguments.wait_seconds or WAIT_SECONDS
    carry = cast("Carry", plugin("nodes", "--from-nodes"))
    more = ["--from-nodes", "--wait-seconds", f"{wait_seconds + SETTLE_SECONDS:g}"]
    try:
        notes, troubles = carry(at.root.path, [[*_words(arguments, place, side), *more] for side in Side], wait_seconds)
        show.all([Finding(probe="nodes", verdict=Verdict.NOTE, detail=note) for note in notes])
        if troubles:
            raise BrokenOffError("; ".join(troubles))
        first, second = (_report_of(at, place, side) for side in Side)
        return first, second
    finally:
        at.fs.remove_tree(place)


def _report_of(at: Context, place: str, side: Side) -> Report:
    """Read what a node has left; it may be seen late. Raises SilentError, BrokenOffError."""
    until = at.clock.monotonic() + SETTLE_SECONDS
    path = report_in(place, side)
    while True:
        try:
            at.fs.touch(place)
            if os.path.basename(path) in at.fs.listdir(place):
                return decode(at.fs.read(path))
        except FileNotFoundError:
            pass  # the place itself, or a name that is listed and not yet found
        except ValueError as error:
            raise BrokenOffError(f"{path}: {error}") from None
        if at.clock.monotonic() > until:
            raise SilentError(f"the report that a node has written is not seen here within {SETTLE_SECONDS:g} s")
        at.clock.sleep(LOOK_SECONDS)


def _words(arguments: Namespace, place: str, side: Side) -> list[str]:
    """Return what one side's process is told, after `phaseline` and where the root is."""
    return ["doctor", "--storage", "--rounds", str(arguments.rounds), "--play", os.path.basename(place), side]


def _mounts(reports: Sequence[Report], arguments: Namespace) -> list[Finding]:
    """Of nodes' mounts nothing was said yet; alike, they are judged once."""
    if not arguments.from_nodes:
        return []
    found = dict.fromkeys(report.mount for report in reports if report.mount is not None)
    return [finding for mount in found for finding in mounts.judge(mount)]


def _silent(error: SilentError) -> Finding:
    return Finding(
        probe="two sides", verdict=Verdict.REFUSED, detail=f"{error}: names are not seen", todo=storage.ANOTHER
    )


def _who() -> str:
    """SLURM's name of the node goes before the host's."""
    host = os.environ.get("SLURMD_NODENAME") or current().host
    return f"{host} pid {os.getpid()}"
