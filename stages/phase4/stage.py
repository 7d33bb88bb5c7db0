"""Train: an n-gram model of a dataset's tokens, with its perplexity on what was held out.

Interpolated modified Kneser-Ney (Chen and Goodman 1999), in whole arrays. An n-gram is one integer, its tokens being
the digits to the base of the vocabulary's size V; sorted n-grams are thus sorted by context, and a context's n-grams
stand side by side. `p_n(w | h) = direct[h w] + backoff[h] p_(n-1)(w | h without its first token)`, and `p_0 = 1 / V`.
Where PyTorch is installed, a neural model beside it (neural.py).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from typing import NamedTuple

import neural  # beside this module: its folder is where the engine imports it from
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stages.engine import Attempt, RejectDataset

ORDER = 4
END = 0  # the token after each document; what comes before the first one, too
TRAIN_TOKENS_MIN, HELDOUT_TOKENS_MIN = 1000, 50
FRACTIONS = (0.125, 0.25, 0.5)  # of the training documents, for the learning curve; the whole comes by itself
DISCOUNTS_MIN, DISCOUNTS_MAX = np.array([0, 0.1, 0.1, 0.1]), np.array([0, 0.95, 1.9, 2.85])
SAMPLES, SAMPLE_TOKENS = 3, 80
SEED = 20260101

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Level(NamedTuple):
    """One order of the model: n-grams with their direct probability, contexts with their weight for the order below."""

    ngrams: Ints
    direct: Floats
    contexts: Ints
    backoff: Floats


class Model(NamedTuple):
    """`lower[n - 1]` is order n as what higher orders fall back on, `top[n - 1]` order n as the highest of a model."""

    vocabulary_size: int
    lower: list[Level]
    top: list[Level]

    @property
    def levels(self) -> list[Level]:
        """The model of the highest order, from order 1 upwards."""
        return [*self.lower, self.top[-1]]


def ngrams(stream: Ints, order: int, size: int) -> Ints:
    """Return the n-gram that ends at each token of a stream, as if END had gone before it."""
    padded = np.concatenate([np.full(order - 1, END, np.int64), stream])
    found = np.zeros(len(stream), np.int64)
    for offset in range(order):
        found = found * size + padded[offset : offset + len(stream)]
    return found


def level(found: Ints, counts: Ints, size: int) -> Level:
    """Discount the counts of sorted n-grams, and give each context's discounts to the order below."""
    n1, n2, n3, n4 = (max(1, int(np.count_nonzero(counts == times))) for times in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2)
    discounts = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    discounts = np.clip(discounts, DISCOUNTS_MIN, DISCOUNTS_MAX)[np.minimum(counts, 3)]
    of = found // size
    begins = np.flatnonzero(np.diff(of, prepend=-1))
    totals = np.add.reduceat(counts, begins)
    shares = np.repeat(totals, np.diff(begins, append=len(of)))
    return Level(found, (counts - discounts) / shares, of[begins], np.add.reduceat(discounts, begins) / totals)


def train(stream: Ints, size: int) -> Model:
    """Count a stream of tokens below `size` and make a model of every order up to ORDER."""
    if size**ORDER > np.iinfo(np.int64).max:
        raise ValueError(f"n-grams of order {ORDER} over {size} tokens do not fit an integer of 64 bits")
    lower, top = list[Level](), list[Level]()
    for order in range(1, ORDER + 1):
        found, counts = np.unique(ngrams(stream, order, size), return_counts=True)
        top.append(level(found, counts, size))
        if order > 1:  # the order below counts in how many different contexts an n-gram stood, not how often
            different, contexts = np.unique(found % size ** (order - 1), return_counts=True)
            lower.append(level(different, contexts, size))
    return Model(size, lower, top)


def apply(level: Level, found: Ints, below: Floats, size: int) -> Floats:
    """Return the probability of each n-gram, given that of the order below."""
    return (
        look_up(level.ngrams, level.direct, found, 0.0)
        + look_up(level.contexts, level.backoff, found // size, 1.0) * below
    )


def look_up(keys: Ints, values: Floats, wanted: Ints, otherwise: float) -> Floats:
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], otherwise)


def perplexities(model: Model, stream: Ints) -> list[float]:
    """Return the perplexity of a stream under the model of each order, from 1 upwards."""
    size = model.vocabulary_size
    below = np.full(len(stream), 1 / size)
    result: list[float] = []
    for order, top in enumerate(model.top, 1):
        found = ngrams(stream, order, size)
        result.append(float(np.exp(-np.mean(np.log(apply(top, found, below, size))))))
        if order < len(model.top):
            below = apply(model.lower[order - 1], found, below, size)
    return result


def distribution(model: Model, context: Sequence[int]) -> Floats:
    """Return the probability of every token after a context."""
    size = model.vocabulary_size
    result = np.full(size, 1 / size)
    for order, one in enumerate(model.levels, 1):
        history = [END] * order + list(context)
        key = 0
        for token in history[len(history) - order + 1 :]:
            key = key * size + token
        place = int(np.searchsorted(one.contexts, key))
        if place < len(one.contexts) and one.contexts[place] == key:
            begin, end = np.searchsorted(one.ngrams, [key * size, (key + 1) * size])
            result *= one.backoff[place]
            result[one.ngrams[begin:end] % size] += one.direct[begin:end]
    return result


