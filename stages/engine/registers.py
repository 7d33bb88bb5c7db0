"""Write-once registers: put, read, never replaced, never removed in place (PROTOCOL 2)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from stages.engine import names
from stages.engine.errors import DamagedRegisterError, NoAnswerError
from stages.engine.records import Ended, Taken, parse_ended, parse_taken

if TYPE_CHECKING:
    from stages.engine.fs import FileSystem

_LOOKS = 5  # a stale negative entry may hide a register whose exclusive create was just refused


class Registers:
    """Registers on a file system."""

    def __init__(self, fs: FileSystem) -> None:
        self._fs = fs

    def put(self, name: str, value: str, at: int | None = None) -> str | None:
        """Put a register. Returns the value now in place (ours if equal), or None: no such directory.

        Raises PermissionError where writing is not allowed, NotADirectoryError where the dataset is
        no directory, DamagedRegisterError, and NoAnswerError when it cannot be learnt what is there.
        """
        try:
            self._fs.symlink(value, name, at)
        except FileExistsError as error:  # also a request that was sent again after a lost reply
            return self._read_present(name, at, error)
        except FileNotFoundError:
            return None
        except (PermissionError, NotADirectoryError):
            raise
        except OSError as error:  # no answer: ask what is there before anything is concluded
            found = self._read_if_any(name, at, error)
            if found is None:
                raise NoAnswerError(
                    f"the storage did not say whether a marker was written ({error.strerror})", where=name
                ) from error
            return found
        return value

    def get(self, name: str, at: int | None = None) -> str | None:
        """Read a register; None says no more than that it was not seen now."""
        try:
            return self._fs.readlink(name, at)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise _no_register(name) from None
            raise

    def taken(self, at: int, tag: str, number: int) -> Taken | None:
        """Read who owns an attempt."""
        name = names.taken(tag, number)
        value = self.get(name, at)
        return None if value is None else parse_taken(value, name)

    def ended(self, at: int, tag: str, number: int) -> Ended | None:
        """Read how an attempt ended."""
        name = names.ended(tag, number)
        value = self.get(name, at)
        return None if value is None else parse_ended(value, name)

    def _read_present(self, name: str, at: int | None, error: OSError) -> str | None:
        for _ in range(_LOOKS):
            found = self._read_if_any(name, at, error)
            if found is not None:
                return found
        if at is None:
            return None  # by path: the dataset was moved away since, as every finished one is
        raise NoAnswerError("a marker exists but cannot be read", where=name) from error

    def _read_if_any(self, name: str, at: int | None, error: OSError) -> str | None:
        try:
            return self.get(name, at)
        except OSError:
            raise NoAnswerError("a marker could not be read back", where=name) from error


def _no_register(name: str) -> DamagedRegisterError:
    return DamagedRegisterError(
        "a plain file or directory stands where a marker of phaseline belongs",
        where=name,
        todo="look what it is, then move that one name away",
    )
