"""The token for slurmrestd: a file that is read again when it changes, and never shown."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import stat
from dataclasses import dataclass
from shlex import quote
from typing import cast

_PREFIX = "SLURM_JWT="  # what `scontrol token` prints before it
_TOKEN = re.compile(r"[!-~]+\Z")
_SIZE_MAX = 1 << 16


class TokenError(Exception):
    """There is no token to use; the text says why and what to type, and holds nothing of the file."""


class Token:
    """A secret: only `reveal` shows it. `expires`: epoch seconds, None if it does not say."""

    __slots__ = ("_secret", "expires")

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.expires = _expiry(secret)

    def __repr__(self) -> str:
        return "Token(...)"

    def __reduce__(self) -> str:
        raise TypeError("a token is not passed on")

    def reveal(self) -> str:
        return self._secret


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """What a file was when it was read: another one under its name, or other content, differs."""

    device: int
    inode: int
    size: int
    changed_ns: int


class TokenFile:
    """`path`: a file for its owner only, that holds a token as it is or as `scontrol token` prints it.

    `user`: whom the token is for, in what people are told to type.
    """

    def __init__(self, path: str, user: str) -> None:
        self.path, self._user = path, user
        self._read: tuple[_Version, Token] | None = None

    def renewal(self) -> str:
        """Return what to type for a new token; the file keeps its permissions."""
        return f"scontrol token username={quote(self._user)} lifespan=86400 >{quote(self.path)}"

    def token(self) -> Token:
        """Return the token that is in the file now. Raises TokenError."""
        try:
            with open(self.path, "rb") as file:
                version = self._check(os.fstat(file.fileno()))
                if self._read is not None and self._read[0] == version:
                    return self._read[1]
                content = file.read(_SIZE_MAX)
        except OSError as error:
            raise TokenError(
                f"cannot read the token file {self.path} ({error.strerror}): make it with"
                f" `(umask 077; {self.renewal()})`, or set PHASELINE_SLURMRESTD_TOKEN_FILE"
            ) from None
        secret = content.decode("ascii", "replace").strip().removeprefix(_PREFIX)
        if not _TOKEN.match(secret):
            raise TokenError(f"there is no token in {self.path}: write one with `{self.renewal()}`")
        token = Token(secret)
        self._read = (version, token)
        return token

    def _check(self, status: os.stat_result) -> _Version:
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise TokenError(
                f"the token file {self.path} can be read or written by others: type `chmod 600 {self.path}`"
            )
        return _Version(device=status.st_dev, inode=status.st_ino, size=status.st_size, changed_ns=status.st_mtime_ns)


def _expiry(secret: str) -> float | None:
    """Return when a JSON web token expires, by its own word; nobody has verified it."""
    parts = secret.split(".")
    if len(parts) != 3:  # noqa: PLR2004  # header, claims, signature
        return None
    try:
        claims: object = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    expires = cast("dict[str, object]", claims).get("exp") if isinstance(claims, dict) else None
    return float(expires) if isinstance(expires, int | float) else None
