"""Tokenise: learns a vocabulary from the documents of a dataset and packs their tokens into shards.

Output: tokenizer.json; tokens-<split>-<number>.npy, the uint16 tokens of all documents of a split in one stream, each
document followed by END; ends-<split>.npy, where in that stream each document ends (its END included); documents.jsonl,
which documents these are, in that order; tokenise.json with the figures.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from stages.engine import Attempt, RejectDataset

END = "<|endoftext|>"  # token 0
VOCABULARY_MIN, VOCABULARY_MAX = 512, 8192  # 256 bytes and END are always in it; what is above fits uint16
BYTES_PER_ENTRY = 256  # of text, for each entry of the vocabulary
HELDOUT_SHARE = 0.1  # of the characters
DOCUMENTS_MIN = 10  # with fewer, documents are cut into passages, so that there is something to hold out
PASSAGES = 20  # about so many
PASSAGE_CHARACTERS_MIN = 400
SHARD_TOKENS = 1 << 20


class Document(NamedTuple):
    """A document, or a passage of one; `part` counts the passages."""

    path: str
    part: int
    text: str

    @property
    def draw(self) -> bytes:
        """Where this document stands in an order that is random and always the same."""
        return hashlib.sha256(f"{self.path}\0{self.part}".encode("utf-8", "surrogatepass")).digest()


def documents_of(attempt: Attempt) -> Iterator[Document]:
    for shard in attempt.files:
        if shard.match("documents-*.jsonl"):
            with shard.open(encoding="utf-8") as lines:
                for line in lines:
                    found: dict[str, str] = json.loads(line)
                    yield Document(found["path"], 0, found["text"])


def passages(document: Document, characters: int) -> Iterator[Document]:
    """Cut a document at the ends of lines into passages of at least so many characters."""
    begin = part = 0
    while begin < len(document.text):
        end = document.text.find("\n", begin + characters) + 1
        if not end or len(document.text) - end < characters // 2:
            end = len(document.text)
        yield Document(document.path, part, document.text[begin:end])
        begin, part = end, part + 1


def split(documents: Sequence[Document]) -> dict[str, list[Document]]:
    """Draw documents to hold out until they are HELDOUT_SHARE of the text; a big one must not become half of it."""
    wanted = HELDOUT_SHARE * sum(len(document.text) for document in documents)
    train: list[Document] = []
    heldout: list[Document] = []
    size = 0
    for document in sorted(documents, key=lambda document: document.draw):
        if size < wanted and size + len(document.text) <= 2 * wanted:
            heldout.append(document)
            size += len(document.text)
        else:
            train.append(document)
    if not heldout:
        heldout = [min(train, key=lambda document: len(document.text))]
        train.remove(heldout[0])
    return {"train": train, "heldout": heldout}


def vocabulary_size(text_bytes: int) -> int:
    """Return how many entries so much text can teach; there may be fewer when nothing in it repeats any more."""
    return min(VOCABULARY_MAX, max(VOCABULARY_MIN, text_bytes // BYTES_PER_ENTRY))


def learn(train: Sequence[Document]) -> Tokenizer:
    """Learn byte-level BPE from what is not held out."""
    text_bytes = sum(len(document.text.encode()) for document in train)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size(text_bytes),
        min_frequency=2,
        show_progress=False,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator((document.text for document in train), trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, text: str) -> NDArray[np.uint16]:
    return np.array([*tokenizer.encode_batch_fast([text])[0].ids, 0], np.uint16)


def pack(output: Path, name: str, tokens: Sequence[NDArray[np.uint16]]) -> None:
    """Write the stream of a split in shards, and where its documents end."""
    stream = np.concatenate(tokens)
    for number, begin in enumerate(range(0, len(stream), SHARD_TOKENS)):
        np.save(output / f"tokens-{name}-{number:05}.npy", stream[begin : begin + SHARD_TOKENS])
    np.save(output / f"ends-{name}.npy", np.cumsum([len(document) for document in tokens], dtype=np.int64))


def chosen_documents(attempt: Attempt) -> tuple[list[Document], str]:
    """Return what there is to split, and whether these are documents or passages of them.

    Raises RejectDataset if there is nothing to split.
    """
    documents = list(documents_of(attempt))
    if len(documents) >= DOCUMENTS_MIN:
        return documents, "document"
    characters = sum(len(document.text) for document in documents)
    least = max(PASSAGE_CHARACTERS_MIN, characters // PASSAGES)
    documents = [passage for document in documents for passage in passages(document, least)]
    if len(documents) < 2:  # noqa: PLR2004 - one to learn from, one to hold out
        raise RejectDataset(f"{characters} characters are too few to hold some of them out")
    return documents, "passage"


def process(attempt: Attempt) -> None:
    """Tokenise one dataset."""
    documents, split_by = chosen_documents(attempt)
    splits = split(documents)
    tokenizer = learn(splits["train"])
    tokenizer.save(str(attempt.output / "tokenizer.json"))
    figures: dict[str, object] = {"vocabulary_size": tokenizer.get_vocab_size(), "split_by": split_by}
    index: list[str] = []
    for name, chosen in splits.items():
        tokens = [encode(tokenizer, document.text) for document in chosen]
        pack(attempt.output, name, tokens)
        for document, its in zip(chosen, tokens, strict=True):
            line = {"path": document.path, "part": document.part, "split": name, "tokens": len(its)}
            index.append(json.dumps(line, ensure_ascii=False) + "\n")
        text_bytes = sum(len(document.text.encode()) for document in chosen)
        figures[name] = {"documents": len(chosen), "bytes": text_bytes, "tokens": sum(map(len, tokens))}
    (attempt.output / "documents.jsonl").write_text("".join(index), encoding="utf-8")
    (attempt.output / "tokenise.json").write_text(
        json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    for earlier in ("extract.json", "clean.json"):
        shutil.copyfile(attempt.input / earlier, attempt.output / earlier)
    print(f"vocabulary {figures['vocabulary_size']}; train {figures['train']}; held out {figures['heldout']}")


def setup() -> None:
    """One thread is enough: pollers share a node. What the library does the first time is done here."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    learn([Document("", 0, "warm up " * 10)]).encode("warm up")
