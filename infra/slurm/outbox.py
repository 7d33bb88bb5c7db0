"""Sends what jobs print to their runs' logs: each line once, in order, many jobs in one call.

Before a call it is noted that it begins, after it that it is done. Where the answer was lost, or the worker died
between, the API is asked which of the lines it has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loguru import logger

from infra.slurm.folder import Sent, read_output, write_sent
from infra.slurm.followed import Followed
from infra.slurm.joblog import Excerpt, is_capped, read_lines
from infra.slurm.runs import LINES_PER_CALL_MAX, LogLine, Runs, RunsRefusedError

CALLS_PER_TURN_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    followed: Followed
    excerpt: Excerpt
    at_us: int
    reaches_end: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """`wall_us`: microseconds since the epoch, the time of lines that say none."""

    runs: Runs
    wall_us: Callable[[], int]

    async def send(self, jobs: Sequence[Followed]) -> None:
        """Send what these jobs have printed, and note whose output is sent to its end. Raises RunsUnavailableError."""
        for _ in range(CALLS_PER_TURN_MAX):
            letters = await self._collect([job for job in jobs if not job.is_drained])
            if letters:
                await self._post(letters)
            lines = sum(len(letter.excerpt.lines) for letter in letters)
            if lines < LINES_PER_CALL_MAX and all(letter.reaches_end for letter in letters):
                return

    async def send_notes(self, jobs: Sequence[Followed]) -> None:
        """Send what there is to say beside the output; each once, or, where the answer is lost, perhaps not at all."""
        notes = [(job, text) for job in jobs for text in job.notes][:LINES_PER_CALL_MAX]
        for job, text in notes:
            job.notes.remove(text)
        if notes:
            await self.runs.send_logs(
                [
                    LogLine(run_id=job.run.run_id, at_us=self.wall_us(), level=logging.WARNING, text=text)
                    for job, text in notes
                ]
            )

    async def _collect(self, jobs: Sequence[Followed]) -> list[_Letter]:
        """Return what there is to send, LINES_PER_CALL_MAX at most in all."""
        letters: list[_Letter] = []
        room = LINES_PER_CALL_MAX
        for job in jobs:
            if job.sent.sending_at_us is not None:
                await self._settle(job)
            letter = await asyncio.to_thread(self._excerpt, job, room)
            if letter.excerpt.lines:
                letters.append(letter)
                room -= len(letter.excerpt.lines)
            else:
                self._arrive(letter)
            if room <= 0:
                break
        return letters

    async def _settle(self, job: Followed) -> None:
        """A call's answer is open: take for sent what the API has of it; the rest is sent with the same times."""
        letter = await asyncio.to_thread(self._excerpt, job, LINES_PER_CALL_MAX)
        lines = letter.excerpt.lines
        newest = await self.runs.last_sent(job.run.run_id, lines[0].at_us, lines[-1].at_us) if lines else None
        arrived = 0 if newest is None else sum(line.at_us <= newest for line in lines)
        if arrived or not lines:
            known = await asyncio.to_thread(self._excerpt, job, arrived)
            job.sent = Sent(position=known.excerpt.after)
            await asyncio.to_thread(_note, job)

    async def _post(self, letters: Sequence[_Letter]) -> None:
        await asyncio.to_thread(_note_sending, letters)
        try:
            await self.runs.send_logs([line for letter in letters for line in letter.excerpt.lines])
        except RunsRefusedError as error:
            if len(letters) > 1:
                for letter in letters:
                    await self._post([letter])
                return
            logger.bind(run=letters[0].followed.run.run_id, reason=str(error)).warning(
                "log lines were refused; left out"
            )
        for letter in letters:
            self._arrive(letter)
        await asyncio.to_thread(_note_sent, letters)

    def _arrive(self, letter: _Letter) -> None:
        job = letter.followed
        job.sent = Sent(position=letter.excerpt.after)
        job.is_drained = job.is_over and (letter.reaches_end or is_capped(job.source, job.sent.position.lines))

    def _excerpt(self, job: Followed, count_max: int) -> _Letter:
        """Read a job's output from where it was sent to. What cannot be read now is read later."""
        at_us = job.sent.sending_at_us or self.wall_us()
        position, is_over = job.sent.position, job.is_over
        chunk, is_last = b"", True
        if not is_capped(job.source, position.lines):
            chunk, is_last = read_output(job.directory, position.offset)
        excerpt = read_lines(job.source, chunk, position, at_us=at_us, final=is_over and is_last, count_max=count_max)
        whole = is_last and excerpt.after.offset - position.offset == len(chunk)
        return _Letter(followed=job, excerpt=excerpt, at_us=at_us, reaches_end=whole)


def _note_sending(letters: Sequence[_Letter]) -> None:
    for letter in letters:
        letter.followed.sent = Sent(position=letter.followed.sent.position, sending_at_us=letter.at_us)
        _note(letter.followed)


def _note_sent(letters: Sequence[_Letter]) -> None:
    for letter in letters:
        _note(letter.followed)


def _note(job: Followed) -> None:
    """Remember on disk what was sent. A full disk may cost a line that stands twice, never one, and no run's end."""
    try:
        write_sent(job.directory, job.sent)
    except OSError as error:
        logger.bind(run=job.run.run_id, reason=str(error)).warning("could not note how much of the output was sent")
