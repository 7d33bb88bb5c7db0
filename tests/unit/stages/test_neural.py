"""The neural model beside the n-gram's: without PyTorch nothing of it is seen, with a stand-in the stage tells of it.

PyTorch itself is in no lock, and tests run without. Where it is installed, the last ones try it for real.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.phase4 import stage
from tests.unit.stages.datasets import digests, process, read_json
from tests.unit.stages.test_phase4 import SIZE, dataset, tokens

neural = stage.neural
NEURAL = neural.Neural(weights={"0.weight": np.ones((2, 3), np.float32)}, perplexity=4.0, steps=7, device="cpu")


def test_each_token_is_predicted_from_those_before_it() -> None:
    found = neural.windows(np.arange(1, 12, dtype=np.int64), pad=0)
    assert found.shape == (11, neural.WINDOW)
    assert found[0].tolist() == [0] * neural.WINDOW
    assert found[1].tolist() == [0] * (neural.WINDOW - 1) + [1]
    assert found[10].tolist() == list(range(3, 11))


def test_without_pytorch_the_stage_says_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural, "is_available", lambda: False)
    output = process(stage, dataset(tmp_path / "in", 8000, 800), tmp_path / "out")
    assert "neural" not in read_json(output / "metrics.json")
    assert not (output / "neural.npz").exists()


def test_with_it_both_models_stand_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural, "is_available", lambda: True)

    def train(*_: object, **__: object) -> neural.Neural:
        return NEURAL

    monkeypatch.setattr(neural, "train", train)
    output = process(stage, dataset(tmp_path / "in", 8000, 800), tmp_path / "out")
    metrics = read_json(output / "metrics.json")
    assert metrics["neural"] == {
        "model": f"feed-forward, window {neural.WINDOW}",
        "parameters": 6,
        "steps": 7,
        "device": "cpu",
        "perplexity": 4.0,
        "bits_per_byte": pytest.approx(2 / 3),
    }
    assert metrics["perplexity"] != 4.0
    with np.load(output / "neural.npz") as saved:
        assert saved["0.weight"].tolist() == NEURAL.weights["0.weight"].tolist()


if neural.is_available():

    def test_it_finds_the_structure_that_is_there() -> None:
        found = neural.train(tokens(1, 20_000), tokens(2, 5_000), SIZE, pad=0, seed=1)
        assert found.perplexity < SIZE / 3

    def test_the_same_tokens_give_the_same_bytes(tmp_path: Path) -> None:
        outputs = [process(stage, dataset(tmp_path / name / "in", 8000, 800), tmp_path / name / "out") for name in "ab"]
        assert digests(outputs[0]) == digests(outputs[1])
        assert "neural.npz" in digests(outputs[0])
