"""A prospect under another policy, which does what is due when it is due.

The loop, with nobody answering: what the policy proposes is made at its time and folded. Recorded
facts are put in between by whoever compares (``whatif.py``).

Most silences take a plain course (``engine/course.py``): its touches are known without asking
``next_touch`` for each. They are folded only when somebody asks for the state after them, and the
close behind the polite exit is decided only when something was recorded after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Final

from cadence.domain.events import (
    DELIVERED,
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
    ProspectAdded,
)
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect, Response
from cadence.domain.stages import OUTREACH, Stage
from cadence.engine.commands import complete_attempt
from cadence.engine.context import calendar_for
from cadence.engine.course import Made, course
from cadence.engine.decision import Decision, Verdict
from cadence.engine.next_touch import next_touch
from cadence.errors import InputError
from cadence.policy.model import Policy
from cadence.policy.touch import TouchPart
from cadence.worktime.zones import zone

__all__ = ["OtherPolicy"]

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_ATTEMPT_AT: Final = {stage: AttemptStage(stage.value) for stage in OUTREACH}
_UNANSWERED: Final = {
    channel: Disposition.NO_ANSWER if channel is Channel.CALL else Disposition.SENT
    for channel in Channel
}
_MOST: Final = 10_000  # touches of one silence; every policy ends long before


class OtherPolicy:
    """The prospect under the other policy, which does what is due when it is due.

    Attributes:
        made: when attempts of the running silence were made; the caller takes out those of a
            silence that is over.
    """

    def __init__(self, policy: Policy, first: Event) -> None:
        self.policy = policy
        self.made: list[datetime] = []
        self._id = first.prospect
        self._now = first.recorded_at
        self._version = 0
        self._prospect: Prospect | None = None
        self._new: list[Event] = []
        self._decided: Decision | None = None
        self._added = False  # that, and nothing else
        # The course that the silence takes; what of it was made, still to be folded; what comes.
        self._course: Iterator[Made] | None = None
        self._walked: list[Made] = []
        self._ahead: Made | None = None
        # The way out was left: until when nothing but the answer and the close was to come.
        self._left: datetime | None = None

    # What is asked of it ------------------------------------------------------------------------

    def since(self) -> datetime:
        """When the running silence began."""
        return self._facts().silence.since

    def response(self) -> Response:
        """The last contact."""
        return self._facts().response

    def clock(self) -> tzinfo:
        """Their clock, on which a day is counted."""
        try:
            return zone(self._facts().zones[0])
        except InputError:
            return zone("UTC")

    def is_task(self) -> bool:
        """Whether the policy leaves it to the owner now."""
        if self._left is not None or self._ahead is not None:
            return False
        return self._decision().verdict is Verdict.TASK

    def next_attempt(self) -> datetime | None:
        """When the policy makes its next attempt; ``None``: it waits, or makes none."""
        if self._left is not None:
            return None
        if self._ahead is not None:
            return self._ahead.at
        decision = self._decision()
        return None if decision.touch is None else decision.at

    # What happens to it -------------------------------------------------------------------------

    def take(self, event: Event, data: Data | None = None) -> None:
        """A recorded fact, as it was."""
        self._added = self._version == 0 and isinstance(event.data, ProspectAdded)
        self._catch_up()
        self._append(event.occurred_at, event.recorded_at, event.data if data is None else data)

    def owner_tried(self, event: Event, data: AttemptMade) -> None:
        """An owner's own attempt, where the policy left it to them: it stays."""
        self._catch_up()
        at = event.occurred_at
        self.take(event, complete_attempt(self._facts(), AttemptMade(data.parts), self.policy, at))
        self.made.append(at)

    def advance(self, until: datetime | None, attempts: int = _MOST) -> None:
        """Do what is due up to an instant, or (``None``) to the end; or so many attempts."""
        if self._added:
            self._now = self._now if until is None else max(self._now, until)
            return  # nothing follows from that alone
        if self._left is None:
            self._walk(until, attempts)
        if self._left is not None:
            if until is not None and until > self._left:
                self._left = until
        elif self._ahead is None and self._facts().stage is not Stage.NEW:
            self._decide(until, attempts)
        elif until is not None and until > self._now:
            self._now = until

    def follow(self, until: datetime) -> datetime | None:
        """Make what comes of the plain course up to ``until``, and nothing else.

        Returns:
            With which touch the course was over, before anything but :meth:`advance` said what
            comes next; ``None`` while it goes on, or the way out was its last.
        """
        if self._left is None:
            self._walk(until, _MOST)
        if self._left is not None or self._ahead is not None:
            return None
        return self._walked[-1].at if self._walked else _LONG_AGO

    # The plain course ---------------------------------------------------------------------------

    def _walk(self, until: datetime | None, attempts: int) -> None:
        """Make what comes of the course."""
        if self._course is None:
            self._course = course(self._facts(), self.policy, self._now)
            self._ahead = next(self._course, None)
        made, walked, coming = self.made, self._walked, self._course
        found = last = self._ahead
        room = attempts - len(made)
        while found is not None and room > 0:
            at = found.at
            if until is not None and at > until:
                break
            walked.append(found)
            made.append(at)
            room -= 1
            last, found = found, next(coming, None)
        if last is not None and found is not last:
            self._now = last.at
            if last.point.stage is Stage.POLITE_EXIT and _delivered(last.parts):
                self._left = last.at
        self._ahead = found

    def _fold_walked(self) -> None:
        """What was walked becomes part of the history."""
        walked, self._walked = self._walked, []
        for one in walked:
            attempt = _attempt(one.point.stage, one.point.name, one.parts, one.gap)
            self._append(one.at, one.at, attempt)

    def _catch_up(self) -> None:
        """Leave the course, and decide what came after the way out was left."""
        if self._course is None:
            return
        self._fold_walked()
        self._course = self._ahead = None
        if self._left is not None:
            until, self._left = self._left, None
            self._decide(until, _MOST)

    # The loop -----------------------------------------------------------------------------------

    def _decide(self, until: datetime | None, attempts: int) -> None:
        """Do what is due, asking the policy each time."""
        self._fold_walked()
        while until is None or self._now <= until:
            decision = self._decision()
            at = decision.at
            if len(self.made) >= attempts or decision.verdict is Verdict.TASK or at is None:
                break
            if until is not None and at > until:
                break
            self._now = max(self._now, at)
            if decision.touch is not None:
                touch = decision.touch
                attempt = _attempt(touch.stage, touch.step, touch.parts, self._gap())
                self._append(self._now, self._now, attempt)
                self.made.append(self._now)
            elif decision.verdict is Verdict.CLOSE:
                self._append(self._now, self._now, FollowUpEnded(EndReason.NO_RESPONSE))
            else:
                self._decided = None  # the answer time is over: look again
        if until is not None and until > self._now:
            self._now = until
            if self._decided is not None and self._decided.verdict is Verdict.TASK:
                self._decided = None  # a task may turn into something else

    def _decision(self) -> Decision:
        if self._decided is None:
            self._decided = next_touch(self._facts(), self.policy, self._now)
        return self._decided

    def _gap(self) -> Gap | None:
        prospect = self._facts()
        attempts = prospect.silence.attempts
        if not attempts:
            return None
        time = calendar_for(prospect, self.policy)
        suspended = time.suspended(prospect.silence.suspensions)
        return time.gap(attempts[-1].at, self._now, suspended)

    # Its history --------------------------------------------------------------------------------

    def _facts(self) -> Prospect:
        """The fold of all but what was walked since."""
        if self._new:
            self._prospect = fold(self._prospect, self._new)
            self._new = []
        assert self._prospect is not None  # the first event is taken before anybody asks
        return self._prospect

    def _append(self, occurred: datetime, recorded: datetime, data: Data) -> None:
        self._version += 1
        self._new.append(Event(self._id, self._version, occurred, recorded, data))
        self._decided = None


def _attempt(stage: Stage, step: str, touch: tuple[TouchPart, ...], gap: Gap | None) -> AttemptMade:
    """An attempt that nobody answered."""
    parts = tuple([Part(one.channel, _UNANSWERED[one.channel], one.address) for one in touch])
    return AttemptMade(parts, _ATTEMPT_AT[stage], step, gap=gap)


def _delivered(parts: tuple[TouchPart, ...]) -> bool:
    return any(_UNANSWERED[part.channel] in DELIVERED for part in parts)
