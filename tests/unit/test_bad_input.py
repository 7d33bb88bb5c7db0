"""Does bad input of every kind get one clear line and a non-zero exit, never a traceback?"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from stages.engine.cli import main
from tests.unit.chain import Chain

HERE = Path(__file__).resolve().parents[2]


def nothing(chain: Chain) -> None:
    """The root as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """What is wrong, what is typed, how it ends and what the line must hold."""

    words: str
    says: str
    code: int = 2
    wrong: Callable[[Chain], object] = nothing


def broken_toml(text: str) -> Callable[[Chain], object]:
    return lambda chain: (chain.stages / "first" / "stage.toml").write_text(text)


def linked_dataset(chain: Chain) -> None:
    chain.source("real")
    (chain.top / "outside" / "link").symlink_to("real")


def file_for_register(chain: Chain) -> None:
    chain.put("ds1").joinpath("taken.first.1").touch()


def foreign_register(chain: Chain) -> None:
    os.symlink("who knows", chain.put("ds1") / "taken.first.1")


def foreign_end(chain: Chain) -> None:
    chain.claim("first", chain.put("ds1").name)
    os.symlink("exploded:-:0:0:0:why", chain.path("IN/ds1/ended.first.1"))


def with_source(chain: Chain) -> None:
    chain.source("ds1")


def marker_inside(chain: Chain) -> None:
    chain.source("ds1").joinpath("taken.first.1").touch()


def manifest_inside(chain: Chain) -> None:
    chain.source("ds1").joinpath("manifest.json").write_text("{}")


def link_outside(chain: Chain) -> None:
    chain.source("ds1").joinpath("escape").symlink_to("../../stages")


def fifo_inside(chain: Chain) -> None:
    os.mkfifo(chain.source("ds1") / "pipe")


def no_register(chain: Chain) -> None:
    chain.path("_phaseline").unlink()


def other_protocol(chain: Chain) -> None:
    no_register(chain)
    chain.path("_phaseline").symlink_to("protocol:2")


def file_for_root_register(chain: Chain) -> None:
    no_register(chain)
    chain.path("_phaseline").touch()


BAD = {
    "unknown command": Bad(words="pol first", says="there is no command 'pol'; did you mean 'poll'?"),
    "unknown option": Bad(words="status --al", says="unrecognized arguments: --al; see `phaseline status --help`"),
    "missing argument": Bad(words="retry first", says="required: DATASET"),
    "unknown stage, add": Bad(words="add frist {outside}", says="no stage 'frist'", wrong=with_source),
    "unknown stage, poll": Bad(words="poll third", says="stages here: first, second"),
    "unknown stage, sweep": Bad(words="sweep third", says="no stage 'third'"),
    "unknown stage, retry": Bad(words="retry frist ds1", says="did you mean 'first'?"),
    "unknown stage, rerun": Bad(words="rerun third ds1", says="no stage 'third'"),
    "unknown stage, prune": Bad(words="prune third --older-than 7d", says="no stage 'third'"),
    "no TOML": Bad(words="status", code=78, says="this is no TOML", wrong=broken_toml("reads = [")),
    "stage.toml in Latin-1": Bad(
        words="status",
        code=78,
        says="this is no TOML",
        wrong=lambda chain: (chain.stages / "first" / "stage.toml").write_bytes(b'title = "\xe9"'),
    ),
    "stage.toml without work": Bad(
        words="status", code=78, says="'work' is missing", wrong=broken_toml('reads = "IN"\nwrites = "MID"\n')
    ),
    "stage.toml with an unknown key": Bad(
        words="status",
        code=78,
        says="unknown key 'lease.expires'",
        wrong=lambda chain: chain.write_stage("first", "IN", "MID", "[lease]\nexpires = 9\n"),
    ),
    "lease too short for its heartbeat": Bad(
        words="poll first",
        code=78,
        says="180 is too short for heartbeat_seconds = 100: 300 is the smallest that would do",
        wrong=lambda chain: chain.write_stage("first", "IN", "MID", "[lease]\nheartbeat_seconds = 100\n"),
    ),
    "stages in a circle": Bad(
        words="status",
        code=78,
        says="the stages form a circle: IN -> MID -> IN",
        wrong=lambda chain: chain.write_stage("second", "MID", "IN"),
    ),
    "two readers": Bad(
        words="status",
        code=78,
        says="IN is read by two stages, 'first' and 'second'",
        wrong=lambda chain: chain.write_stage("second", "IN", "RESULTS"),
    ),
    "two chains": Bad(
        words="status",
        code=78,
        says="no single chain: beside IN -> MID stage 'second' reads ELSEWHERE",
        wrong=lambda chain: chain.write_stage("second", "ELSEWHERE", "RESULTS"),
    ),
    "stage name not allowed": Bad(
        words="status",
        says="a stage cannot be called 'Third'",
        wrong=lambda chain: chain.write_stage("Third", "RESULTS", "MORE"),
    ),
    "no stages there": Bad(words="--stages {outside} status", says="the directory of stages does not exist"),
    "root is none": Bad(words="status", says="phaseline init --root", wrong=no_register),
    "root is not there": Bad(words="--root {outside} status", says="the data root does not exist"),
    "root is a file": Bad(words="--root {outside}/a.txt status", says="this is no data root", wrong=with_source),
    "root of another protocol": Bad(words="status", says="'protocol:2', this phaseline", wrong=other_protocol),
    "file for the root's register": Bad(
        words="status", code=1, says="a plain file or directory stands", wrong=file_for_root_register
    ),
    "location of a new stage missing": Bad(
        words="status",
        says="a directory of this pipeline is missing",
        wrong=lambda chain: chain.write_stage("third", "RESULTS", "MORE"),
    ),
    "add what is not there": Bad(words="add first {outside}", says="there is no such directory"),
    "add a file": Bad(words="add first {outside}/a.txt", says="a dataset is a real directory", wrong=with_source),
    "add a symlink": Bad(
        words="add first {top}/outside/link", says="a dataset is a real directory", wrong=linked_dataset
    ),
    "add under a reserved name": Bad(words="add first {outside} --as _x", says="'_x'", wrong=with_source),
    "add under a name with ~": Bad(words="add first {outside} --as a~b", says="not allowed", wrong=with_source),
    "add under a generation's name": Bad(words="add first {outside} --as a+g2", says="rerun", wrong=with_source),
    "add under too long a name": Bad(words=f"add first {{outside}} --as {'x' * 201}", says="longer", wrong=with_source),
    "add several under one name": Bad(words="add first {outside} {top} --as x", says="one by one", wrong=with_source),
    "add with a marker inside": Bad(words="add first {outside}", says="phaseline's markers", wrong=marker_inside),
    "add with a manifest inside": Bad(words="add first {outside}", says="phaseline's manifests", wrong=manifest_inside),
    "add with a link that leads out": Bad(words="add first {outside}", says="leads outside", wrong=link_outside),
    "add with a fifo inside": Bad(words="add first {outside}", says="neither file nor directory", wrong=fifo_inside),
    "add the root itself": Bad(words="add first {top}", says="cannot be added to itself"),
    "add an empty directory": Bad(
        words="add first {outside}", says="holds no file", wrong=lambda chain: chain.source("ds1") and empty(chain)
    ),
    "retry an unknown dataset": Bad(words="retry first ds9", says="first has no dataset 'ds9'"),
    "retry what matches nothing": Bad(words="retry first ds*", says="no dataset matches 'ds*'"),
    "rerun an unknown dataset": Bad(words="rerun first ds9", says="first has published no dataset 'ds9'"),
    "explain an unknown dataset": Bad(
        words="explain ds", says="did you mean ds1?", wrong=lambda chain: chain.put("ds1")
    ),
    "explain a damaged register": Bad(
        words="explain ds1", code=1, says="IN/ds1/taken.first.1", wrong=file_for_register
    ),
    "explain a foreign register": Bad(words="explain ds1", code=1, says="'who knows'", wrong=foreign_register),
    "explain an unknown end": Bad(words="explain ds1", code=1, says="'exploded:-:0:0:0:why'", wrong=foreign_end),
    "prune without an age": Bad(words="prune", says="--older-than"),
    "prune with no duration": Bad(words="prune --older-than soon", says="'soon' is no duration"),
    "poll a negative number": Bad(words="poll first --datasets -1", says="--datasets -1 is not positive"),
    "poll no number": Bad(words="poll first --datasets many", says="invalid int value: 'many'"),
}


