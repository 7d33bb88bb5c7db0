"""The command `phaseline`: finds the sub-command, and turns every error into one line."""

from __future__ import annotations

import os
import re
import sys
import traceback
from argparse import REMAINDER, SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module, metadata
from pathlib import Path
from typing import NoReturn, Protocol, cast

from stages.engine.errors import ExitCode, PhaselineError, StorageError, UsageError

GROUP = "phaseline.commands"
ENGINE = ("init", "doctor", "add", "poll", "sweep", "status", "explain", "retry", "rerun", "prune")
OURS = ("stages", "infra", "flows")


class Command(Protocol):
    """What the module of a sub-command offers."""

    HELP: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what can be typed after its name."""
        ...

    def run(self, arguments: Namespace) -> int:
        """Carry it out; returns the exit code."""
        ...


class Parser(ArgumentParser):
    """An argparse parser whose errors are one line like all others."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, todo=f"see `{self.prog} --help`")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `phaseline`; returns the exit code. No error leaves as a traceback."""
    try:
        code = _dispatch(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return code
    except PhaselineError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        failure = _explained(error)
        return _fail(str(failure), failure.exit_code)
    except Exception as error:  # noqa: BLE001 - the last resort; a person gets one line in any case
        return _unexpected(error)


def _fail(line: str, code: int) -> int:
    print(f"phaseline: {line}", file=sys.stderr)
    return int(code)


def _explained(error: OSError) -> PhaselineError:
    from stages.engine.publication import STORAGE_ERRORS  # noqa: PLC0415 - only a failure pays for this import

    if error.errno in STORAGE_ERRORS:
        todo = "free space or mend the mount, then type the same again"
        return StorageError(f"the storage failed ({error.strerror})", where=error.filename, todo=todo)
    return PhaselineError(error.strerror or str(error), where=error.filename)


def _unexpected(error: Exception) -> int:
    if os.environ.get("PHASELINE_DEBUG") == "1":
        traceback.print_exception(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = f"unexpected {type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
    return _fail(
        str(
            PhaselineError(what, todo="this is a defect: report this line; PHASELINE_DEBUG=1 shows where it came from")
        ),
        ExitCode.FAILED,
    )


def _dispatch(argv: Sequence[str]) -> int:
    top = Parser(prog="phaseline", add_help=False, allow_abbrev=False, parents=[_common()])
    top.add_argument("-h", "--help", action="store_true")
    top.add_argument("--version", action="store_true")
    top.add_argument("command", nargs="?")
    top.add_argument("rest", nargs=REMAINDER)
    first = top.parse_args(argv)
    if first.version:
        print(f"phaseline {_version()}")
        return ExitCode.OK
    if first.help or first.command is None:
        print(_overview(), end="")
        return ExitCode.OK if first.help else ExitCode.USAGE
    command = _command(first.command)
    parser = Parser(
        prog=f"phaseline {first.command}",
        description=f"{command.HELP}\n\n{command.__doc__ or ''}".strip(),
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[_common()],
    )
    command.add_arguments(parser)
    given = Namespace(root=getattr(first, "root", None), stages=getattr(first, "stages", None))
    return command.run(parser.parse_args(first.rest, namespace=given))


def _common() -> ArgumentParser:
    """The options that may stand before or after the sub-command."""
    common = ArgumentParser(add_help=False)
    common.add_argument("--root", metavar="DIR", default=SUPPRESS, help="the data root (PHASELINE_ROOT)")
    common.add_argument(
        "--stages",
        metavar="DIR",
        default=SUPPRESS,
        help="the directory of stages (PHASELINE_STAGES; default: those shipped)",
    )
    return common


def _modules() -> dict[str, str]:
    """Where each sub-command's module is: the engine's own, and what installed packages bring."""
    own = {name: f"stages.engine.commands.{name}" for name in ENGINE}
    return {entry.name: entry.value for entry in metadata.entry_points(group=GROUP)} | own


def _command(name: str) -> Command:
    """Import a sub-command; raises UsageError, also for what its module needs and is not installed."""
    module = f"stages.engine.commands.{name}" if name in ENGINE else _modules().get(name)
    if module is None:
        known = sorted(_modules())
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"there is no command {name!r}", todo=f"{hint}commands: {', '.join(known)}")
    try:
        return cast("Command", import_module(module))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in OURS:
            raise UsageError(f"the command {name!r} is not part of this installation", where=error.name) from None
        raise UsageError(
            f"`phaseline {name}` needs {missing!r}, which is not installed", todo=_how_to_get(missing)
        ) from None


def _how_to_get(missing: str) -> str:
    """Say which extra of ours brings a package."""
    try:
        wanted = metadata.requires("phaseline") or []
    except metadata.PackageNotFoundError:
        wanted = []
    for requirement in wanted:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        if extra is not None and re.sub(r"[-.]", "_", name) == missing:
            return f"pip install 'phaseline[{extra[1]}]'"
    return f"install {missing}"


def _version() -> str:
    try:
        return metadata.version("phaseline")
    except metadata.PackageNotFoundError:
        return "(not installed: a bare checkout)"


def _overview() -> str:
    lines = ["usage: phaseline [--root DIR] [--stages DIR] COMMAND ...", ""]
    order = {name: at for at, name in enumerate(ENGINE)}
    for name in sorted(_modules(), key=lambda name: (order.get(name, len(order)), name)):
        try:
            lines.append(f"  {name:<9} {_command(name).HELP}")
        except UsageError as error:
            lines.append(f"  {name:<9} ({error.what})")
    lines += [
        "",
        "`phaseline COMMAND --help` says more; PHASELINE_ROOT and PHASELINE_STAGES stand for the options.",
        "",
    ]
    return "\n".join(lines)
