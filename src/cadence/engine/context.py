"""Context of one decision: prospect, policy and current time.

A :class:`DecisionContext` knows the work calendar of the prospect, moves an instant later by each
rule that forbids it, and gives a decision its form. It decides nothing by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cadence.domain.prospect import Prospect
from cadence.engine.decision import Task, TaskKind
from cadence.engine.invariants import DESIGN
from cadence.engine.reasons import LocalTime, Reason, ReasonKind, Sink
from cadence.errors import InputError
from cadence.policy.model import EXACT, PlannedTouch, Policy, Step
from cadence.policy.rules import Rule
from cadence.policy.touch import Touch, TouchPart
from cadence.worktime.calendar import WorkCalendar, work_calendar
from cadence.worktime.holidays import holidays_version
from cadence.worktime.hours import QUIET_FROM, QUIET_UNTIL, Hours, parse_hours
from cadence.worktime.suspensions import SuspendedTime
from cadence.worktime.zones import zones_version

__all__ = ["DecisionContext", "calendar_for", "data_versions", "escalation", "preferred_hours"]


def calendar_for(prospect: Prospect, policy: Policy) -> WorkCalendar:
    """Return the work calendar of ``prospect`` under ``policy``.

    Raises:
        InputError: its zone, country or subdivision is unknown.
    """
    everywhere = policy.calendar_everywhere
    if everywhere is not None:
        return everywhere
    identity = prospect.identity
    return work_calendar(policy.open_times, identity.zones, identity.country, identity.subdivision)


class DecisionContext:
    """One prospect, one policy, one now, and the work calendar that belongs to them.

    Attributes:
        explains: whether reasons are recorded. The walk is the same either way.
        suspended: the suspended time of the silence; ``None`` if there is none.
    """

    __slots__ = ("calendar", "explains", "now", "policy", "prospect", "suspended")

    def __init__(
        self, prospect: Prospect, policy: Policy, now: datetime, *, explains: bool = True
    ) -> None:
        self.prospect = prospect
        self.policy = policy
        self.now = now
        self.explains = explains
        self.calendar = calendar_for(prospect, policy)
        suspensions = prospect.silence.suspensions
        self.suspended: tuple[SuspendedTime, ...] | None = (
            self.calendar.suspended(suspensions) if suspensions else None
        )

    # What a decision is made of -------------------------------------------------------------------

    def sink(self) -> Sink:
        """Return a list to record reasons in, or ``None`` where they are not read."""
        return [] if self.explains else None

    def local(self, instant: datetime) -> LocalTime:
        """Return the instant as a reader should see it: on the prospect's clock."""
        return LocalTime(instant, self.prospect.identity.zones[0])

    def touch(self, planned: PlannedTouch, parts: tuple[TouchPart, ...]) -> Touch:
        """Return the touch; its id is the same on every machine."""
        silence = self.prospect.silence
        number = len(silence.attempts) + 1
        id_ = f"{self.prospect.id}:{silence.response.version}:{number}:{planned.name}"
        return Touch(id_, planned.stage, planned.name, parts)

    def attempts_made(self) -> tuple[int, ...]:
        """Return the versions of the attempts of the silence."""
        return tuple([attempt.version for attempt in self.prospect.silence.attempts])

    def suspended_by(self) -> tuple[int, ...]:
        """Return the versions of the events that suspended the silence."""
        return tuple([one.version for one in self.prospect.silence.suspensions])

    def task(
        self,
        kind: TaskKind,
        since: datetime,
        causes: Sink,
        skips: Sink = None,
        *,
        by: datetime | None = None,
        **facts: Any,
    ) -> Task:
        """Return a task with a deadline, which escalates once that has passed.

        Args:
            kind: what only the owner can do.
            since: when its cause became known; the policy's time for tasks runs from there.
            causes: why.
            skips: the touches of the plan that were skipped.
            by: the deadline, where something else sets it.
            facts: what the sentence of the task is made from.
        """
        days = self.policy.task_business_days
        deadline = by or self.calendar.after_business_days(since, days, self.suspended)
        is_overdue = self.now > deadline
        reasons: tuple[Reason, ...] = ()
        if causes is not None:
            late = (escalation(),) if is_overdue else ()
            reasons = (*causes, *late, data_versions(), *(skips or ()))
        return Task(
            prospect=self.prospect.id,
            stage=self.prospect.stage,
            policy=self.policy.ref,
            reasons=reasons,
            at=deadline,
            kind=kind,
            facts=facts,
            is_overdue=is_overdue,
        )

    # When a touch may be made ---------------------------------------------------------------------

    def hours(self) -> Hours | None:
        """Return the hours they prefer, in place of business hours, if those are ever open."""
        return preferred_hours(self.prospect)

    def next_open(self, instant: datetime, step: Step, delays: Sink) -> datetime | None:
        """Return the first instant from ``instant`` on at which ``step`` may be made.

        Args:
            instant: from when on.
            step: the appointment's own steps obey quiet hours, but not business hours.
            delays: gets a reason for each rule that moves it.

        Returns:
            ``None`` if there is no open time within 30 days of the end of the suspensions.
        """
        if step.stage not in EXACT:
            hours = None if self.prospect.reach.preferred_hours is None else self.hours()
            # Open hours lie within the waking ones, so most touches need one look.
            opened = self.calendar.next_open(instant, hours)
            if opened is not None and (opened == instant or delays is None):
                blocked = self.blocked_until(opened, pauses_since=None)
                if blocked == opened:
                    return opened  # pragma: no mutate (only saves time)
            return self._settle(instant, None, hours, delays, is_exact=False)
        # Both of the appointment's steps belong to it, also once the on-time attempt has kept it.
        appointment = self.prospect.appointment or self.prospect.kept_appointment
        agreed = None if appointment is None else appointment.set_at
        return self._settle(instant, agreed, None, delays, is_exact=True)

    def _settle(
        self,
        instant: datetime,
        agreed: datetime | None,
        hours: Hours | None,
        delays: Sink,
        *,
        is_exact: bool,
    ) -> datetime | None:
        """Move ``instant`` later until neither suspensions, quiet hours nor hours forbid it."""
        calendar = self.calendar
        moved = instant
        while True:
            start = moved
            later: datetime | None = self.blocked_until(moved, pauses_since=agreed)
            if later is not None and later != moved:
                if delays is not None:
                    delays.append(self._suspension(moved, later))
                moved = later
            later = calendar.next_waking(moved)
            if later is None:
                return None
            if later != moved:
                if delays is not None:
                    delays.append(self._quiet(moved, later))
                moved = later
            if not is_exact:
                later = calendar.next_open(moved, hours)
                if later is None:
                    return None
                if later != moved:
                    if delays is not None:
                        delays.append(self._closed(moved, later))
                    moved = later
            if moved == start:
                return moved

    def blocked_until(self, instant: datetime, *, pauses_since: datetime | None) -> datetime:
        """Return ``instant``, or the end of the suspension that it falls in.

        Args:
            instant: when.
            pauses_since: for an appointment's own steps, when it was agreed: a suspension that
                began before that does not touch it.
        """
        if self.suspended is None:
            return instant
        counted: tuple[SuspendedTime, ...] | None = self.suspended
        if pauses_since is not None:
            every = self.prospect.silence.suspensions
            later = tuple(s for s in every if s.start > pauses_since)
            if len(later) < len(every):
                counted = self.calendar.suspended(later)
        moved = instant
        for suspended in counted or ():
            for start, end in suspended.spans:
                if start <= moved < end:
                    moved = end
        return moved

    def _suspension(self, before: datetime, after: datetime) -> Reason:
        facts = {"until": self.local(after), "added": after - before}
        return Reason(
            Rule.SUSPENDED,
            "suspended",
            self.suspended_by(),
            kind=ReasonKind.DELAY,
            until=after,
            facts=facts,
        )

    def _quiet(self, before: datetime, after: datetime) -> Reason:
        facts = {"until": self.local(after), "added": after - before}
        return Reason(
            Rule.QUIET_HOURS, "quiet_hours", kind=ReasonKind.DELAY, until=after, facts=facts
        )

    def _closed(self, before: datetime, after: datetime) -> Reason:
        reach, calendar = self.prospect.reach, self.calendar
        prefers = self.hours() is not None
        start = before - timedelta(days=1)
        off = sorted({*calendar.days_off(start, after), *calendar.short_days(start, after)})
        return Reason(
            Rule.BUSINESS_HOURS,
            "outside_hours",
            (reach.preference_version,) if prefers else (),
            self.policy.source,
            ReasonKind.DELAY,
            after,
            facts={
                "preferred": reach.preferred_hours if prefers else None,
                "days_off": tuple(off),
                "added": after - before,
                "until": self.local(after),
            },
        )


def preferred_hours(prospect: Prospect) -> Hours | None:
    """Return the hours that ``prospect`` prefers, as far as they are waking hours."""
    preferred = prospect.reach.preferred_hours
    return None if preferred is None else _waking_part(preferred)


@lru_cache(maxsize=256)
def _waking_part(text: str) -> Hours | None:
    """The part of preferred hours that lies outside the quiet hours; ``None`` if there is none."""
    try:
        start, end = parse_hours(text)
    except InputError:
        return None  # a history may say anything; business hours are the safe reading
    start, end = max(start, QUIET_UNTIL), min(end, QUIET_FROM)
    return (start, end) if start < end else None


@lru_cache(maxsize=1)
def data_versions() -> Reason:
    """Return the reason that names the versions of the data every decision depends on."""
    facts = {"holidays": holidays_version(), "zones": zones_version()}
    return Reason(Rule.DETERMINISTIC, "data_versions", facts=facts)


@lru_cache(maxsize=1)
def escalation() -> Reason:
    """Return the reason that a task's deadline has passed."""
    return Reason(Rule.FORGOTTEN, "escalate", source=DESIGN)
