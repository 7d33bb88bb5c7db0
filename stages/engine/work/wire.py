"""Wire: what a poller and its warm child say to each other, one message a datagram."""

from __future__ import annotations

import json
import os

from stages.engine.work.order import Order
from stages.engine.work.outcome import PUBLISHED, Outcome, OutcomeKind

MESSAGE_BYTES_MAX = 1 << 16
_BETWEEN = "\0"  # stands in no name
_OPENED, _AS_BEFORE = b"+", b"="
_DONE = b"done"  # PUBLISHED in a word: no other outcome is as frequent


def encode_order(order: Order) -> bytes:
    facts = (order.dataset, order.stage, order.token, order.input, order.output, order.scratch)
    return os.fsencode(_BETWEEN.join((*facts, str(order.number), repr(order.watch_seconds))))


def decode_order(message: bytes) -> Order:
    dataset, stage, token, source, output, scratch, number, watch_seconds = os.fsdecode(message).split(_BETWEEN)
    return Order(
        dataset=dataset,
        stage=stage,
        number=int(number),
        token=token,
        input=source,
        output=output,
        scratch=scratch,
        watch_seconds=float(watch_seconds),
    )


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
