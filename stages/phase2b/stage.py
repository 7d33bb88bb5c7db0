"""Clean: from documents as they were found to documents worth learning from, without anybody's secrets."""

# datasketch's parameters bear no types:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypedDict, cast

from datasketch import MinHash, MinHashLSH

from stages.engine import Attempt, RejectDataset

SHINGLE_WORDS = 5
PERMUTATIONS = 128
BANDS, ROWS = 20, 6  # finds a pair of similarity 0.8 with probability 0.998
SIMILARITY_MIN = 0.8  # estimated Jaccard similarity from which two documents count as one
CHARACTERS_MIN = 80
WORDS_MIN = 10  # different ones
LETTER_SHARE_MIN = 0.4  # of the characters that are not white space
LINE_CHARACTERS_MAX = 4000  # of code; a paragraph of prose may be one line
PACKED_SHARE_MIN = 0.06  # deflated to original size; below it the text repeats itself
PROSE = {"text", "markdown", "restructuredtext"}
WORD = re.compile(r"[^\W\d_]+")


class Redaction(NamedTuple):
    """What is never passed on. `hints`: without one of these in its small letters a text has none."""

    what: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str


REDACTIONS = (
    Redaction(
        "private key",
        ("private key",),
        re.compile(r"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10})-----.{0,20000}?-----END \1-----", re.DOTALL),
        "<SECRET>",
    ),
    Redaction(
        "token",
        (
            "akia",
            "asia",
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "glpat-",
            "xox",
            "aiza",
            "k_live_",
            "sk-",
            "hf_",
            "pypi-",
            "npm_",
            "eyj",
        ),
        re.compile(
            r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{36,255}|github_pat_\w{22,255}|glpat-[\w-]{20,64}"
            r"|xox[abeoprs]-[\w-]{10,250}|AIza[\w-]{35}|[rs]k_live_\w{16,255}|sk-[\w-]{32,255}|hf_[A-Za-z0-9]{30,64}"
            r"|pypi-[\w-]{60,512}|npm_\w{36}|eyJ[\w-]{10,4096}\.eyJ[\w-]{10,4096}\.[\w-]{10,4096})"
        ),
        "<SECRET>",
    ),
    Redaction(
        "password in a URL",
        ("://",),
        re.compile(r"(://[\w.+-]{1,64}:)[^\s:/@\"'<>{}$%]{3,128}@(?=\w)"),
        r"\1<SECRET>@",
    ),
    Redaction(
        "password or key assigned",
        ("passw", "passphrase", "secret", "api_key", "apikey", "token", "access_key"),
        re.compile(
            r"""(?i)((?:passw(?:or)?d|passphrase|secret(?:_?key)?|api_?key|access_?key|(?:auth|access)_?token)["']?"""
            r"""[ \t]*[:=][ \t]*(["']))[^"'\s<>{}$%]{8,256}(?=\2)"""
        ),
        r"\1<SECRET>",
    ),
    Redaction(
        "e-mail address",
        ("@",),
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,5}\.[a-z]{2,24}\b"),
        "<EMAIL>",
    ),
)


class Document(TypedDict):
    """What a line of documents-*.jsonl holds."""

    path: str
    language: str
    encoding: str
    text: str


class Dropped(Exception):  # noqa: N818 - a verdict on one document
    """This document is not passed on; `of` is the path of the one that it repeats."""

    def __init__(self, why: str, of: str | None = None) -> None:
        super().__init__(why)
        self.why, self.of = why, of


