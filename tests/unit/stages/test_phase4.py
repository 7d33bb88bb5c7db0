"""Train: probabilities are probabilities, the model predicts better than guessing, and it is always the same."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.engine import RejectDataset
from stages.phase3 import stage as phase3
from stages.phase4 import stage
from tests.unit.stages.datasets import chain, digests, process, prose, read_json, write_documents, write_tree

SIZE = 11


def tokens(seed: int, length: int) -> NDArray[np.int64]:
    """A stream in which a token depends on the two before it, with some noise."""
    random = np.random.default_rng(seed)
    found = [1, 2]
    while len(found) < length:
        found.append((found[-1] * 3 + found[-2]) % SIZE if random.random() < 0.8 else int(random.integers(SIZE)))
    return np.array(found, np.int64)


def dataset(tmp_path: Path, train: int, heldout: int) -> Path:
    """An input of so many tokens, as Tokenise leaves it, but for the tokenizer."""
    tmp_path.mkdir(parents=True, exist_ok=True)
    for split, length in ("train", train), ("heldout", heldout):
        phase3.pack(tmp_path, split, [tokens(seed, length // 4).astype(np.uint16) for seed in range(4)])
    figures = {"vocabulary_size": SIZE, "heldout": {"bytes": heldout * 3}}
    write_tree(tmp_path, {"tokenise.json": json.dumps(figures), "extract.json": "{}", "clean.json": "{}"})
    phase3.learn([phase3.Document("a", 0, "a b c")]).save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@given(
    stream=st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=60),
    context=st.lists(st.integers(0, SIZE - 1), max_size=6),
)
def test_probabilities_sum_to_one(stream: list[int], context: list[int]) -> None:
    """After contexts seen and never seen, for models of any stream."""
    model = stage.train(np.array(stream, np.int64), SIZE)
    distribution = stage.distribution(model, context)
    assert distribution.min() > 0
    assert float(distribution.sum()) == pytest.approx(1)


@given(seed=st.integers(0, 100), length=st.integers(5, 200))
def test_both_ways_to_a_probability_agree(seed: int, length: int) -> None:
    """Token by token, each from a whole distribution, and all at once by look-up."""
    model = stage.train(tokens(seed, length), SIZE)
    text = tokens(seed + 1, 20)
    singly = [stage.distribution(model, text[:place].tolist())[token] for place, token in enumerate(text)]
    assert stage.perplexities(model, text)[-1] == pytest.approx(np.exp(-np.mean(np.log(singly))))


def test_it_finds_the_structure_that_is_there() -> None:
    """A token depends on the two before it: one of them says nothing, both say all, a third has nothing to add."""
    by_order = stage.perplexities(stage.train(tokens(1, 20_000), SIZE), tokens(2, 5_000))
    assert by_order[:2] == pytest.approx([SIZE, SIZE], rel=0.05)
    assert by_order[3] == pytest.approx(by_order[2], rel=0.1)
    entropy = -(0.8 + 0.2 / SIZE) * np.log(0.8 + 0.2 / SIZE) - (SIZE - 1) * 0.2 / SIZE * np.log(0.2 / SIZE)
    assert by_order[2] == pytest.approx(np.exp(entropy), rel=0.05), "no model does better than the source itself"


def test_a_stream_is_no_surprise_the_second_time() -> None:
    stream = tokens(1, 2000)
    model = stage.train(stream, SIZE)
    assert stage.perplexities(model, stream)[-1] < stage.perplexities(model, tokens(2, 2000))[-1]


def test_lower_orders_count_contexts_and_not_times() -> None:
    """Kneser and Ney's point: `2` is frequent, but only ever after `1`; `3` is rarer, after anything."""
    stream = np.array([1, 2] * 50 + [4, 3, 5, 3, 6, 3, 7, 3, 8, 3], np.int64)
    model = stage.train(stream, SIZE)
    after_unknown = stage.distribution(model, [9, 9, 9])
    assert after_unknown[3] > after_unknown[2]


