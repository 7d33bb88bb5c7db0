"""Slots: how many local jobs may run at once, on this machine and for this user, whichever worker started them.

A slot is an abstract Unix socket that its holder has bound: the kernel gives a name to one process, and takes it back
when that process and its guard are gone, by SIGKILL too. There is nothing on a disk to go stale or to be tidied away,
and no shared file system whose locks may be none.
"""

from __future__ import annotations

import errno
import os
import socket

NAME_MAX = 64  # with what stands around it, it fits into a socket's name


def take_slot(name: str, slots: int) -> socket.socket | None:
    """Take one of `slots` slots of the set called `name`, None if all are taken. Closing the socket gives it back.

    A name is one network namespace's: containers that do not share the host's have slots of their own.
    """
    for number in range(slots):
        slot = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            slot.bind(f"\0phaseline/slots/{name}/{os.getuid()}/{number}")
            return slot
        except OSError as error:
            slot.close()
            if error.errno != errno.EADDRINUSE:
                raise
    return None
