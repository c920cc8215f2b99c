"""A prospect under another policy, which makes each touch when it is due, and is not answered.

The decisions are the engine's own: what the policy proposes is made at its time and folded.
``whatif.py`` puts the recorded facts in between.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final

from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    Data,
    Disposition,
    EndReason,
    Event,
    FollowUpEnded,
    Gap,
    Part,
)
from cadence.domain.fold import evolve
from cadence.domain.prospect import Response
from cadence.domain.stages import OUTREACH
from cadence.engine.commands import complete_attempt
from cadence.engine.context import calendar_for
from cadence.engine.decision import Close, Decision, Task
from cadence.engine.next_touch import what_is_planned
from cadence.errors import InputError
from cadence.policy.model import Policy
from cadence.policy.touch import Touch, TouchPart
from cadence.worktime.zones import zone

__all__ = ["OtherPolicy"]

_ATTEMPT_AT: Final = {stage: AttemptStage(stage.value) for stage in OUTREACH}
_MOST: Final = 10_000  # touches of one silence; every policy ends long before


class OtherPolicy:
    """The prospect under the other policy.

    Attributes:
        made: when attempts of the running silence were made; the caller takes out those of a
            silence that is over.
    """

    def __init__(self, policy: Policy, first: Event) -> None:
        """Begin with the first recorded event.

        Args:
            policy: the other policy.
            first: what the history begins with.
        """
        self.policy = policy
        self.made: list[datetime] = []
        self._now = first.recorded_at
        self._prospect = evolve(None, first)
        self._decided: Decision | None = None

    # What is asked of it --------------------------------------------------------------------------

    @property
    def since(self) -> datetime:
        """When the running silence began."""
        return self._prospect.silence.since

    @property
    def response(self) -> Response:
        """The last response."""
        return self._prospect.response

    def clock(self) -> tzinfo:
        """Return their clock, on which a day is counted."""
        try:
            return zone(self._prospect.identity.zones[0])
        except InputError:
            return zone("UTC")

    def is_task(self) -> bool:
        """Return whether the policy leaves it to the owner now."""
        return isinstance(self._decision(), Task)

    def next_attempt(self) -> datetime | None:
        """Return when the policy makes its next attempt; ``None``: it waits, or makes none."""
        decision = self._decision()
        return None if decision.touch is None else decision.at

    # What happens to it ---------------------------------------------------------------------------

    def take(self, event: Event, data: Data | None = None) -> None:
        """Take a recorded fact as it was, or as ``data`` in its place."""
        data = event.data if data is None else data
        self._append(event.occurred_at, event.recorded_at, data)

    def owner_tried(self, event: Event, data: AttemptMade) -> None:
        """Take an owner's own attempt, where the policy left it to them: it stays."""
        at = event.occurred_at
        self.take(event, complete_attempt(self._prospect, AttemptMade(data.parts), self.policy, at))
        self.made.append(at)

    def advance(self, until: datetime | None, attempts: int = _MOST) -> None:
        """Do what is due up to an instant, or (``None``) to the end; or so many attempts."""
        while until is None or self._now <= until:
            decision = self._decision()
            at = decision.at
            if at is None or isinstance(decision, Task) or len(self.made) >= attempts:
                break
            if until is not None and at > until:
                break
            self._now = max(self._now, at)
            if decision.touch is not None:
                self._make(decision.touch)
            elif isinstance(decision, Close):
                self._append(self._now, self._now, FollowUpEnded(EndReason.NO_RESPONSE))
            else:
                self._decided = None  # the answer time is over: look again
        if until is not None and until > self._now:
            self._now = until
            if isinstance(self._decided, Task):
                self._decided = None  # a task may turn into something else

    # The loop -------------------------------------------------------------------------------------

    def _decision(self) -> Decision:
        if self._decided is None:
            self._decided = what_is_planned(self._prospect, self.policy, self._now)
        return self._decided

    def _make(self, touch: Touch) -> None:
        """Make a touch that is not answered."""
        parts = tuple([self._unanswered(part) for part in touch.parts])
        attempt = AttemptMade(parts, _ATTEMPT_AT[touch.stage], touch.step, gap=self._gap())
        self._append(self._now, self._now, attempt)
        self.made.append(self._now)

    def _unanswered(self, part: TouchPart) -> Part:
        is_call = part.channel in self.policy.spoken
        how = Disposition.NO_ANSWER if is_call else Disposition.SENT
        return Part(part.channel, how, part.address, part.key or None, is_call)

    def _gap(self) -> Gap | None:
        silence = self._prospect.silence
        if not silence.attempts:
            return None
        calendar = calendar_for(self._prospect, self.policy)
        suspended = calendar.suspended(silence.suspensions) if silence.suspensions else None
        return calendar.gap(silence.attempts[-1].at, self._now, suspended)

    def _append(self, occurred: datetime, recorded: datetime, data: Data) -> None:
        prospect = self._prospect
        event = Event(prospect.id, prospect.version + 1, occurred, recorded, data)
        self._prospect = evolve(prospect, event)
        self._decided = None
