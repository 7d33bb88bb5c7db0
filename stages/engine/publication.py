"""From a claim to a verdict: look at the input, have the work done, seal what came out of it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from stages.engine import manifest, names, policy, tree
from stages.engine.attemptlog import AttemptLog
from stages.engine.errors import RevokedError
from stages.engine.fs import Entry
from stages.engine.manifest import Json
from stages.engine.policy import Cause
from stages.engine.store import Claim, Store
from stages.engine.vigil import StoppedError, Vigil
from stages.engine.work.order import Order, Work
from stages.engine.work.outcome import Outcome, OutcomeKind, Stop

EMPTY_SECONDS = 30.0
STORAGE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT}
)
PROBE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the stage wants of an attempt. `described` goes into every manifest as it stands."""

    requires: tuple[str, ...] = ()
    hashing: bool = True
    group_mode: int = tree.GROUP_READS_AND_WRITES
    log_bytes_max: int = 10 * 1024 * 1024
    heartbeat_seconds: float = 30.0
    expires_seconds: float = 180.0
    described: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an attempt is to end; `cause` None means: publish.

    `halt` tells that this poller must not go on: the storage failed, or processes could not be stopped.
    """

    cause: Cause | None
    why: str = "ok"
    signature: str = ""
    after_seconds: float | None = None
    halt: bool = False


PUBLISH = Verdict(cause=None)


class Publication:
    """Judges the attempts of one stage."""

    def __init__(self, *, store: Store, work: Work, terms: Terms, vigil: Vigil) -> None:
        self._store, self._fs, self._work, self._terms, self._vigil = store, store.fs, work, terms, vigil
        self._rule = tree.SealRule(
            hashing=terms.hashing, syncing=store.terms.durability.syncs_output, group_mode=terms.group_mode
        )
        self._described = manifest.share(store.passage.stage, terms.described)

    def judge(self, claim: Claim, log: AttemptLog) -> Verdict:
        """Carry out an attempt up to the point where it can be committed.

        Raises RevokedError. Failures of the storage are a verdict with `halt`: nobody pays for them.
        """
        try:
            return self._judge(claim, log)
        except StoppedError as stopped:
            return self._stopped(stopped.stop)
        except tree.OutputError as error:
            return Verdict(cause=Cause.FAILED, why=str(error), signature=error.what)
        except FileNotFoundError as error:
            vanished = Verdict(cause=Cause.FAILED, why=f"it vanished while it was at work: {error.filename}")
            return self._moved(claim) or vanished
        except OSError as error:
            if error.errno in STORAGE_ERRORS:
                return storage_verdict(error.strerror or str(error))
            return Verdict(cause=Cause.FAILED, why=str(error), signature=str(error.errno))

    def _judge(self, claim: Claim, log: AttemptLog) -> Verdict:
        started = self._store.clock.now()
        try:
            before = tree.payload(self._fs, claim.input)
        except PermissionError as error:
            return unreadable(error)
        refused = self._refused(claim, before.entries)
        if refused is not None:
            return refused
        order = Order(
            dataset=claim.attempt.dataset,
            stage=self._store.passage.stage,
            number=claim.attempt.number,
            token=claim.attempt.token,
            input=claim.input,
            output=f"{claim.private}/{names.OUTPUT}",
            scratch=f"{claim.private}/{names.SCRATCH}",
            watch_seconds=self._vigil.watch_seconds,
        )
        outcome = self._work.run(order, self._vigil.watch, log.write)
        verdict = self._weigh(outcome, claim)
        if verdict.cause is None:
            return self._seal(claim, before, started)
        if verdict.cause in (Cause.FAILED, Cause.REJECTED):  # what it was read from may not have been whole
            return self._changed(claim, before) or verdict
        return verdict

    def _refused(self, claim: Claim, items: list[Entry]) -> Verdict | None:
        """Look at what arrived before any work is done on it."""
        if not items:
            wait_seconds = policy.doubled(policy.laters(claim.before) + 1, EMPTY_SECONDS)
            return Verdict(cause=Cause.LATER, why="the dataset is empty", after_seconds=wait_seconds)
        missing = tree.missing(self._terms.requires, items)
        if missing:
            return Verdict(cause=Cause.REJECTED, why=f"required files are missing: {' '.join(missing)}")
        return None

    def _weigh(self, outcome: Outcome, claim: Claim) -> Verdict:
        if not outcome.contained:
            why = f"its processes could not be stopped ({outcome.why})"
            return Verdict(cause=Cause.RELEASED, why=why, halt=True)
        match outcome.kind:
            case OutcomeKind.PUBLISH:
                return PUBLISH
            case OutcomeKind.FAIL:
                sick = self._probe(claim)
                return sick or Verdict(cause=Cause.FAILED, why=outcome.why, signature=outcome.signature)
            case OutcomeKind.REJECT:
                return Verdict(cause=Cause.REJECTED, why=outcome.why)
            case OutcomeKind.LATER:
                return Verdict(cause=Cause.LATER, why=outcome.why, after_seconds=outcome.after_seconds)
            case OutcomeKind.STORAGE:
                return storage_verdict(outcome.why)
            case OutcomeKind.STOPPED:
                return self._stopped(outcome.stop or Stop.DRAIN)
            case _:
                assert_never(outcome.kind)

    def _probe(self, claim: Claim) -> Verdict | None:
        """A failure beside a full or broken storage is the storage's, whatever the author's code said."""
        path = f"{claim.private}/.probe"
        try:
            self._fs.write_new(path, b"\0" * PROBE_BYTES)
            self._fs.unlink(path)
        except OSError as error:
            if error.errno in STORAGE_ERRORS:
                return storage_verdict(error.strerror or str(error))
        return None

    def _moved(self, claim: Claim) -> Verdict | None:
        """A dataset that was moved away under the author's hands is not to blame for what came of it.

        Moves are made by path: whoever carries out an earlier quarantine may be late, and a person may `mv`.
        """
        try:
            self._fs.mtime_ns(claim.input)
        except FileNotFoundError:
            return Verdict(cause=Cause.RELEASED, why="released: the dataset was moved while it was at work")
        except OSError:
            return None
        return None

    def _stopped(self, stop: Stop) -> Verdict:
        match stop:
            case Stop.REVOKED:
                raise RevokedError
            case Stop.DRAIN:
                return Verdict(cause=Cause.RELEASED, why="released: its poller was asked to stop")
            case Stop.DEADLINE:
                if self._vigil.had_full_time():
                    return Verdict(cause=Cause.FAILED, why="does not fit into the job's time limit")
                return Verdict(cause=Cause.RELEASED, why="released: the job's time limit was near")
            case _:
                assert_never(stop)

    def _seal(self, claim: Claim, before: tree.Payload, started: float) -> Verdict:
        """Check that the input stood still, then make the output publishable, its manifest included."""
        fs, terms, progress = self._fs, self._terms, self._vigil.progress
        self._clear_private(claim)
        out = f"{claim.private}/{names.OUTPUT}"
        outputs = tree.seal(fs, out, self._rule, progress)
        try:
            made_of = manifest.inputs(fs, claim.input, before, hashing=terms.hashing, progress=progress)
        except FileNotFoundError:  # a file went away since: that is no failure of the stage
            made_of = None
        changed = self._changed(claim, before)
        if changed is not None or made_of is None:
            return changed or input_changed("")
        content = manifest.render(
            claim.attempt,
            self._described,
            started=started,
            ended=self._store.clock.now(),
            made_of=made_of,
            bytes_in=tree.total_bytes(before.entries),
            outputs=outputs,
        )
        fs.write_new(f"{out}/{names.MANIFEST}", content, synced=self._rule.syncing)
        if self._rule.syncing:
            for path in (out, claim.private):
                fs.sync(path)
        return PUBLISH

    def _changed(self, claim: Claim, before: tree.Payload) -> Verdict | None:
        """People copy in place all the same: whoever reads half of it is not to blame (PROTOCOL 3, ARRIVE)."""
        after = tree.payload(self._fs, claim.input)
        return None if after == before else input_changed(tree.difference(before.entries, after.entries))

    def _clear_private(self, claim: Claim) -> None:
        """At the commit the attempt's place holds its output and plain files only (PROTOCOL 3)."""
        if self._fs.directories(claim.private) == 1:
            return
        expected = (names.OUTPUT, names.ATTEMPT)
        for name in self._fs.listdir(claim.private):
            if name not in expected:
                self._fs.remove_tree(f"{claim.private}/{name}")


def input_changed(where: str) -> Verdict:
    """The input moved under the attempt: the dataset waits, and no attempt is counted."""
    named = f" ({where})" if where else ""
    return Verdict(cause=Cause.LATER, why=f"input changed while it was read{named}: copy into _incoming, then rename")


def unreadable(error: PermissionError) -> Verdict:
    """Whoever may write beside the data and not read it is not to blame: the dataset waits for a person."""
    return Verdict(cause=Cause.LATER, why=f"no permission to read {error.filename}: chmod -R g+rX")


def storage_verdict(why: str) -> Verdict:
    """The storage failed: the dataset waits, longer each time, and no attempt is counted."""
    return Verdict(cause=Cause.LATER, why=f"the storage failed: {why}", halt=True)
