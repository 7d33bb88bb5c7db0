"""Is the named command found, and only that one imported? Does every end have its line and its exit code?"""

from __future__ import annotations

import errno
import io
import re
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from loguru import logger

from stages.engine import cli, logs, settings
from stages.engine.cli import main
from stages.engine.errors import ExitCode, StorageError
from stages.engine.quantities import duration, parse_seconds, size
from tests.unit.chain import Chain

HERE = Path(__file__).resolve().parents[2]


def command(monkeypatch: pytest.MonkeyPatch, run: Callable[[Namespace], int]) -> None:
    """Let `phaseline status` be something else."""

    def add_arguments(parser: ArgumentParser) -> None:
        parser.add_argument("--more", action="store_true")

    module = ModuleType("stages.engine.commands.status")
    for name, value in {"HELP": "else", "add_arguments": add_arguments, "run": run}.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "stages.engine.commands.status", module)


def raising(error: BaseException) -> Callable[[Namespace], int]:
    def run(arguments: Namespace) -> int:
        raise error

    return run


def test_the_common_options_stand_before_or_after(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str | None, str | None, bool]] = []

    def run(arguments: Namespace) -> int:
        seen.append((arguments.root, arguments.stages, arguments.more))
        return 7

    command(monkeypatch, run)
    assert main(["--root", "r", "status", "--stages", "s", "--more"]) == 7
    assert main(["--stages", "s", "status", "--more", "--root", "r"]) == 7
    assert main(["--root", "x", "status", "--root", "r"]) == 7
    assert main(["status"]) == 7
    assert seen == [("r", "s", True), ("r", "s", True), ("r", None, False), (None, None, False)]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (StorageError("the disk is full", where="/d", todo="free space"), 75, "the disk is full: /d; free space"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left", "/d"), 75, "the storage failed (No space left): /d; free space"),
        (OSError(errno.EACCES, "Permission denied", "/d/\n"), 1, "Permission denied: /d/?"),
        (ValueError("what\never"), 1, "unexpected ValueError: what?ever (test_cli.py:"),
    ],
)
def test_every_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    command(monkeypatch, raising(error))
    assert main(["status"]) == code
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith(f"phaseline: {line}")


def test_a_defect_shows_its_traceback_to_who_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(monkeypatch, raising(ValueError("x")))
    monkeypatch.setenv("PHASELINE_DEBUG", "1")
    assert main(["status"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_command_whose_packages_are_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find(name: str) -> ModuleType:
        raise ModuleNotFoundError(name="prefect.client" if name.endswith("status") else "stages.engine.commands.poll")

    monkeypatch.setattr(cli, "import_module", find)
    assert main(["status"]) == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "phaseline: `phaseline status` needs 'prefect', which is not installed; pip install 'phaseline[control]'\n"
    )
    assert main(["poll"]) == ExitCode.USAGE
    assert "not part of this installation" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "(`phaseline status` needs 'prefect'" in capsys.readouterr().out


def test_help_names_every_command_and_without_a_command_it_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in cli.ENGINE:
        assert re.search(rf"^  {name} +[a-z]", out, re.MULTILINE), name
    assert main([]) == ExitCode.USAGE


@pytest.mark.parametrize("name", cli.ENGINE)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert "--root DIR" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"phaseline \S+\n", capsys.readouterr().out)


def test_nothing_heavy_is_imported_to_say_the_version() -> None:
    code = (
        "import sys; from stages.engine.cli import main; main(['--version']);"
        "print(sorted({'pydantic', 'loguru', 'pydantic_settings'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"


def test_a_reader_that_has_seen_enough_is_no_error(chain: Chain) -> None:
    words = [sys.executable, "-m", "stages.engine", "status", "--json", "--root", chain.root.path]
    with subprocess.Popen(
        [*words, "--stages", str(chain.stages)], cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ROOT": "/r", "UMASK": "027", "ALLOW_SHORT_LEASE": "1", "IMAGE": ""}.items():
        monkeypatch.setenv(f"PHASELINE_{name}", value)
    found = settings.load()
    assert (found.root, found.umask, found.allow_short_lease, found.image) == ("/r", 0o027, True, "")
    assert (found.grace_seconds, found.look_seconds_max) == (20.0, 30.0)


def test_an_event_is_one_line_with_what_it_is_bound_to() -> None:
    stream = io.StringIO()
    logs.configure("INFO", stream)
    try:
        logger.bind(dataset="{ds}<7>", attempt=2).info("published {}", "it")
        logger.debug("not told")
    finally:
        logger.remove()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO    published it dataset=\{ds\}<7> attempt=2\n", stream.getvalue()
    )


def test_quantities_are_as_people_write_them() -> None:
    assert [parse_seconds(text) for text in ("90s", "1.5h", "7d", "2w")] == [90, 5400, 604800, 1209600]
    seconds = (0.04, 9.96, 12, 119, 121, 7300, 200000, -5)
    assert [duration(each) for each in seconds] == ["0.0 s", "10.0 s", "12 s", "119 s", "2 min", "2 h", "2 d", "0.0 s"]
    assert [size(each) for each in (0, 1023, 1536, 5 << 20, 3 << 40)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "5.0 MiB",
        "3.0 TiB",
    ]
