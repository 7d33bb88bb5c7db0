"""Site: a stage's folder, one dataset and its attempts, as a poller would lay them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

from stages.engine.work.order import Order
from stages.engine.work.outcome import Stop


@dataclass
class Site:
    """Below `root`: `phase9/stage.py` and datasets in `IN`."""

    root: Path

    @property
    def stage_directory(self) -> Path:
        return self.root / "phase9"

    def stage(self, text: str) -> Path:
        """Write stage.py; `process` must be in it."""
        self.stage_directory.mkdir(exist_ok=True)
        (self.stage_directory / "stage.py").write_text(dedent(text))
        return self.stage_directory

    def order(self, dataset: str = "ds1", *, watch_seconds: float = 1.0) -> Order:
        """Lay out an attempt at a dataset."""
        private = self.root / "IN" / "_work" / f"{dataset}.1.0123abcd"
        (private / "out").mkdir(parents=True)
        source = self.root / "IN" / dataset
        source.mkdir()
        (source / "a.txt").write_text("hello")
        return Order(
            dataset=dataset,
            stage="phase9",
            number=1,
            token="0123abcd",
            input=str(source),
            output=str(private / "out"),
            scratch=str(private / "scratch"),
            watch_seconds=watch_seconds,
        )


@dataclass
class Log:
    """Keeps what the author's code said."""

    chunks: list[bytes] = field(default_factory=list[bytes])

    def __call__(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    @property
    def text(self) -> str:
        return b"".join(self.chunks).decode()


@dataclass
class StopWhenSaid:
    """A watch that asks to stop once the log says a word."""

    log: Log
    word: str
    stop: Stop

    def __call__(self) -> Stop | None:
        return self.stop if self.word in self.log.text else None
