"""Does a reader of README and docs see what they show?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository.checkout import ROOT, name
from tests.repository.transcripts import difference, execute, steps

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_a_document_shows_what_happens(document: Path, tmp_path: Path) -> None:
    transcript = steps(document.read_text(encoding="utf-8"))
    printed = execute([step.command for step in transcript], tmp_path, timeout_seconds=590)
    differences = [
        f"{name(document)}:{step.line}: $ {step.command}\n{found}"
        for step, seen in zip(transcript, printed, strict=True)
        if (found := difference("\n".join(step.shown), seen, tmp_path))
    ]
    assert differences == [], "\n\n".join(differences)


def test_the_readme_has_transcripts() -> None:
    assert steps((ROOT / "README.md").read_text(encoding="utf-8")) != []


TEXT = """\
Some words.
```console
$ echo one; echo two >&2
one
two
$ cat <<END
> three
>
> END
three

```
```python
$ not a command
```
  ```console
  $ cd /; pwd
  /
  ```
"""


def test_commands_are_found_in_order() -> None:
    assert [(step.line, step.command, step.shown) for step in steps(TEXT)] == [
        (3, "echo one; echo two >&2", ("one", "two")),
        (6, "cat <<END\nthree\n\nEND", ("three", "")),
        (17, "cd /; pwd", ("/",)),
    ]


def test_a_block_that_begins_with_output_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2: a console block begins with"):
        steps("```console\nhello\n```\n")


def test_commands_share_one_shell(tmp_path: Path) -> None:
    commands = ["cd /; echo here", "pwd; false", "x=1", "echo $x $HOME"]
    assert execute(commands, tmp_path, timeout_seconds=30) == ["here\n", "/\n", "", f"1 {tmp_path}\n"]


def test_a_shell_that_ends_early_shows_nothing_more(tmp_path: Path) -> None:
    assert execute(["echo a", "exit 3", "echo b"], tmp_path, timeout_seconds=30) == ["a\n", "", ""]


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        ("a\n...\nz", "a\nz\n"),
        ("a\n...\nz", "a\nb\nc\nz\n"),
        ("one ... three", "one two three\n"),
        ("demo: 24 published in 61.2 s", "demo: 24 published in 7.9 s\n"),
        ("taken.phase4.1 -> ab9c6d45:node17:4711:123.0", "taken.phase4.1 -> 00ffee11:here:9:-\n"),
        ("ended.phase4.1 -> retry:-:1:0:1795217270:boom", "ended.phase4.1 -> retry:-:1:0:17:boom\n"),
        ("log.phase4.1.ab9c6d45", "log.phase4.1.00ffee11\n"),
        (
            "lrwxrwxrwx 1 ada pipeline 27 Nov 21 08:46 taken.phase4.1 -> ab9c6d45:node17:4711:-",
            "lrwxrwxrwx  1 root root   31 Jan  3  2027 taken.phase4.1 -> 00ffee11:here:9:-\n",
        ),
        ("STAGE    WAITING", "STAGE  WAITING\n"),
        ("lost: its poller (node17 pid 4711) is gone", "lost: its poller (here pid 9) is gone\n"),
    ],
)
def test_what_may_differ_does_not_count(shown: str, seen: str, tmp_path: Path) -> None:
    assert difference(shown, seen, tmp_path) is None


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        ("a\n...\nz", "a\nb\n"),
        ("", "noise\n"),
        ("24 published", "23 published\n"),
        ("ended.phase4.1 -> retry:-:1:0:1795217270:boom", "ended.phase4.1 -> retry:-:2:0:1795217270:boom\n"),
    ],
)
def test_what_counts_is_found(shown: str, seen: str, tmp_path: Path) -> None:
    assert difference(shown, seen, tmp_path) is not None
