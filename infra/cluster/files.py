"""The files of a private cluster: its configuration, keys that are made once, and what stands in for GPUs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from infra.cluster.place import Place
from infra.cluster.shape import GPUS, NODES

MUNGE_KEY_BYTES, JWT_KEY_BYTES = 1024, 32
_DIRECTORIES = ("etc", "run", "log", "spool", "dev", *(f"spool/{node}" for node in NODES))
_PRIVATE_DIRECTORIES = ("keys", "state")
_CONFIGURATION = ("slurm.conf", "gres.conf", "cgroup.conf")


def write(place: Place, configuration: Mapping[str, str]) -> None:
    """Make what is missing, and the configuration anew. State, keys and logs of before stay."""
    for name in (*_DIRECTORIES, *_PRIVATE_DIRECTORIES):
        (place.directory / name).mkdir(exist_ok=True)
        (place.directory / name).chmod(0o700 if name in _PRIVATE_DIRECTORIES else 0o755)
    for name in _CONFIGURATION:
        (place.directory / "etc" / name).unlink(missing_ok=True)
    for name, content in configuration.items():
        (place.directory / "etc" / name).write_text(content, encoding="utf-8")
    for key, size in ((place.munge_key, MUNGE_KEY_BYTES), (place.jwt_key, JWT_KEY_BYTES)):
        if not key.exists():
            with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(size))
    for number in range(GPUS):
        place.device(number).unlink(missing_ok=True)
        place.device(number).symlink_to(os.devnull)
