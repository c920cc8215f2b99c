"""A prospect under another policy, which does what is due when it is due.

The loop, with nobody answering: ``next_touch`` decides, and what it proposes is made at its time
and folded. Recorded facts are put in between by whoever compares (``whatif.py``).
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final

import msgspec

from cadence.core.events import (
    AttemptMade,
    AttemptStage,
    Channel,
    Data,
    Disposition,
    EndReason,
    Event,
    FollowUpEnded,
    Gap,
    Part,
)
from cadence.core.evolve import fold
from cadence.core.prospect import Prospect
from cadence.errors import InputError
from cadence.policy.case import time_for
from cadence.policy.decide import complete_attempt
from cadence.policy.decision import Decision, Touch, Verdict
from cadence.policy.model import Policy
from cadence.policy.next_touch import next_touch
from cadence.policy.zones import zone

__all__ = ["Next", "OtherPolicy"]

_MOST: Final = 10_000  # touches of one silence; every policy ends long before


class Next(msgspec.Struct, frozen=True):
    """What comes next, as far as a comparison asks."""

    verdict: Verdict
    at: datetime | None
    touch: Touch | None

    @property
    def is_task(self) -> bool:
        """Whether it is for the owner to decide."""
        return self.verdict is Verdict.TASK


class OtherPolicy:
    """The prospect under the other policy, which does what is due when it is due."""

    def __init__(self, policy: Policy, first: Event) -> None:
        self.policy = policy
        self.id = first.prospect
        self.now = first.recorded_at
        self.prospect: Prospect | None = None
        self.version = 0
        self.made: list[datetime] = []
        self._new: list[Event] = []
        self._next: Next | None = None

    def state(self) -> Prospect:
        """The fold so far."""
        if self._new:
            self.prospect = fold(self.prospect, self._new)
            self._new = []
        assert self.prospect is not None  # the first event is taken before anybody asks
        return self.prospect

    def clock(self) -> tzinfo:
        """Their clock, on which a day is counted."""
        try:
            return zone(self.state().zones[0])
        except InputError:
            return zone("UTC")

    def take(self, event: Event, data: Data | None = None) -> None:
        """A recorded fact, as it was."""
        self.version += 1
        self._new.append(
            Event(
                self.id,
                self.version,
                event.occurred_at,
                event.recorded_at,
                event.data if data is None else data,
            )
        )
        self._next = None

    def decision(self) -> Next:
        """What the policy says now."""
        found = self._next
        if found is None:
            decision: Decision = next_touch(self.state(), self.policy, self.now)
            found = self._next = Next(decision.decision, decision.at, decision.touch)
        return found

    def advance(self, until: datetime | None, attempts: int = _MOST) -> None:
        """Do what is due up to an instant, or (``None``) to the end; or so many attempts."""
        while until is None or self.now <= until:
            found = self.decision()
            at = found.at
            if len(self.made) >= attempts or found.is_task or at is None:
                break
            if until is not None and at > until:
                break
            self.now = max(self.now, at)
            if found.touch is not None:
                self._make(found.touch)
            elif found.verdict is Verdict.CLOSE:
                self._record(FollowUpEnded(EndReason.NO_RESPONSE))
            else:
                self._next = None  # the answer time is over: look again
        if until is not None and until > self.now:
            self.now = until
            if self._next is not None and self._next.is_task:
                self._next = None  # a task may turn into something else

    def _make(self, touch: Touch) -> None:
        parts = tuple(
            Part(
                part.channel,
                Disposition.NO_ANSWER if part.channel is Channel.CALL else Disposition.SENT,
                part.address,
            )
            for part in touch.parts
        )
        stage = AttemptStage(touch.stage.value)
        self._record(AttemptMade(parts, stage, touch.step, touch.id, self._gap()))
        self.made.append(self.now)

    def _gap(self) -> Gap | None:
        prospect = self.state()
        attempts = prospect.silence.attempts
        if not attempts:
            return None
        time = time_for(prospect, self.policy)
        suspended = time.suspended(prospect.silence.suspensions)
        return time.gap(attempts[-1].at, self.now, suspended)

    def owner_tried(self, event: Event, data: AttemptMade) -> None:
        """An owner's own attempt, where the policy left it to them: it stays."""
        at = event.occurred_at
        bare = AttemptMade(data.parts)
        self.take(event, complete_attempt(self.state(), bare, self.policy, at))
        self.made.append(at)

    def _record(self, data: Data) -> None:
        self.version += 1
        self._new.append(Event(self.id, self.version, self.now, self.now, data))
        self._next = None
