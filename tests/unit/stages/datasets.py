"""Small datasets, made up and always the same, and what the stages make of them."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from stages.engine import Attempt, catalog

STAGES = catalog.load(catalog.shipped())
SENTENCE = (
    "the a stage dataset reads writes file name return error value when each model token text line word list of to in "
    "is and not for with from by one two last first small large open close path number count sorted empty given made"
)
WORDS = SENTENCE.split()


def prose(seed: int, sentences: int = 40) -> str:
    """Return text in which a word has few that may follow it, for a model to find; another seed, another text."""
    source = random.Random(seed)

    def sentence() -> str:
        at = source.randrange(len(WORDS))
        places = [at := (at * 7 + source.randrange(5)) % len(WORDS) for _ in range(source.randint(6, 14))]
        return " ".join(WORDS[place] for place in places).capitalize() + ".\n"

    return "".join(sentence() for _ in range(sentences))


def write_tree(top: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return top


def write_documents(top: Path, texts: dict[str, str]) -> Path:
    """Write what Extract leaves, from path and text of its documents."""
    lines = [
        json.dumps(
            {"path": path, "language": "python" if path.endswith(".py") else "text", "encoding": "utf-8", "text": text}
        )
        for path, text in texts.items()
    ]
    figures = {"files": len(texts), "documents": len(texts), "languages": {"text": len(texts)}, "dropped": {}}
    return write_tree(top, {"documents-00000.jsonl": "\n".join(lines) + "\n", "extract.json": json.dumps(figures)})


def read_documents(top: Path) -> dict[str, dict[str, str]]:
    """Return the documents of an output by their paths."""
    lines = [line for shard in sorted(top.glob("documents-*.jsonl")) for line in shard.read_text().splitlines()]
    return {document["path"]: document for document in map(json.loads, lines)}


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def extract(top: Path, output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Carry out phase2a's command as its stage.toml gives it."""
    spec = STAGES.stage("phase2a")
    output.mkdir(exist_ok=True)
    places = {"{input}": str(top), "{output}": str(output)}
    command = [places.get(word, word) for word in spec.work.command or ()]
    path = {"PATH": f"{Path(shutil.which('python3') or '').parent}:/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=spec.directory, env=path | environment, capture_output=True, text=True, check=False, timeout=60
    )


def process(stage: ModuleType, top: Path, output: Path) -> Path:
    """Have a stage process `top`; returns its output."""
    output.mkdir()
    scratch = str(output.with_name(f"{output.name}-scratch"))
    name = stage.__name__.split(".")[1]
    stage.process(Attempt(dataset="ds1", stage=name, number=1, input=str(top), output=str(output), scratch=scratch))
    return output


def chain(stages: Iterable[ModuleType], top: Path, work: Path) -> Path:
    """Have one stage after the other process what the one before has left; returns the last output."""
    work.mkdir(parents=True)
    for stage in stages:
        top = process(stage, top, work / stage.__name__.split(".")[1])
    return top


def digests(top: Path) -> dict[str, str]:
    """Return what identifies every byte of a tree."""
    return {
        str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(top.rglob("*"))
        if path.is_file()
    }
