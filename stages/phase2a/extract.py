"""Extract: from a tree of any files to documents of text, in JSON Lines with path, language and encoding.

    python3 extract.py INPUT OUTPUT

Needs nothing but the standard library. What it left out, and why, stands in OUTPUT/extract.json.
"""

from __future__ import annotations

import codecs
import errno
import hashlib
import json
import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

EX_DATAERR, EX_TEMPFAIL = 65, 75
STORAGE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE}

TEXT_BYTES_MAX = int(os.environ.get("EXTRACT_TEXT_BYTES_MAX") or 1 << 20)  # of one dataset, as it lies on disk
FILE_BYTES_MAX = 512 << 10  # a bigger one is data and not something that a person wrote
BOOK_BYTES_MAX = 4 << 20  # the same, of prose
SHARD_BYTES = 1 << 20
EXAMPLES_MAX = 3  # paths named for each reason to drop
CONTROL_SHARE_MAX = 0.001  # of the characters of a text
HIGH_SHARE_MAX = 0.3  # of the bytes not ASCII, where the encoding is a guess
MEAN_LINE_MAX = 250  # characters; above it code is minified
HEAD_CHARACTERS = 1000  # where a generator leaves its name

ENGINES = re.compile(r"(taken|ended|retry|ready)\..*|log\.[a-z][a-z0-9_-]*(\+g\d+)?\.\d+\.[0-9a-f]{8}|manifest\.json")
TOOLS_OWN = {".git", ".hg", ".svn", ".tox", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
VENDORED = {"_vendor", "_vendored", "vendor", "vendored", "third_party", "thirdparty", "node_modules", "site-packages"}
GENERATED_NAME = re.compile(
    r".*(_pb2(_grpc)?\.pyi?|\.pb\.(go|h|cc)|\.min\.(js|mjs|css)|\.(js|css)\.map|\.lock|-lock\.(json|yaml))|go\.sum"
)
GENERATED_TEXT = re.compile(r"(?i)@generated\b|\bdo not (edit|modify)\b|\bauto(matically)?[- ]?generated\b")
DECLARED = re.compile(rb"""\A(?:[^\n]*\n)?[^\n]*?(?:coding[:=]|encoding=["'])[ \t]*([-\w.]+)""")  # PEP 263, XML
DECLARABLE = re.compile(
    r"ascii|utf[-_]?(8|16|32)|iso|latin|cp\d|windows|mac|koi8|euc|gb|big5|shift"
)  # no codec that transforms
ASCII = bytes(range(128))
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
SUFFIXES = {
    "python": "py pyi pyx pxd",
    "c": "c h",
    "c++": "cc cpp cxx hh hpp",
    "fortran": "f f90 f95",
    "javascript": "js mjs cjs jsx",
    "typescript": "ts tsx",
    "rust": "rs",
    "go": "go",
    "java": "java",
    "shell": "sh bash",
    "html": "html htm",
    "xml": "xml svg",
    "css": "css",
    "json": "json",
    "toml": "toml",
    "yaml": "yml yaml",
    "ini": "ini cfg",
    "csv": "csv tsv",
    "markdown": "md",
    "restructuredtext": "rst",
}
LANGUAGES = {f".{suffix}": language for language, all_of_it in SUFFIXES.items() for suffix in all_of_it.split()}
PROSE = {"text", "markdown", "restructuredtext"}  # a paragraph may be one line


class Found(NamedTuple):
    """A file of the tree; `why` is the reason to drop it unread, if there is one."""

    path: str
    size: int
    why: str | None


class Document(NamedTuple):
    """One text, normalised: NFC, lines end in a line feed."""

    path: str
    language: str
    encoding: str
    text: str


class Dropped(Exception):  # noqa: N818 - a verdict on one file
    """This file becomes no document; the message is the reason."""


def walk(top: str) -> Iterator[Found]:
    """Yield every file below `top`, links not followed, the engine's own names at the top left out."""
    waiting: list[tuple[str, str | None]] = [("", None)]
    while waiting:
        folder, inherited = waiting.pop()
        with os.scandir(os.path.join(top, folder)) as entries:
            for entry in entries:
                path = os.path.join(folder, entry.name)
                why = inherited or by_name(entry.name, is_directory=entry.is_dir(follow_symlinks=False))
                if not folder and ENGINES.fullmatch(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((path, why))
                    continue
                if not entry.is_file(follow_symlinks=False):
                    why = "not a regular file"
                yield Found(path, entry.stat(follow_symlinks=False).st_size, why)


def by_name(name: str, *, is_directory: bool) -> str | None:
    """Return why something with this name is dropped, or None."""
    if is_directory:
        return "a tool's own" if name in TOOLS_OWN else "vendored" if name in VENDORED else None
    return "generated" if GENERATED_NAME.fullmatch(name) else None


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of a file and the encoding it was in; raises Dropped if it is binary or nobody can tell."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            try:
                return in_encoding(data, encoding), encoding
            except UnicodeError:
                raise Dropped("binary") from None
    if b"\0" in data:
        raise Dropped("binary")
    declared = DECLARED.match(data[:HEAD_CHARACTERS])
    for encoding in (declared[1].decode().lower(), "utf-8") if declared else ("utf-8",):
        if DECLARABLE.match(encoding):
            try:
                return in_encoding(data, encoding), encoding
            except (LookupError, UnicodeError):
                continue
    if len(data.translate(None, ASCII)) > HIGH_SHARE_MAX * len(data):
        raise Dropped("encoding unknown")
    try:
        return in_encoding(data, "cp1252"), "cp1252"
    except UnicodeError:
        return in_encoding(data, "latin-1"), "latin-1"


def in_encoding(data: bytes, encoding: str) -> str:
    """Decode; raises Dropped if what comes out is no text, LookupError or UnicodeError if it is not in `encoding`."""
    text = data.decode(encoding)
    if len(CONTROL.findall(text)) > CONTROL_SHARE_MAX * len(text):
        raise Dropped("binary")
    return text


def language_of(path: str) -> str:
    return LANGUAGES.get(os.path.splitext(path)[1].lower(), "text")


def size_limit(path: str) -> int:
    return BOOK_BYTES_MAX if language_of(path) in PROSE else FILE_BYTES_MAX


def read(top: str, path: str) -> Document:
    """Make a document of a file; raises Dropped with the reason if it becomes none."""
    with open(os.path.join(top, path), "rb") as file:
        data = file.read(size_limit(path) + 1)
    if len(data) > size_limit(path):
        raise Dropped("binary" if b"\0" in data else "oversized")
    text, encoding = decode(data)
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    if not text or text.isspace():
        raise Dropped("empty")
    language = language_of(path)
    if GENERATED_TEXT.search(text, 0, HEAD_CHARACTERS):
        raise Dropped("generated")
    if language not in PROSE and len(text) > MEAN_LINE_MAX * (text.count("\n") + 1):
        raise Dropped("minified")
    return Document(path, language, encoding, text if text.endswith("\n") else text + "\n")


def extract(top: str) -> tuple[list[Document], dict[str, list[Found]]]:
    """Read a tree; return its documents sorted by path, and what was dropped by reason.

    Files are tried by the hash of their paths: where the limit cuts, what is left is a sample of the tree and not the
    beginning of the alphabet.
    """
    documents: list[Document] = []
    dropped: dict[str, list[Found]] = {}
    room = TEXT_BYTES_MAX
    for found in sorted(walk(top), key=lambda found: hashlib.sha256(os.fsencode(found.path)).digest()):
        try:
            if found.why is not None:
                raise Dropped(found.why)
            if documents and room < found.size <= size_limit(found.path):  # one book may be a dataset
                raise Dropped("over the limit of a dataset")
            documents.append(read(top, found.path))
            room -= found.size
        except Dropped as why:
            dropped.setdefault(str(why), []).append(found)
    return sorted(documents), dropped


def write(output: str, documents: list[Document]) -> None:
    """Write documents in shards of about SHARD_BYTES, a JSON object a line."""
    shards: list[list[bytes]] = [[]]
    size = 0
    for document in documents:
        line = json.dumps(document._asdict() | {"path": printable(document.path)}, ensure_ascii=False).encode() + b"\n"
        if size and size + len(line) > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append(line)
        size += len(line)
    for number, lines in enumerate(shards):
        with open(os.path.join(output, f"documents-{number:05}.jsonl"), "wb") as shard:
            shard.writelines(lines)


def account(documents: list[Document], dropped: Mapping[str, list[Found]]) -> dict[str, object]:
    """What extract.json says: sums over kept and dropped files; together they are all files of the tree."""
    return {
        "files": len(documents) + sum(len(files) for files in dropped.values()),
        "documents": len(documents),
        "characters": sum(len(document.text) for document in documents),
        "languages": Counter(document.language for document in documents),
        "encodings": Counter(document.encoding for document in documents),
        "dropped": {
            why: {
                "files": len(files),
                "bytes": sum(file.size for file in files),
                "examples": sorted(printable(file.path) for file in files)[:EXAMPLES_MAX],
            }
            for why, files in dropped.items()
        },
        "limits": {"text_bytes": TEXT_BYTES_MAX, "file_bytes": FILE_BYTES_MAX, "book_bytes": BOOK_BYTES_MAX},
    }


def printable(path: str) -> str:
    """A path as it can stand in JSON, even with bytes in it that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def main(top: str, output: str) -> int:
    """Extract one tree; returns the exit code."""
    documents, dropped = extract(top)
    reasons = ", ".join(f"{why} {len(files)}" for why, files in sorted(dropped.items(), key=lambda d: -len(d[1])))
    if not documents:
        print(f"no text in this tree: {reasons or 'it holds no files'}")
        return EX_DATAERR
    write(output, documents)
    with open(os.path.join(output, "extract.json"), "w", encoding="utf-8") as file:
        json.dump(account(documents, dropped), file, indent=1, sort_keys=True, ensure_ascii=False)
    print(f"{len(documents)} documents; dropped: {reasons or 'nothing'}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except OSError as error:
        if error.errno not in STORAGE_ERRORS:
            raise
        print(f"the storage does not do its part: {error}")
        sys.exit(EX_TEMPFAIL)
