"""The log of one attempt: the author's output, capped, beside the dataset's markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.engine import names

if TYPE_CHECKING:
    from stages.engine.fs import FileSystem
    from stages.engine.store import Claim


class AttemptLog:
    """Made with the first byte, so that a silent attempt costs nothing.

    It is written through the claim's handle and carries the attempt's token: it travels with the
    dataset, and a zombie writes into its own.
    """

    def __init__(self, fs: FileSystem, claim: Claim, bytes_max: int) -> None:
        self._fs, self._claim, self._left = fs, claim, bytes_max
        self._bytes_max = bytes_max
        self._descriptor: int | None = None

    @property
    def name(self) -> str:
        """Its name in the dataset's directory."""
        return names.log(self._claim.tag, self._claim.attempt.number, self._claim.attempt.token)

    def write(self, content: bytes) -> None:
        """Add the author's output; what is beyond the cap is dropped, and the log says so once."""
        if self._left <= 0 or not content:
            return
        if self._descriptor is None:
            self._descriptor = self._fs.open_new(self.name, self._claim.handle)
        kept = content[: self._left]
        self._left -= len(kept)
        if self._left <= 0:
            kept += b"\n[phaseline: the log ends here, at log_bytes_max = %d]\n" % self._bytes_max
        self._fs.append(self._descriptor, kept)

    def close(self) -> None:
        """Close it; it stays where it is."""
        if self._descriptor is not None:
            self._fs.close(self._descriptor)
            self._descriptor = None
