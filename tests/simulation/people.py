"""Who acts in a simulated world beside pollers and sweepers: people, and powers that nobody asked; and companies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from greenlet import GreenletExit

from stages.engine import archive, names
from stages.engine.errors import UsageError
from stages.engine.policy import Cause
from stages.engine.settlement import Settled
from stages.engine.sightings import Lease, Sightings
from tests.simulation.disk import walk
from tests.simulation.pipeline import ONWARD, PASSAGE, READS, ROOT, STAGE, Pipeline
from tests.simulation.process import SimulatedIdentity
from tests.simulation.script import RESULT, Part, fails, is_asked_to_stop, puts_off
from tests.simulation.world import Actor

Role = Callable[[Pipeline], Callable[[Actor], None]]
Troupe = Callable[[Pipeline], None]

LEASE: Final = Lease(heartbeat_seconds=30.0, expires_seconds=90.0)
LOOKS: Final = 5
LOOK_SECONDS: Final = 10.0  # longer than a listing is trusted unseen, and much shorter than the time between full ones
FIRST_TOKEN: Final = b"00010001"  # of the first attempt of the first actor


def operator(actor: Actor) -> None:
    """Touches a retry mark wherever the dataset is found."""
    for base in (READS.path, READS.failed):
        try:
            actor.fs.write_new(f"{base}/ds/retry.{STAGE}", b"")
        except OSError:
            continue
        return


def person(body: Callable[[Actor], None]) -> Role:
    """Make a role of somebody who need not know the pipeline."""
    return lambda pipeline: body


def asks_again(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Reruns the dataset once it is published; nobody else does, so that it cannot have been moved."""

    def body(actor: Actor) -> None:
        for _ in range(2):
            for entry in archive.archived(actor.fs.listdir(READS.done)):
                rerun, token = pipeline.engine.rerun, actor.identity.token()
                try:
                    rerun(actor.fs, ROOT, PASSAGE, entry, token=token, who="operator")
                except UsageError as error:
                    if "somebody else" in str(error):
                        actor.world.findings.append(f"I1 {actor.name}: {error}")
                    continue
                return

    return body


