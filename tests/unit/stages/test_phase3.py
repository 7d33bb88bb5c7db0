"""Tokenise: nothing is lost on the way to tokens, what is held out is not learned from, and it is always the same."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stages.engine import RejectDataset
from stages.phase3 import stage
from tests.unit.stages.datasets import digests, process, prose, read_json, write_documents, write_tree

TEXTS = {f"{number:02}.txt": prose(number, 20 + number) for number in range(20)} | {
    "odd.txt": "ÄÖ 日本 \0\x7f 🙂\t\n" * 9
}


def tokenise(tmp_path: Path, texts: dict[str, str]) -> Path:
    top = write_tree(write_documents(tmp_path / "in", texts), {"clean.json": "{}"})
    return process(stage, top, tmp_path / "out")


def stream(output: Path, split: str) -> NDArray[np.uint16]:
    shards = [np.load(shard) for shard in sorted(output.glob(f"tokens-{split}-*.npy"))]
    assert {shard.dtype for shard in shards} == {np.dtype(np.uint16)}
    return np.concatenate(shards)


def split_of(output: Path) -> dict[str, str]:
    lines = map(json.loads, (output / "documents.jsonl").read_text().splitlines())
    return {line["path"]: line["split"] for line in lines}


def decoded(output: Path) -> dict[str, list[str]]:
    """The texts of each split, read back from shards, ends and tokenizer."""
    tokenizer = Tokenizer.from_file(str(output / "tokenizer.json"))
    result: dict[str, list[str]] = {}
    for split in ("train", "heldout"):
        documents = np.split(stream(output, split), np.load(output / f"ends-{split}.npy"))[:-1]
        assert {int(document[-1]) for document in documents} == {0}
        result[split] = [tokenizer.decode(document[:-1].tolist()) for document in documents]
    return result


def test_every_text_comes_back_from_its_tokens(tmp_path: Path) -> None:
    output = tokenise(tmp_path, TEXTS)
    lines = [json.loads(line) for line in (output / "documents.jsonl").read_text().splitlines()]
    texts = [text for split in ("train", "heldout") for text in decoded(output)[split]]
    assert {line["path"]: text for line, text in zip(lines, texts, strict=True)} == TEXTS
    figures = read_json(output / "tokenise.json")
    for split in ("train", "heldout"):
        assert figures[split]["tokens"] == len(stream(output, split))
        assert figures[split]["tokens"] == sum(line["tokens"] for line in lines if line["split"] == split)
        assert figures[split]["bytes"] == sum(len(text.encode()) for text in decoded(output)[split])


def test_about_a_tenth_is_held_out_by_document(tmp_path: Path) -> None:
    output = tokenise(tmp_path, TEXTS)
    figures = read_json(output / "tokenise.json")
    assert figures["split_by"] == "document"
    share = figures["heldout"]["bytes"] / (figures["heldout"]["bytes"] + figures["train"]["bytes"])
    assert 0.08 < share < 0.2


def test_the_vocabulary_is_not_learned_from_what_is_held_out(tmp_path: Path) -> None:
    heldout = {path for path, split in split_of(tokenise(tmp_path / "1", TEXTS)).items() if split == "heldout"}
    changed = {path: text.upper() if path in heldout else text for path, text in TEXTS.items()}
    one, other = (digests(out) for out in (tmp_path / "1" / "out", tokenise(tmp_path / "2", changed)))
    assert one["tokenizer.json"] == other["tokenizer.json"]
    assert one["tokens-heldout-00000.npy"] != other["tokens-heldout-00000.npy"]


def test_the_vocabulary_grows_with_the_text_within_bounds() -> None:
    sizes = [stage.vocabulary_size(text_bytes) for text_bytes in (0, 100_000, 500_000, 1_000_000, 1 << 40)]
    assert sizes == [512, 512, 1953, 3906, 8192]
    assert sizes[-1] <= np.iinfo(np.uint16).max


def test_a_text_teaches_as_many_entries_as_it_should() -> None:
    source = random.Random(1)
    text = " ".join("".join(source.choices("aeiklnorst", k=6)) for _ in range(30_000))
    learned = stage.learn([stage.Document("a", 0, text)])
    assert learned.get_vocab_size() == stage.vocabulary_size(len(text)) == 820


def test_a_big_document_is_not_held_out() -> None:
    """It would leave next to nothing to learn from."""
    documents = [stage.Document(f"{n}", 0, "x" * (100_000 if n == 3 else 1000)) for n in range(12)]
    splits = stage.split(documents)
    assert documents[3] in splits["train"]
    assert sorted(splits["train"] + splits["heldout"]) == sorted(documents)


def test_when_none_fits_the_smallest_is_held_out() -> None:
    documents = [stage.Document("a", 0, "x" * 500), stage.Document("b", 0, "x" * 400)]
    assert stage.split(documents) == {"train": documents[:1], "heldout": documents[1:]}


def test_a_dataset_of_one_book_is_split_by_passage(tmp_path: Path) -> None:
    book = prose(1, 400)
    output = tokenise(tmp_path, {"book.txt": book})
    assert read_json(output / "tokenise.json")["split_by"] == "passage"
    lines = [json.loads(line) for line in (output / "documents.jsonl").read_text().splitlines()]
    texts = [text for split in ("train", "heldout") for text in decoded(output)[split]]
    parts = sorted((line["part"], text) for line, text in zip(lines, texts, strict=True))
    assert "".join(text for _, text in parts) == book
    assert 10 <= len(parts) <= 20
    assert {text[-1] for _, text in parts} == {"\n"}


def test_too_little_to_hold_any_of_it_out_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(RejectDataset, match=r"^\d+ characters are too few to hold some of them out$"):
        tokenise(tmp_path, {"a.txt": prose(1, 5)})


def test_streams_are_cut_into_shards(tmp_path: Path) -> None:
    tokens = [np.full(length, number, np.uint16) for number, length in enumerate((stage.SHARD_TOKENS - 1, 5, 2))]
    stage.pack(tmp_path, "train", tokens)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ends-train.npy",
        "tokens-train-00000.npy",
        "tokens-train-00001.npy",
    ]
    assert np.array_equal(stream(tmp_path, "train"), np.concatenate(tokens))
    assert np.load(tmp_path / "ends-train.npy").tolist() == [len(tokens[0]), len(tokens[0]) + 5, len(tokens[0]) + 7]


def test_the_same_documents_give_the_same_bytes(tmp_path: Path) -> None:
    first = tokenise(tmp_path / "1", TEXTS)
    assert digests(first) == digests(tokenise(tmp_path / "2", TEXTS))
    assert {"clean.json", "extract.json", "tokenizer.json", "ends-train.npy"} <= digests(first).keys()
