"""Where the files of a private cluster are: all below one directory, whose name SLURM must be able to write down."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from infra.cluster.errors import ClusterError

# A Unix socket's name has 107 bytes, and the longest is a job step's: spool/n1/n1_4294967295.4294967291
PATH_BYTES_MAX = 107 - len("/spool/n1/n1_4294967295.4294967291")
_PLAIN = re.compile(r"/[A-Za-z0-9_./+@-]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cluster's directory, absolute."""

    directory: Path

    @property
    def record(self) -> Path:
        """What was started here, and how; what makes a directory a cluster's."""
        return self.directory / "cluster.json"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def configuration(self) -> Path:
        """What SLURM_CONF names."""
        return self.directory / "etc" / "slurm.conf"

    @property
    def munge_key(self) -> Path:
        return self.directory / "keys" / "munge.key"

    @property
    def jwt_key(self) -> Path:
        return self.directory / "keys" / "jwt.key"

    @property
    def munge_socket(self) -> Path:
        return self.directory / "run" / "munge.sock"

    @property
    def rest_socket(self) -> Path:
        """Where slurmrestd answers the cluster's own user without a token."""
        return self.directory / "run" / "slurmrestd.sock"

    @property
    def state(self) -> Path:
        """All that slurmctld remembers: jobs, and the number of the next one."""
        return self.directory / "state"

    def log(self, daemon: str) -> Path:
        return self.directory / "log" / f"{daemon}.log"

    def spool(self, node: str) -> Path:
        return self.directory / "spool" / node

    def device(self, number: int) -> Path:
        """A stand-in for a GPU."""
        return self.directory / "dev" / f"gpu{number}"


def place_of(path: Path) -> Place:
    """Return the place of a cluster that is or shall be in `path`. Raises ClusterError for a name that cannot be."""
    directory = Path(os.path.abspath(path.expanduser()))
    if not _PLAIN.match(str(directory)):
        strange = re.sub(r"[A-Za-z0-9_./+@-]", "", str(directory))
        what = "a space" if " " in strange else repr(strange)
        raise ClusterError(
            f"{directory}: SLURM's configuration cannot name a path with {what} in it;"
            " choose another directory, such as ~/slurm"
        )
    if len(os.fsencode(directory)) > PATH_BYTES_MAX:
        raise ClusterError(
            f"{directory}: the names of sockets in it would be too long; choose one of at most {PATH_BYTES_MAX} bytes"
        )
    return Place(directory=directory)


def check_usable(place: Place) -> None:
    """Raise ClusterError unless a cluster is here, or may be made here, by this user."""
    directory = place.directory
    try:
        found = os.listdir(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ClusterError(f"{directory}: {error.strerror}; choose another directory") from None
    owner = directory.stat().st_uid
    if place.record.exists() and owner != os.geteuid():
        raise ClusterError(f"{directory}: this cluster is of the user with id {owner}; choose a directory of your own")
    if set(found) - {place.lock.name} and not place.record.exists():
        raise ClusterError(f"{directory}: it is not empty, and no cluster; choose one that is empty or not there yet")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ClusterError(f"{directory}: you may not write there; choose another directory")