def sends_again(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Gives a name a second time, past `phaseline add`, once it is free."""

    def body(actor: Actor) -> None:
        fs = actor.fs
        fs.mkdir(f"{READS.incoming}/ds")
        fs.write_new(f"{READS.incoming}/ds/x", b"other data")
        for _ in range(3):
            try:
                fs.rename(f"{READS.incoming}/ds", READS.dataset("ds"))
            except OSError:
                continue
            pipeline.arrived.append("ds")
            return

    return body


def start(number: int, turns: int = 1) -> Role:
    """A start of job 7: it ends what earlier ones hold, then takes turns. Those may live on: nobody told them."""

    def role(pipeline: Pipeline) -> Callable[[Actor], None]:
        def body(actor: Actor) -> None:
            job = f"7.{number}"
            actor.identity = SimulatedIdentity(actor.identity.number, job)
            store = pipeline.make_store(actor.fs, actor.clock, actor.identity)
            owners = pipeline.engine.owners(fs=store.fs, lease=LEASE, here=None, job=job)
            if number:
                pipeline.engine.sweeper(store=store, owners=owners, sightings=Sightings()).end_former(job)
                actor.forget("former ended")
            pipeline.poller(turns)(actor)

        return body

    return role


def copies_in_place(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Copies a dataset to where it is claimed, and says when it is complete."""

    def body(actor: Actor) -> None:
        pipeline.arrived.append("ds")
        top = READS.dataset("ds")
        actor.fs.mkdir(top)
        actor.fs.write_new(f"{top}/x", b"data")
        actor.fs.write_new(f"{top}/y", b"more data")
        actor.fs.write_new(f"{top}/{names.ready(STAGE)}", b"")

    return body


def fills_slowly(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Makes the dataset's directory first, and moves its only file there later."""

    def body(actor: Actor) -> None:
        pipeline.arrived.append("ds")
        actor.fs.write_new(f"{READS.incoming}/x", b"data")
        actor.fs.mkdir(READS.dataset("ds"))
        actor.fs.rename(f"{READS.incoming}/x", f"{READS.dataset('ds')}/x")

    return body


def next_poller(pipeline: Pipeline) -> Callable[[Actor], None]:
    """A poller of the next stage."""
    return pipeline.poller(passage=ONWARD)


def keeps_looking(pipeline: Pipeline) -> Callable[[Actor], None]:
    """A poller that looks every few seconds: what waits through two looks in a row, it overlooks."""

    def body(actor: Actor) -> None:
        poller = pipeline.make_poller(pipeline.make_store(actor.fs, actor.clock, actor.identity), actor.rng)
        overlooked: set[str] = set()
        for _ in range(LOOKS):
            waiting = pipeline.unclaimed()
            poller.turn()
            waiting &= pipeline.unclaimed()
            actor.world.findings += [f"I5 {name}: not found in two looks" for name in waiting & overlooked]
            overlooked = waiting
            actor.remember(tuple(sorted(overlooked)))
            actor.clock.sleep(LOOK_SECONDS)

    return body


def adds_late(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Adds a dataset while others look."""
    return lambda actor: pipeline.add(actor.fs, "late")


def dies_at_every_attempt(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Claims, and never ends what it claimed."""

    def body(actor: Actor) -> None:
        store = pipeline.make_store(actor.fs, actor.clock, actor.identity)
        sweeper = pipeline.make_sweeper(store)
        for _ in range(12):
            store.claim("ds")
            sweeper.sweep(full=True)

    return body


def dies_after_its_commit(pipeline: Pipeline) -> Callable[[Actor], None]:
    """Decides that its attempt is published, and dies before anything follows from that."""

    def body(actor: Actor) -> None:
        store = pipeline.make_store(actor.fs, actor.clock, actor.identity)
        store.settlement.roll_forward = _dies
        pipeline.make_poller(store, actor.rng).turn()

    return body


def _dies(handle: int, attempt: names.Attempt) -> Settled:
    raise GreenletExit


def straggler(pipeline: Pipeline) -> Callable[[Actor], None]:
    """What the first author left behind: it writes once more into the file that it has open."""

    def body(actor: Actor) -> None:
        disk = pipeline.world.disk
        for _ in range(2):
            actor.fs.mtime_ns(ROOT.path)
            for _, node in walk(disk.root):
                if node.name == RESULT and node.content == FIRST_TOKEN:
                    disk.write(node, b"written late")

    return body


def outage(actor: Actor) -> None:
    """The server is down for a while: nobody can beat, nobody can look."""
    with suppress(OSError):
        actor.fs.device(ROOT.path)
        actor.fs.mtime_ns(ROOT.path)


def company(
    pollers: int = 1,
    sweepers: int = 1,
    *,
    turns: int = 1,
    sweeps: int = 1,
    parts: tuple[Part, ...] = (),
    cause: Cause = Cause.LOST,
    warm: bool = False,
    **others: Role,
) -> Troupe:
    """Pollers P0, P1 ..., of which the first plays the parts, sweepers S0, S1 ..., and others by their names."""

    def spawn(pipeline: Pipeline) -> None:
        for number in range(pollers):
            pipeline.spawn(f"P{number}", pipeline.poller(turns, parts if number == 0 else (), warm=warm))
        for number in range(sweepers):
            pipeline.spawn(f"S{number}", pipeline.sweeper(sweeps, cause, warm=warm))
        for name, role in others.items():
            pipeline.spawn(name, role(pipeline))

    return spawn


def everybody(pipeline: Pipeline) -> None:
    for number, parts in enumerate(((fails, is_asked_to_stop), (puts_off,), ())):
        pipeline.spawn(f"P{number}", pipeline.poller(3, parts, warm=True))
    for number in range(2):
        pipeline.spawn(f"S{number}", pipeline.sweeper(3, warm=True))
    pipeline.spawn("O", operator)


def everybody_and_rerun(pipeline: Pipeline) -> None:
    everybody(pipeline)
    pipeline.spawn("R", asks_again(pipeline))


def everybody_and_again(pipeline: Pipeline) -> None:
    everybody(pipeline)
    pipeline.spawn("N", sends_again(pipeline))
