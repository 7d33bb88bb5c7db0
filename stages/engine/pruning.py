"""Removing data that nothing needs any more; registers, manifests and logs stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from stages.engine import archive, names, tree
from stages.engine.archive import Archived, Data
from stages.engine.fs import FileSystem, Kind
from stages.engine.layout import Passage, Root

PART = ".part"  # what an incomplete copy in `_incoming` ends in


class Fate(StrEnum):
    """What became, or in a dry run would become, of something old enough."""

    PRUNED = "pruned"
    REMOVED = "removed"  # from _trash or _incoming
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """One thing that was old enough; `why` tells what still needs it."""

    path: str
    fate: Fate
    size: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """One stage's pruning. `following` is the passage of the stage that reads what this one writes.

    The rule. A dataset's input is kept for a rerun of its stage, which is wanted as long as nobody knows
    whether the output is any good. So the data of `_done/d~token` goes only if
    - nothing of `d` stands in `_work`: its publication is finished, clean-up included; and
    - the next stage has published what it made of the output: `d`, or what became of `d` by a rerun
      there, stands in *its* `_done`. A quarantined, waiting or running output keeps its input.
      For the last stage `_done` itself is the proof: its output was published (I7).
    Each of these is seen, not concluded from absence: what a stale listing hides is kept.

    One rename takes the entry away from `rerun`, `~pruning` in its name, before anything is removed;
    another one, to `~pruned`, says that it is complete. So neither a crash nor a race leaves half of a
    dataset to be processed.
    """

    fs: FileSystem
    passage: Passage
    following: Passage | None
    older_than_seconds: float
    now: float  # the file server's, in seconds since the epoch
    dry: bool

    def archives(self) -> Iterator[Pruned]:
        """Prune `_done`. Raises OSError."""
        fs, done = self.fs, self.passage.reads.done
        attempts = map(names.parse_attempt, fs.listdir(self.passage.reads.work))
        working = {attempt.dataset for attempt in attempts if attempt is not None}
        is_processed = self._processed()
        for entry in archive.archived(fs.listdir(done)):
            if entry.data is Data.PRUNED:
                continue
            path = f"{done}/{entry.name}"
            if entry.data is Data.KEPT and not self._is_old(path):
                continue
            if entry.dataset in working:
                yield Pruned(path=path, fate=Fate.KEPT, why="an attempt is not cleaned up yet: phaseline sweep")
            elif not is_processed(entry.dataset):
                output = "" if self.following is None else self.following.reads.dataset(entry.dataset)
                yield Pruned(path=path, fate=Fate.KEPT, why=f"its output is not processed yet: {output}")
            else:
                yield self._prune(entry)

    def leftovers(self) -> Iterator[Pruned]:
        """Empty `_trash`, and remove copies that were broken off in `_incoming`."""
        at = self.passage.reads
        for place, suffix in ((at.trash, ""), (at.incoming, PART)):
            for name in sorted(self.fs.listdir(place)):
                path = f"{place}/{name}"
                if name.endswith(suffix) and self._is_old(path):
                    size = tree.total_bytes(tree.payload(self.fs, path).entries)
                    if not self.dry:
                        self.fs.remove_tree(path)
                    yield Pruned(path=path, fate=Fate.REMOVED, size=size)

    def _is_old(self, path: str) -> bool:
        """By the mtime, which the publication was the last to move, against the same server's clock."""
        try:
            return self.now - self.fs.mtime_ns(path) / 1e9 >= self.older_than_seconds
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _processed(self) -> Callable[[str], bool]:
        """Return the judge of the second condition."""
        following = self.following
        if following is None:
            return lambda _: True
        beyond = archive.archived(self.fs.listdir(following.reads.done))
        exact = {entry.dataset for entry in beyond}
        later: dict[str, list[Archived]] = {}
        for entry in beyond:
            base, number = names.generation(entry.dataset)
            if number > 1:
                later.setdefault(base, []).append(entry)

        def judge(dataset: str) -> bool:
            if dataset in exact:
                return True
            prefix = f"ended.{names.tag(following.stage, dataset)}."
            return any(
                marker.startswith(prefix)
                for entry in later.get(names.generation(dataset).base, [])
                for marker in self.fs.listdir(f"{following.reads.done}/{entry.name}")
            )

        return judge

    def _prune(self, entry: Archived) -> Pruned:
        fs, done = self.fs, self.passage.reads.done
        path = f"{done}/{entry.name}"
        size = tree.total_bytes(tree.payload(fs, path).entries)
        if self.dry:
            return Pruned(path=path, fate=Fate.PRUNED, size=size)
        going = f"{done}/{entry._replace(data=Data.PRUNING).name}"
        if entry.data is Data.KEPT:
            try:
                fs.rename(path, going)
            except FileNotFoundError:
                return Pruned(path=path, fate=Fate.KEPT, why="somebody else took it first")
        for found in fs.scan(going):
            if found.name == names.MANIFEST or names.is_reserved(found.name):
                continue
            if found.kind is Kind.DIRECTORY:
                fs.remove_tree(f"{going}/{found.name}")
            else:
                fs.unlink(f"{going}/{found.name}")
        gone = f"{done}/{entry._replace(data=Data.PRUNED).name}"
        fs.rename(going, gone)
        return Pruned(path=gone, fate=Fate.PRUNED, size=size)


def server_now(fs: FileSystem, root: Root) -> float:
    """Return the file server's time, in seconds since the epoch: what it calls now when asked to."""
    fs.touch(root.sweep)
    return fs.mtime_ns(root.sweep) / 1e9
