"""What was asked of an NFS server: /proc/self/mountstats, operation by operation. Pure but for `asked`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

_DEVICE = re.compile(r"device .* mounted on (?P<point>\S+) with fstype nfs")
_OPERATION = re.compile(r"\s+(?P<name>[A-Z_0-9]+): (?P<operations>\d+) ")


def asked(point: str) -> Counter[str]:
    """Return how often each operation was asked for through a mount of this process since it was mounted."""
    return parse(Path("/proc/self/mountstats").read_text(encoding="utf-8"), point)


def parse(text: str, point: str) -> Counter[str]:
    """Read the operations of one mount; what was never asked for is left out. Raises LookupError if it is not there."""
    for section in re.split(r"^(?=device )", text, flags=re.MULTILINE):
        device = _DEVICE.match(section)
        if device is not None and device["point"] == point:
            _, _, operations = section.partition("per-op statistics\n")
            found = (_OPERATION.match(line) for line in operations.splitlines())
            return +Counter({one["name"]: int(one["operations"]) for one in found if one is not None})
    raise LookupError(f"no NFS is mounted on {point}")