def empty(chain: Chain) -> None:
    for file in ("a.txt", "sub/b.txt"):
        (chain.top / "outside" / "ds1" / file).unlink()


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_line(chain: Chain, capsys: pytest.CaptureFixture[str], name: str) -> None:
    bad = BAD[name]
    bad.wrong(chain)
    words = [word.format(outside=chain.top / "outside" / "ds1", top=chain.top) for word in bad.words.split()]
    if words[0] not in ("--root", "--stages"):
        code = chain.phaseline(*words)
    else:  # the later option wins
        code = main(["--root", chain.root.path, "--stages", str(chain.stages), *words])
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert len(lines) == 1, (out, err)
    assert lines[0].startswith("phaseline: ")
    assert bad.says in lines[0], lines[0]
    assert code == bad.code


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("PHASELINE_UMASK=9", "PHASELINE_UMASK = '9': it should be octal"),
        ("PHASELINE_UMASK=7777", "PHASELINE_UMASK"),
        ("PHASELINE_LOG_LEVEL=LOUD", "PHASELINE_LOG_LEVEL = 'LOUD'"),
        ("PHASELINE_LOOK_SECONDS_MAX=-1", "PHASELINE_LOOK_SECONDS_MAX"),
        ("PHASELINE_ALLOW_SHORT_LEASE=perhaps", "PHASELINE_ALLOW_SHORT_LEASE"),
    ],
)
def test_a_bad_environment_gets_one_line(
    chain: Chain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, says: str
) -> None:
    monkeypatch.setenv(*variable.split("=", 1))
    assert chain.phaseline("status") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_no_root_given_gets_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHASELINE_ROOT", raising=False)
    assert main(["status"]) == 2
    assert capsys.readouterr().err == "phaseline: no data root is given; say --root DIR, or set PHASELINE_ROOT\n"


def test_what_cannot_be_added_does_not_keep_out_the_others(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    good = chain.source("good")
    assert chain.phaseline("add", "first", str(chain.top / "nowhere"), str(good)) == 2
    out, err = capsys.readouterr()
    assert out == "added good to IN (2 files, 10 B)\n"
    assert len(err.splitlines()) == 1


def test_a_damaged_dataset_is_a_line_of_status_not_its_end(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    file_for_register(chain)
    chain.path("IN/plain").touch()
    chain.path("IN/link").symlink_to("ds1")
    assert chain.phaseline("status") == 0
    out = capsys.readouterr().out
    assert "! first, damaged: ds1\n    a plain file or directory stands where a marker" in out
    assert "! first, not a dataset: link, plain\n" in out


def test_the_program_itself_ends_with_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stages.engine", "status", "--root", str(tmp_path / "no where")],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("phaseline: the data root does not exist: ")
    assert len(done.stderr.splitlines()) == 1
