"""Wire: what a poller and its warm child say to each other, one message a datagram."""

from __future__ import annotations

import json

from stages.engine.work.order import Order
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind

MESSAGE_BYTES_MAX = 1 << 16
_OPENED, _AS_BEFORE = b"+", b"="
_DONE = b"done"  # PUBLISHED in a word: no other outcome is as frequent


def encode_order(order: Order) -> bytes:
    return json.dumps([getattr(order, name) for name in Order.__slots__]).encode()


def decode_order(message: bytes) -> Order:
    return Order(**dict(zip(Order.__slots__, json.loads(message), strict=True)))


def encode_outcome(outcome: Outcome, *, has_opened: bool) -> bytes:
    """Say what became of an order; `has_opened`: other descriptors are open than after the order before."""
    said = [outcome.kind, outcome.why, outcome.signature, outcome.after_seconds]
    return (_OPENED if has_opened else _AS_BEFORE) + (_DONE if outcome is PUBLISHED else json.dumps(said).encode())


def has_opened(message: bytes) -> bool:
    """Return what `encode_outcome` was told."""
    return not message.startswith(_AS_BEFORE)


def decode_outcome(message: bytes) -> Outcome:
    if message[1:] == _DONE:
        return PUBLISHED
    kind, why, signature, after_seconds = json.loads(message[1:])
    return Outcome(kind=OutcomeKind(kind), why=why, signature=signature, after_seconds=after_seconds)


def encode_setup(error: str | None) -> bytes:
    """Say that the set-up is over; `error` tells in one line why it failed."""
    return json.dumps([error]).encode()


def decode_setup(message: bytes) -> str | None:
    (error,) = json.loads(message)
    return error
