"""Wire: what a poller and its warm child say to each other, one message a datagram."""

from __future__ import annotations

import json

from stages.engine.work.order import Order
from stages.engine.work.outcome import Outcome, OutcomeKind

MESSAGE_BYTES_MAX = 1 << 16


def encode_order(order: Order) -> bytes:
    return json.dumps([getattr(order, name) for name in Order.__slots__]).encode()


def decode_order(message: bytes) -> Order:
    return Order(**dict(zip(Order.__slots__, json.loads(message), strict=True)))


def encode_outcome(outcome: Outcome) -> bytes:
    return json.dumps([outcome.kind, outcome.why, outcome.signature, outcome.after_seconds]).encode()


def decode_outcome(message: bytes) -> Outcome:
    kind, why, signature, after_seconds = json.loads(message)
    return Outcome(kind=OutcomeKind(kind), why=why, signature=signature, after_seconds=after_seconds)


def encode_setup(error: str | None) -> bytes:
    """Say that the set-up is over; `error` tells in one line why it failed."""
    return json.dumps([error]).encode()


def decode_setup(message: bytes) -> str | None:
    (error,) = json.loads(message)
    return error
