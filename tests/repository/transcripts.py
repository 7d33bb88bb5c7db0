"""Transcripts: the console blocks of a document, executed in order and compared with what the document shows.

A block is fenced with ```console. In it a line `$ command` is typed (`> ` continues it), and what follows, up to the
next command, is what one sees. All commands of a document run in one bash, so `cd` and variables last, with

* a fresh directory as working directory, HOME and TMPDIR, and PHASELINE_ROOT below it;
* the checkout's .venv/bin first on PATH, so `phaseline` and `python` are those under test;
* `make` working in the checkout, wherever the reader stands;
* a Prefect stack of its own, in `.phaseline` below the fresh directory and on a free port: what stands as port 4200.

What needs a SLURM is fenced with ```shell-session, and executed in the same way by `make verify-cluster`.

In what is shown `...` alone on a line stands for any number of lines, `...` in a line for any text. What differs from
one machine and moment to the next (tokens, hosts, process ids, dates, durations, sizes that `ls -l` prints) is made
equal on both sides first; so a document may show what its writer really saw.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port
from tests.repository.checkout import BIN, ROOT

PORT = "4200"  # Prefect's usual one
STACK = ".phaseline"
UP = "phaseline up"
HERE, ON_SLURM = "console", "shell-session"  # what the blocks are fenced with
FENCE = r"^(?P<indent> *)```{kind}\n(?P<body>.*?)^(?P=indent)```"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of a transcript, the lines that the document shows for it, and where it stands."""

    command: str
    shown: tuple[str, ...]
    line: int


def steps(text: str, kind: str = HERE) -> list[Step]:
    """The commands of all blocks of a kind, in order. ValueError: a block begins with output."""
    found: list[Step] = []
    for block in re.finditer(FENCE.format(kind=kind), text, re.MULTILINE | re.DOTALL):
        first = text.count("\n", 0, block.start("body")) + 1
        lines = [line.removeprefix(block["indent"]) for line in block["body"].splitlines()]
        found.extend(_steps_of_block(lines, first))
    return found


def _steps_of_block(lines: list[str], first: int) -> list[Step]:
    found: list[Step] = []
    for number, line in enumerate(lines, first):
        if line.startswith("$ "):
            found.append(Step(command=line[2:], shown=(), line=number))
            continue
        if not found:
            message = f"line {number}: a console block begins with `$ command`"
            raise ValueError(message)
        last = found[-1]
        if (line == ">" or line.startswith("> ")) and not last.shown:
            found[-1] = Step(command=f"{last.command}\n{line[2:]}", shown=(), line=last.line)
        else:
            found[-1] = Step(command=last.command, shown=(*last.shown, line), line=last.line)
    return found


def execute(commands: list[str], folder: Path, *, timeout_seconds: float) -> list[str]:
    """Type the commands into one bash; what each of them printed, both streams together.

    A stack that they leave up is ended. subprocess.TimeoutExpired: they took longer than that together.
    """
    mark, port = f"--- {secrets.token_hex(8)} ---", str(free_port())
    # A function so that a document's `make` needs no -C; the mark comes after the output of each command.
    lines = [
        f'make() {{ command make --no-print-directory -C {shlex.quote(str(ROOT))} "$@"; }}',
    ]
    for command in commands:
        lines += [command.replace(UP, f"{UP} --port {PORT}").replace(PORT, port), f"printf '%s\\n' '{mark}'"]
    try:
        typed = _typed(lines, folder, timeout_seconds)
    finally:
        if (folder / STACK).is_dir():
            _typed(["phaseline down --pollers"], folder, timeout_seconds)
    parts = typed.replace(port, PORT).split(f"{mark}\n")
    return [*parts[: len(commands)], *[""] * (len(commands) - len(parts))]


def _typed(lines: list[str], folder: Path, timeout_seconds: float) -> str:
    return subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout_seconds,
        text=True,
        errors="replace",
        check=False,
    ).stdout


def environment(folder: Path) -> dict[str, str]:
    """A terminal of a known size and language, nothing of the one who runs the tests but what reaches packages."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PHASELINE_", "PREFECT_", "PYTHON", "PYTEST_"))
    }
    return kept | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PHASELINE_ROOT": str(folder / "root"),
        "PHASELINE_STACK": str(folder / STACK),
        "COLUMNS": "120",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "TZ": "UTC",
    }


def difference(shown: str, seen: str, folder: Path) -> str | None:
    """None if a reader would see what the document shows; else both, made equal where they may differ."""
    shown_lines, seen_lines = _plain(shown, folder), _plain(seen, folder)
    if re.fullmatch(_pattern(shown_lines), "".join(f"{line}\n" for line in seen_lines)):
        return None
    return "\n".join(["shown:", *(f"  {line}" for line in shown_lines), "seen:", *(f"  {line}" for line in seen_lines)])


def _pattern(lines: list[str]) -> str:
    return "".join(
        r"(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n" for line in lines
    )


_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_EQUAL = [
    # ls -l: mode, links, owner, group, size, date; what is left is the mode's kind and the name
    (rf"^([-dl])[-rwxsStT]{{9}}[.+]? +\d+ +\S+ +\S+ +\d+ +{_MONTH} +\d+ +[\d:]+ ", r"\1 "),
    (r"^total \d+$", "total N"),
    (r"\b[0-9a-f]{8}:[\w.-]+:\d+:[\w.-]+", "TOKEN:HOST:PID:JOB"),  # taken
    (r"\b(publish|retry|quarantine):(?:[0-9a-f]{8}|-):(\d+):(\d+):\d+:", r"\1:TOKEN:\2:\3:TIME:"),  # ended
    (r"(?<=[~.])[0-9a-f]{8}\b", "TOKEN"),
    (r"\b[0-9a-f]{64}\b", "SHA256"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?Z| ?UTC|[+-]\d\d:?\d\d)?", "TIME"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?\b", "TIME"),
    (r"\b\d+(\.\d+)? ?(µs|us|ms|s|seconds?|min|minutes?|h|hours?|d|days?)\b", "TIME"),
    (r"\bTIME( TIME)+\b", "TIME"),  # 1 min 3 s
    (r"\b[\w.-]+ pid \d+\b", "HOST pid PID"),
    (r"\b(pid|process) \d+\b", r"\1 PID"),
]


def _plain(text: str, folder: Path) -> list[str]:
    """The lines without what differs between machines and moments, blanks as one, no empty lines around."""
    host = socket.gethostname().split(".")[0]
    text = text.replace(str(folder), "~").replace(str(ROOT), "CLONE").strip("\n")
    lines = [re.sub(rf"\b{re.escape(host)}\b", "HOST", line) for line in text.splitlines()]
    for pattern, equal in _EQUAL:
        lines = [re.sub(pattern, equal, line) for line in lines]
    return [re.sub(r"[ \t]+", " ", line).rstrip() for line in lines]
