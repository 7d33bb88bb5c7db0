"""Stores, registers and settlements with one rule of PROTOCOL 3 broken, each in the least code that breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stages.engine import names, policy
from stages.engine.errors import NoAnswerError
from stages.engine.policy import Cause
from stages.engine.records import Ended
from stages.engine.registers import Registers
from stages.engine.settlement import Settled, Settlement
from stages.engine.store import Claim, Loss, Refusal, Store


class TakesItsOwnForAnothers(Registers):
    """CLAIM 2: EEXIST is a loss, whatever stands there."""

    def put(self, name: str, value: str, at: int | None = None) -> str | None:
        try:
            self._fs.symlink(value, name, at)
        except FileExistsError:
            found = super().put(name, value, at)
            return f"{found}, somebody else's" if "taken." in name else found
        except FileNotFoundError:
            return None
        return value


class WaitsForNoMarker(Store):
    """ARRIVE b: a dataset counts once its ready marker is there."""

    def _is_ready(self, path: str) -> bool:
        return True


class TakesAnErrorForAFence(Store):
    """COMPLETE 3: an error at the commit is no answer."""

    def commit(self, claim: Claim) -> Settled | None:
        try:
            return super().commit(claim)
        except NoAnswerError:
            self.fs.remove_tree(claim.private)
            return None


class TakesNothingForAFence(Store):
    """COMPLETE 3: only a value that was read is a fence."""

    def commit(self, claim: Claim) -> Settled | None:
        settled = super().commit(claim)
        if settled is None:
            self.fs.remove_tree(claim.private)
        return settled


class IsNotFenced(Store):
    """COMPLETE 3: another value read there fences."""

    def commit(self, claim: Claim) -> Settled | None:
        value = policy.published(claim.attempt.token, claim.before).value
        self.registers.put(names.ended(claim.tag, claim.attempt.number), value, claim.handle)
        return self.settlement.roll_forward(claim.handle, claim.attempt)


class OpensAnew(Store):
    """CLAIM 4: the handle is kept open to the end of the attempt."""

    def commit(self, claim: Claim) -> Settled | None:
        try:
            handle = self.fs.opendir(claim.input)
        except OSError:
            return None
        try:
            return super().commit(replace(claim, handle=handle))
        finally:
            self.fs.close(handle)


class SettlesWhatItWanted(Store):
    """SETTLE: what is carried out is read from the register."""

    def decide(
        self,
        handle: int,
        attempt: names.Attempt,
        *,
        before: Ended,
        cause: Cause,
        why: str,
        after_seconds: float | None = None,
    ) -> Ended | None:
        rule, now = self.terms.retry, self.clock.now()
        end = policy.end_of(cause, why, number=attempt.number, before=before, rule=rule, now=now)
        tag = names.tag(self.passage.stage, attempt.dataset)
        self.registers.put(names.ended(tag, attempt.number), end.value, handle)
        self.fs.remove_tree(self.passage.reads.attempt(attempt))
        return end


class CleansUpFirst(Store):
    """FAIL: the end is decided before anything is removed."""

    def decide(
        self,
        handle: int,
        attempt: names.Attempt,
        *,
        before: Ended,
        cause: Cause,
        why: str,
        after_seconds: float | None = None,
    ) -> Ended | None:
        self.fs.remove_tree(self.passage.reads.attempt(attempt))
        return super().decide(handle, attempt, before=before, cause=cause, why=why, after_seconds=after_seconds)


class ForgetsFailures(Store):
    """FAIL: failures add up."""

    def decide(
        self,
        handle: int,
        attempt: names.Attempt,
        *,
        before: Ended,
        cause: Cause,
        why: str,
        after_seconds: float | None = None,
    ) -> Ended | None:
        before = policy.NOTHING_SPENT
        return super().decide(handle, attempt, before=before, cause=cause, why=why, after_seconds=after_seconds)


def charging(causes: Mapping[Cause, Cause]) -> type[Store]:
    """RELEASE, LATER, LOST: a cause that costs nothing, or something else, is charged as another."""

    class Charging(Store):
        def decide(
            self,
            handle: int,
            attempt: names.Attempt,
            *,
            before: Ended,
            cause: Cause,
            why: str,
            after_seconds: float | None = None,
        ) -> Ended | None:
            cause = causes.get(cause, cause)
            return super().decide(handle, attempt, before=before, cause=cause, why=why, after_seconds=after_seconds)

    return Charging


class RingsNot(Store):
    """BELL: an end that is no publication is rung for."""

    def ring(self, handle: int) -> None:
        return


class LeavesHiddenWhatRefusedIt(Store):
    """BELL: who is refused by a marker that its listing does not show touches the directory."""

    def _refused_unseen(self, handle: int) -> Loss:
        return Loss(refusal=Refusal.IN_FLIGHT)


class FailsOnItsOwnDirectory(Store):
    """ERRORS: an own mkdir that says EEXIST is a lost reply."""

    def _make(self, path: str) -> None:
        self.fs.mkdir(path)


class TakesOneLookForAProof(Settlement):
    """Roll forward b and c: ENOENT of the output proves nothing."""

    def _publish(self, private: str, dataset: str) -> bool | None:
        try:
            self._fs.rename(f"{private}/{names.OUTPUT}", self._at.writes.dataset(dataset))
        except FileNotFoundError:
            return False
        return True

    def _remove_emptied(self, private: str) -> bool:
        return True


class AsksNotTheServer(Settlement):
    """Roll forward b: an exclusive create comes before the second look."""

    def _mkdir(self, path: str) -> None:
        return


class TakesTwoLooksForAProof(Settlement):
    """Roll forward c: ENOENT of the output proves nothing, after the mkdir neither."""

    def _remove_emptied(self, private: str) -> bool:
        super()._remove_emptied(private)
        return True


class RemovesWithAllBelow(Settlement):
    """Roll forward c: after a commit nobody removes what lies deeper."""

    def _remove_emptied(self, private: str) -> bool:
        return self._fs.remove_tree(private)


class ArchivesFirst(Settlement):
    """Roll forward d: a dataset is archived after it was published."""

    def roll_forward(self, handle: int, attempt: names.Attempt) -> Settled:
        self._archive(attempt)
        return super().roll_forward(handle, attempt)


class ArchivesWhatIsBlocked(Settlement):
    """Roll forward: what something stands in the way of is not archived."""

    def _publish(self, private: str, dataset: str) -> bool | None:
        return super()._publish(private, dataset) is not False
