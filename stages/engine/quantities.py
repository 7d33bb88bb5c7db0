"""Durations, sizes and times as people write and read them. Pure, but for the time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from stages.engine.errors import UsageError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]+)?)([smhdw])")
_KIB = 1024.0


def parse_seconds(text: str) -> float:
    """Read a duration such as 90s, 30m, 12h, 7d, 2w; raises UsageError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no duration", todo="write a number and one of s m h d w: 7d")
    return float(found[1]) * _UNITS[found[2]]


def duration(seconds: float) -> str:
    """Return at most five characters: 0.4 s, 12 s, 8 min, 3 h, 5 d."""
    seconds = max(0.0, seconds)
    if seconds < 10:  # noqa: PLR2004 - below, a tenth of a second is worth telling
        return f"{seconds:.1f} s"
    for limit, unit, name in ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172800.0, 3600.0, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400.0:.0f} d"


def size(number: int) -> str:
    """Return a number of bytes in binary units: 12 B, 3.4 MiB."""
    scaled = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if scaled < _KIB:
            return f"{number} B" if unit == "B" else f"{scaled:.1f} {unit}"
        scaled /= _KIB
    return f"{scaled:.1f} TiB"


def moment(epoch_seconds: float) -> str:
    """Return a time of day with its date, in this host's time zone."""
    return f"{datetime.fromtimestamp(epoch_seconds, tz=UTC).astimezone():%Y-%m-%d %H:%M:%S}"
