"""What one host does to another's view: races with one winner, handles, refusals, and how long it takes to be seen.

    python -m tests.fuse.promises ROUNDS

Runs where both hosts' mounts are to be seen, and prints what came of each as a line of JSON.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from stages.engine.posix import Posix

HOSTS = ("/mnt/a", "/mnt/b")
SERVER = "/mnt/data"  # where an operator works
RACERS = 4
VALUES = ("ab9c6d45:node17:4711:-", "retry:-:1:0:0:no /../x", "retry:-:1:0:0:/" + "w" * 180)
SEEN_SECONDS = 40.0
LOOK_SECONDS = 0.01
Act = Callable[[str, int, int], None]
Outcome = dict[str, object]


def symlink(top: str, turn: int, who: int) -> None:
    os.symlink(str(who), f"{top}/register{turn}")


def mkdir(top: str, turn: int, who: int) -> None:
    os.mkdir(f"{top}/directory{turn}")


def create(top: str, turn: int, who: int) -> None:
    os.close(os.open(f"{top}/file{turn}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def take(top: str, turn: int, who: int) -> None:
    os.rename(f"{top}/source{turn}", f"{top}/taken{turn}.{who}")


def publish(top: str, turn: int, who: int) -> None:
    os.rename(f"{top}/out{turn}.{who}", f"{top}/published{turn}")


def remove(top: str, turn: int, who: int) -> None:
    """One removes a directory, the others put something into it: it is either gone or not empty."""
    if who:
        os.symlink("x", f"{top}/emptied{turn}/{who}")
    else:
        os.rmdir(f"{top}/emptied{turn}")


def flock(top: str, turn: int, who: int) -> None:
    held = os.open(f"{top}/lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends, which it does after all have tried


RACES: dict[str, Act] = {
    "symlink": symlink,
    "mkdir": mkdir,
    "exclusive create": create,
    "rename of one source": take,
    "rename onto one target": publish,
    "rmdir against create": remove,
}


def prepare(top: str, turn: int) -> None:
    """Make what a round of the races is about, as somebody else does."""
    for name in (f"source{turn}", f"emptied{turn}", *(f"out{turn}.{who}" for who in range(RACERS))):
        os.mkdir(f"{top}/{name}")
        if not name.startswith("emptied"):
            Path(top, name, "entry").touch()


def race(act: Act, turns: range) -> list[list[str]]:
    """Let processes on both hosts do the same at the same time; returns what each was told, by turn: "" for success."""
    context = get_context("fork")
    start, results = context.Barrier(RACERS), context.SimpleQueue()

    def run(who: int) -> None:
        told: list[str] = []
        for turn in turns:
            start.wait()
            told.append(tell(lambda turn=turn: act(HOSTS[who % 2], turn, who)))
        start.wait()
        results.put((who, told))

    racers = [context.Process(target=run, args=(who,)) for who in range(RACERS)]
    for racer in racers:
        racer.start()
    by_racer = dict(results.get() for _ in racers)
    for racer in racers:
        racer.join()
    return [[by_racer[who][place] for who in range(RACERS)] for place in range(len(turns))]


def tell(call: Callable[[], object]) -> str:
    """Return the name of the error that a call raises, or nothing."""
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def races(rounds: int) -> Outcome:
    """Return how many rounds of each race had not exactly one winner, how many had more, and what losers were told."""
    turns = range(rounds)
    for turn in turns:
        prepare(SERVER, turn)
    wrong: dict[str, int] = {}
    losers: set[str] = set()
    double = 0
    for name, act in RACES.items():
        told = race(act, turns)
        losers |= {answer for answers in told for answer in answers if answer}
        double += 0 if act is remove else sum(answers.count("") > 1 for answers in told)
        count = sum(not (is_sane if act is remove else has_one_winner)(answers) for answers in told)
        if count:
            wrong[name] = count
    return {"wrong": wrong, "double": double, "losers are told": sorted(losers)}


def lock() -> Outcome:
    """How many are let in at once; nothing of ours locks, and this is to know why not."""
    Path(SERVER, "lock").touch()
    [told] = race(flock, range(1))
    return {"let in": told.count("")}


def has_one_winner(answers: list[str]) -> bool:
    return answers.count("") == 1


def is_sane(answers: list[str]) -> bool:
    """Tell whether a directory was either removed or filled."""
    removal, *fillings = answers
    return (removal == "") == all(fillings)


def handle() -> Outcome:
    """A dataset is opened on one host, moved on the other, and another one gets its name: who gets the register?"""
    fs, (a, b) = Posix(), HOSTS
    fs.mkdir(f"{b}/ds")
    until(lambda: tell(lambda: fs.close(fs.opendir(f"{a}/ds"))) == "")
    opened = fs.opendir(f"{a}/ds")
    fs.rename(f"{b}/ds", f"{b}/moved")
    fs.mkdir(f"{b}/ds")
    told = tell(lambda: fs.symlink("value", "register", opened))
    at = [name for name in ("moved", "ds") if "register" in os.listdir(f"{SERVER}/{name}")]
    fs.close(opened)
    return {"told": told, "at": at}


def visibility() -> Outcome:
    """How many seconds after it was done on one host something is seen on the other, which looked just before."""
    fs, (a, b) = Posix(), HOSTS
    fs.mkdir(f"{SERVER}/v")
    os.utime(f"{SERVER}/v", (1, 1))  # sshfs knows whole seconds only
    before = fs.mtime_ns(f"{b}/v")
    heartbeat = timed(lambda: fs.touch(f"{a}/v"), lambda: fs.mtime_ns(f"{b}/v") != before)
    fs.listdir(f"{b}/v")
    listed = timed(lambda: fs.symlink("x", f"{a}/v/one"), lambda: "one" in fs.listdir(f"{b}/v"))
    tell(lambda: fs.readlink(f"{b}/v/two"))
    read = timed(lambda: fs.symlink("x", f"{a}/v/two"), lambda: tell(lambda: fs.readlink(f"{b}/v/two")) == "")
    return {"heartbeat": heartbeat, "listed": listed, "read": read}


def timed(do: Callable[[], None], is_seen: Callable[[], bool]) -> float | None:
    do()
    return until(is_seen)


def until(is_so: Callable[[], bool]) -> float | None:
    """Return how many seconds it took; None for too long."""
    begun = time.monotonic()
    while not is_so():
        if time.monotonic() - begun > SEEN_SECONDS:
            return None
        time.sleep(LOOK_SECONDS)
    return round(time.monotonic() - begun, 2)


def values() -> Outcome:
    """Which values of registers are not read on the other host as they were written, and what is said instead."""
    fs, (a, b) = Posix(), HOSTS
    wrong: Outcome = {}
    for number, value in enumerate(VALUES):
        fs.symlink(value, f"{a}/value{number}")
        try:
            read = fs.readlink(f"{b}/value{number}")
        except OSError as error:
            read = errno.errorcode[error.errno or 0]
        if read != value:
            wrong[value] = read
    return wrong


def main(rounds: int) -> None:
    """Try everything; where a file system breaks at something, what was found before is printed."""
    print(json.dumps({"races": races(rounds)}), flush=True)
    for name, look in {"lock": lock, "handle": handle, "values": values, "visibility": visibility}.items():
        print(json.dumps({name: look()}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