def test_what_comes_out(tmp_path: Path) -> None:
    output = process(stage, dataset(tmp_path / "in", 8000, 800), tmp_path / "out")
    metrics = read_json(output / "metrics.json")
    assert metrics["perplexity"] == metrics["perplexity_by_order"][-1] < metrics["perplexity_uniform"] == SIZE
    assert len(metrics["perplexity_by_order"]) == stage.ORDER
    assert metrics["bits_per_byte"] == pytest.approx(np.log2(metrics["perplexity"]) / 3)
    assert [point["tokens"] for point in metrics["learning_curve"]] == [2000, 4000, 8000], "ends of documents"
    assert metrics["learning_curve"][-1]["perplexity"] == metrics["perplexity"]
    assert len(metrics["samples"]) == stage.SAMPLES
    assert all(0 < token < SIZE for sample in metrics["samples"] for token in sample["tokens"])


def test_the_saved_model_is_the_model(tmp_path: Path) -> None:
    """From model.npz alone the same probabilities come, to single precision."""
    top = dataset(tmp_path / "in", 8000, 800)
    process(stage, top, tmp_path / "out")
    with np.load(tmp_path / "out" / "model.npz") as saved:
        levels = [
            stage.Level(*(saved[f"{part}_{order}"] for part in ("ngrams", "direct", "contexts", "backoff")))
            for order in range(1, stage.ORDER + 1)
        ]
        counts = saved["token_counts"]
    stream = np.concatenate([tokens(seed, 2000) for seed in range(4)])
    assert counts.tolist() == np.bincount(stream, minlength=SIZE).tolist()
    found = stage.Model(SIZE, levels[:-1], levels[-1:])
    expected = stage.train(stream, SIZE)
    for context in ([], [1], [3, 4], [1, 2, 5, 7]):
        assert np.allclose(stage.distribution(found, context), stage.distribution(expected, context), atol=1e-5)


@pytest.mark.parametrize(
    ("train", "heldout", "why"),
    [
        (996, 800, "too little to train on: 996 tokens, 1000 are the least"),
        (4000, 40, "too little to evaluate on: 40 tokens, 50 are the least"),
    ],
)
def test_too_little_data_is_rejected(tmp_path: Path, train: int, heldout: int, why: str) -> None:
    top = dataset(tmp_path / "in", train, heldout)
    with pytest.raises(RejectDataset, match=f"^{why}$"):
        process(stage, top, tmp_path / "out")


def test_a_vocabulary_whose_ngrams_fit_no_integer_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        stage.train(np.arange(10, dtype=np.int64), 65536)


def test_a_corpus_is_learned_and_more_of_it_helps(tmp_path: Path) -> None:
    texts = {f"{number:02}.txt": prose(number, 60) for number in range(30)}
    top = write_tree(write_documents(tmp_path / "in", texts), {"clean.json": "{}"})
    metrics = read_json(chain([phase3, stage], top, tmp_path / "out") / "metrics.json")
    perplexities = [point["perplexity"] for point in metrics["learning_curve"]]
    assert len(perplexities) == len(stage.FRACTIONS) + 1
    assert all(later < earlier for earlier, later in pairwise(perplexities))
    assert perplexities[-1] < metrics["perplexity_uniform"] / 5
    assert 0 < metrics["bits_per_byte"] < 2


def test_the_same_tokens_give_the_same_bytes(tmp_path: Path) -> None:
    outputs = [process(stage, dataset(tmp_path / name / "in", 8000, 800), tmp_path / name / "out") for name in "ab"]
    assert digests(outputs[0]) == digests(outputs[1])
    assert digests(outputs[0]).keys() - {"neural.npz"} == {
        "clean.json",
        "extract.json",
        "metrics.json",
        "model.npz",
        "tokenise.json",
        "tokenizer.json",
    }
