"""What the engine says becomes the run's log; of single datasets it says nothing there: they stand in the artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loguru import logger
from prefect import get_run_logger

if TYPE_CHECKING:
    from loguru import Message, Record


def forward() -> None:
    """Send warnings and errors of the engine to the log of the run that is under way in the thread that speaks."""
    logger.remove()
    logger.add(_say, level="WARNING", filter=_is_of_the_whole, format="{message}")


def _is_of_the_whole(record: Record) -> bool:
    return "dataset" not in record["extra"]


def _say(message: Message) -> None:
    get_run_logger().log(message.record["level"].no, message.record["message"])
