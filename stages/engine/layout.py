"""Every path of a root, in one place (PROTOCOL 2). Pure: paths are text."""

from __future__ import annotations

from dataclasses import dataclass, field

from stages.engine import names

PROTOCOL = "protocol:1"  # the value of ROOT/_phaseline: which law this root was made under


@dataclass(frozen=True, slots=True)
class Location:
    """A directory in which datasets wait: `ROOT/PHASE_4`, and what stands beside them."""

    path: str
    work: str = field(init=False)
    done: str = field(init=False)
    failed: str = field(init=False)
    incoming: str = field(init=False)
    trash: str = field(init=False)

    def __post_init__(self) -> None:
        for part in ("work", "done", "failed", "incoming", "trash"):
            object.__setattr__(self, part, f"{self.path}/_{part}")

    @property
    def directories(self) -> tuple[str, ...]:
        """All directories of the location, itself first."""
        return (self.path, self.work, self.done, self.failed, self.incoming, self.trash)

    def dataset(self, dataset: str) -> str:
        """Where a dataset waits and is processed."""
        return f"{self.path}/{dataset}"

    def attempt(self, attempt: names.Attempt) -> str:
        """The private place of an attempt."""
        return f"{self.work}/{attempt.directory}"


@dataclass(frozen=True, slots=True)
class Root:
    """A data root, by its absolute path."""

    path: str

    @property
    def protocol(self) -> str:
        """The register that makes a directory a root."""
        return f"{self.path}/_phaseline"

    @property
    def names(self) -> str:
        """Names given out, a register each."""
        return f"{self.path}/_names"

    @property
    def sweep(self) -> str:
        """What one-shot sweepers saw last time."""
        return f"{self.path}/_sweep"

    @property
    def jobs(self) -> str:
        """Scripts, outputs and results of the jobs that carry pollers."""
        return f"{self.path}/_jobs"

    @property
    def trigger(self) -> str:
        """What the trigger says of stages that it leaves alone; made by the first that has something to say."""
        return f"{self.path}/_trigger"

    @property
    def directories(self) -> tuple[str, ...]:
        """What stands beside the locations."""
        return (self.names, self.sweep, self.jobs)

    def location(self, name: str) -> Location:
        """A location by its name, e.g. PHASE_4."""
        return Location(f"{self.path}/{name}")

    def name(self, dataset: str) -> str:
        """The register that gives a name out."""
        return f"{self.names}/{dataset}"

    def sightings(self, boot_id: str, stage: str) -> str:
        """The sightings of one-shot sweepers of a stage on one boot of one host."""
        return f"{self.sweep}/{boot_id}.{stage}.json"

    def pause(self, stage: str) -> str:
        """Why and until when a stage is given no pollers."""
        return f"{self.trigger}/{stage}.json"


@dataclass(frozen=True, slots=True)
class Passage:
    """Where one stage reads and where it publishes."""

    stage: str
    reads: Location
    writes: Location
