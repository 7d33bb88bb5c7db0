"""A small neural language model beside the n-gram's, where PyTorch is installed: the stage's image brings it.

Feed-forward over a window of tokens (Bengio et al. 2003): their embeddings, a hidden layer, a softmax over all tokens.
Weights and batches come from one seed: on a CPU the same tokens give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

WINDOW = 8  # tokens that the next one is predicted from
EMBEDDED, HIDDEN = 64, 128
BATCH, STEPS_MAX, EPOCHS_MAX = 256, 1500, 10
MULTIPLICATIONS_MAX = 40e9  # on a CPU, in the last layer, which is nearly all of them: some ten seconds on one core
LEARNING_RATE = 3e-3
EVALUATED = 8192  # windows at once

Ints = NDArray[np.int64]


class Tensor(Protocol):
    """What we need of PyTorch's."""

    def cpu(self) -> Tensor: ...

    def numpy(self) -> NDArray[np.float32]: ...


class Network(Protocol):
    """What we need of a PyTorch module."""

    def __call__(self, contexts: Tensor) -> Tensor: ...

    def to(self, device: str) -> Self: ...

    def eval(self) -> Self: ...

    def parameters(self) -> Iterator[Tensor]: ...

    def state_dict(self) -> Mapping[str, Tensor]: ...


class Neural(NamedTuple):
    """What came of it: weights by name, and the perplexity on what was held out. `device`: `cpu`, or the GPU's name."""

    weights: dict[str, NDArray[np.float32]]
    perplexity: float
    steps: int
    device: str

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return sum(array.size for array in self.weights.values())


def is_available() -> bool:
    return find_spec("torch") is not None


def windows(stream: Ints, pad: int) -> Ints:
    """Return, for each token of a stream, the WINDOW tokens before it, as if `pad` had gone before the first."""
    padded = np.concatenate([np.full(WINDOW, pad, np.int64), stream[:-1]])
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)


def train(stream: Ints, heldout: Ints, size: int, *, pad: int, seed: int) -> Neural:
    """Learn a stream of tokens below `size` and measure the model on another one; uses a GPU where there is one."""
    torch = _torch(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = _network(torch, size).to(device)
    contexts, targets = windows(stream, pad), stream
    affordable = STEPS_MAX if device == "cuda" else int(MULTIPLICATIONS_MAX / (BATCH * HIDDEN * size))
    steps = max(1, min(STEPS_MAX, affordable, EPOCHS_MAX * -(-len(stream) // BATCH)))
    random = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=LEARNING_RATE, total_steps=steps)
    for _ in range(steps):
        chosen = random.integers(len(stream), size=BATCH)
        scores = network(torch.from_numpy(contexts[chosen]).to(device))
        loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(targets[chosen]).to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    name = torch.cuda.get_device_name() if device == "cuda" else device
    weights = {key: value.cpu().numpy() for key, value in network.state_dict().items()}
    return Neural(weights, _perplexity(torch, network.eval(), heldout, pad, device), steps, name)


def _perplexity(torch: ModuleType, network: Network, stream: Ints, pad: int, device: str) -> float:
    contexts, surprise = windows(stream, pad), 0.0
    with torch.inference_mode():
        for begin in range(0, len(stream), EVALUATED):
            scores = network(torch.from_numpy(contexts[begin : begin + EVALUATED].copy()).to(device))
            targets = torch.from_numpy(stream[begin : begin + EVALUATED].copy()).to(device)
            surprise += float(torch.nn.functional.cross_entropy(scores, targets, reduction="sum"))
    return float(np.exp(surprise / len(stream)))


def _network(torch: ModuleType, size: int) -> Network:
    nn = torch.nn
    network: Network = nn.Sequential(
        nn.Embedding(size, EMBEDDED),
        nn.Flatten(),
        nn.Linear(WINDOW * EMBEDDED, HIDDEN),
        nn.GELU(),
        nn.Dropout(0.1),
        nn.Linear(HIDDEN, size),
    )
    return network


def _torch(seed: int) -> ModuleType:
    """Return PyTorch, whose types only its image knows, bound to do the same each time."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch = import_module("torch")
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # sums in another order are other sums
    torch.use_deterministic_algorithms(mode=True)
    return torch