def sample(model: Model, random: np.random.Generator) -> list[int]:
    """Draw a text from the model, up to END or SAMPLE_TOKENS."""
    text: list[int] = []
    while len(text) < SAMPLE_TOKENS:
        edges: Floats = np.cumsum(distribution(model, text[-ORDER:]))
        token = int(np.searchsorted(edges, random.random() * float(edges[-1]), side="right"))
        if token == END:
            break
        text.append(token)
    return text


def learning_curve(stream: Ints, ends: Ints, heldout: Ints, size: int) -> list[dict[str, float]]:
    """Return the perplexity after the first documents of a training stream, for each of FRACTIONS."""
    curve: list[dict[str, float]] = []
    for fraction in FRACTIONS:
        tokens = int(ends[min(np.searchsorted(ends, fraction * len(stream)), len(ends) - 1)])
        if tokens < len(stream) and (not curve or tokens > curve[-1]["tokens"]):
            curve.append({"tokens": tokens, "perplexity": perplexities(train(stream[:tokens], size), heldout)[-1]})
    return curve


def load(attempt: Attempt, split: str) -> Ints:
    shards = [np.load(path) for path in attempt.files if path.match(f"tokens-{split}-*.npy")]
    return np.concatenate(shards).astype(np.int64)


def save(attempt: Attempt, model: Model, counts: Ints) -> None:
    """Write the highest model, and how often each token stood in what it was trained on."""
    arrays: dict[str, NDArray[np.generic]] = {"token_counts": counts}
    for order, one in enumerate(model.levels, 1):
        arrays |= {f"ngrams_{order}": one.ngrams, f"direct_{order}": one.direct.astype(np.float32)}
        arrays |= {f"contexts_{order}": one.contexts, f"backoff_{order}": one.backoff.astype(np.float32)}
    np.savez(attempt.output / "model.npz", allow_pickle=False, **arrays)


def train_neural(attempt: Attempt, stream: Ints, heldout: Ints, size: int, heldout_bytes: int) -> dict[str, object]:
    """Train the neural model and write it; returns what metrics.json says of it."""
    found = neural.train(stream, heldout, size, pad=END, seed=SEED)
    arrays: dict[str, NDArray[np.generic]] = {**found.weights}
    np.savez(attempt.output / "neural.npz", allow_pickle=False, **arrays)
    print(f"neural: perplexity {found.perplexity:.1f} after {found.steps} steps on {found.device}")
    return {
        "model": f"feed-forward, window {neural.WINDOW}",
        "parameters": found.parameters,
        "steps": found.steps,
        "device": found.device,
        "perplexity": found.perplexity,
        "bits_per_byte": bits_per_byte(found.perplexity, heldout, heldout_bytes),
    }


def bits_per_byte(perplexity: float, heldout: Ints, heldout_bytes: int) -> float:
    return len(heldout) * float(np.log2(perplexity)) / heldout_bytes


def process(attempt: Attempt) -> None:
    """Train on one dataset."""
    stream, heldout = load(attempt, "train"), load(attempt, "heldout")
    for what, tokens, least in ("train on", stream, TRAIN_TOKENS_MIN), ("evaluate on", heldout, HELDOUT_TOKENS_MIN):
        if len(tokens) < least:
            raise RejectDataset(f"too little to {what}: {len(tokens)} tokens, {least} are the least")
    tokenise = json.loads((attempt.input / "tokenise.json").read_text())
    size = int(tokenise["vocabulary_size"])
    model = train(stream, size)
    by_order = perplexities(model, heldout)
    ends: Ints = np.load(attempt.input / "ends-train.npy")
    curve = learning_curve(stream, ends, heldout, size)
    tokenizer = Tokenizer.from_file(str(attempt.input / "tokenizer.json"))
    random = np.random.default_rng(SEED)
    samples = [sample(model, random) for _ in range(SAMPLES)]
    metrics: dict[str, object] = {
        "model": f"interpolated modified Kneser-Ney, order {ORDER}",
        "train_tokens": len(stream),
        "heldout_tokens": len(heldout),
        "ngrams": [len(one.ngrams) for one in model.levels],
        "perplexity": by_order[-1],
        "perplexity_uniform": size,
        "perplexity_by_order": by_order,
        "bits_per_byte": bits_per_byte(by_order[-1], heldout, tokenise["heldout"]["bytes"]),
        "learning_curve": [*curve, {"tokens": len(stream), "perplexity": by_order[-1]}],
        "samples": [{"tokens": tokens, "text": tokenizer.decode(tokens)} for tokens in samples],
    }
    if neural.is_available():
        metrics["neural"] = train_neural(attempt, stream, heldout, size, tokenise["heldout"]["bytes"])
    save(attempt, model, np.bincount(stream, minlength=size))
    (attempt.output / "metrics.json").write_text(json.dumps(metrics, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for earlier in ("extract.json", "clean.json", "tokenise.json", "tokenizer.json"):
        shutil.copyfile(attempt.input / earlier, attempt.output / earlier)
    print(f"perplexity {by_order[-1]:.1f} of {size}, {metrics['bits_per_byte']:.2f} bits a byte")


def setup() -> None:
    """Let the libraries do once whatever they do the first time."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    stream = np.arange(100, dtype=np.int64) % 7
    perplexities(train(stream, 8), stream)
    if neural.is_available():
        neural.train(stream, stream, 8, pad=END, seed=SEED)