class Kept:
    """The documents kept so far, as far as it takes to recognise one of them in another."""

    def __init__(self) -> None:
        self._index = MinHashLSH(threshold=SIMILARITY_MIN, num_perm=PERMUTATIONS, params=(BANDS, ROWS))
        self._sketches: list[tuple[str, MinHash]] = []
        self._exact: dict[bytes, str] = {}

    def add(self, document: Document, words: list[str]) -> None:
        """Raise Dropped if something kept before is the same, or nearly; else keep it."""
        digest = hashlib.sha256(" ".join(document["text"].split()).encode()).digest()
        if digest in self._exact:
            raise Dropped("exact duplicate", self._exact[digest])
        sketch = MinHash(num_perm=PERMUTATIONS, hashfunc=zlib.crc32)
        starts = range(max(1, len(words) - SHINGLE_WORDS + 1))
        sketch.update_batch({" ".join(words[start : start + SHINGLE_WORDS]).encode() for start in starts})
        alike = cast("list[int]", self._index.query(sketch))
        for path, other in (self._sketches[number] for number in sorted(alike)):
            if sketch.jaccard(other) >= SIMILARITY_MIN:
                raise Dropped("near duplicate", path)
        self._index.insert(len(self._sketches), sketch)
        self._sketches.append((document["path"], sketch))
        self._exact[digest] = document["path"]


def check_quality(document: Document, words: list[str]) -> None:
    """Raise Dropped if nothing is to be learned from this text."""
    text = document["text"]
    if len(text) < CHARACTERS_MIN or len(set(words)) < WORDS_MIN:
        raise Dropped("too short")
    if sum(map(len, words)) < LETTER_SHARE_MIN * len("".join(text.split())):
        raise Dropped("few letters")
    if document["language"] not in PROSE and max(map(len, text.split("\n"))) > LINE_CHARACTERS_MAX:
        raise Dropped("long lines")
    raw = text.encode()
    if len(zlib.compress(raw, 1)) < PACKED_SHARE_MIN * len(raw):
        raise Dropped("repetitive")


def redact(text: str) -> tuple[str, Counter[str]]:
    """Return the text without secrets and addresses, and how many of each there were."""
    counts = Counter[str]()
    small = text.lower()
    for redaction in REDACTIONS:
        if any(hint in small for hint in redaction.hints):
            text, count = redaction.pattern.subn(redaction.replacement, text)
            counts[redaction.what] += count
    return text, +counts


def cleaned(shard: Path, kept: Kept, figures: dict[str, Counter[str]], dropped: list[str]) -> Iterator[str]:
    """Yield the lines of one shard that are passed on; every other document becomes a line in `dropped`."""
    with shard.open(encoding="utf-8") as lines:
        for line in lines:
            document: Document = json.loads(line)
            words = WORD.findall(document["text"])
            figures["in"].update(documents=1, characters=len(document["text"]))
            try:
                check_quality(document, words)
                kept.add(document, words)
            except Dropped as verdict:
                figures["dropped"][verdict.why] += 1
                named = {"path": document["path"], "why": verdict.why, "of": verdict.of}
                dropped.append(json.dumps(named, ensure_ascii=False) + "\n")
                continue
            document["text"], redacted = redact(document["text"])
            figures["redacted"] += redacted
            figures["out"].update(documents=1, characters=len(document["text"]))
            yield json.dumps(document, ensure_ascii=False) + "\n"


def process(attempt: Attempt) -> None:
    """Clean one dataset, a shard at a time."""
    kept, dropped = Kept(), list[str]()
    figures = {key: Counter[str]() for key in ("in", "out", "dropped", "redacted")}
    for shard in attempt.files:
        if shard.match("documents-*.jsonl"):
            with (attempt.output / shard.name).open("w", encoding="utf-8") as out:
                out.writelines(cleaned(shard, kept, figures, dropped))
    reasons = ", ".join(f"{why} {count}" for why, count in figures["dropped"].most_common()) or "nothing"
    if not figures["out"]:
        raise RejectDataset(f"nothing left of {figures['in']['documents']} documents: {reasons}")
    (attempt.output / "clean.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (attempt.output / "dropped.jsonl").write_text("".join(dropped), encoding="utf-8")
    shutil.copyfile(attempt.input / "extract.json", attempt.output / "extract.json")
    print(f"{figures['out']['documents']} documents; dropped: {reasons}; redacted: {figures['redacted'].total()}")


def setup() -> None:
    """Let the libraries do once whatever they do the first time."""
    Kept().add(Document(path="", language="text", encoding="utf-8", text="one two"), ["one", "two"])
