"""Context of one decision: prospect, policy and current time.

A :class:`DecisionContext` knows the work calendar of the prospect, moves an instant later by each
rule that forbids it, and puts decisions together. It decides nothing by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from cadence.domain.events import EndReason
from cadence.domain.prospect import Prospect
from cadence.engine.decision import Decision, Reason, Said, Verdict
from cadence.engine.invariants import DESIGN
from cadence.errors import InputError
from cadence.policy.model import EXACT, Policy, Step
from cadence.policy.rules import Rule
from cadence.policy.touch import Touch
from cadence.worktime.calendar import (
    QUIET_FROM,
    QUIET_UNTIL,
    Hours,
    SuspendedTime,
    WorkCalendar,
    parse_hours,
    work_calendar,
)
from cadence.worktime.holidays import holidays_version
from cadence.worktime.zones import zones_version

__all__ = [
    "ESCALATE",
    "MINUTE",
    "DaysOff",
    "DecisionContext",
    "Delay",
    "Shown",
    "Span",
    "calendar_for",
    "data_versions",
    "decided",
    "preferred_hours",
    "span",
]

MINUTE: Final = timedelta(minutes=1)
_REMEMBERED: Final = 10_000  # places
ESCALATE: Final = "the deadline has passed: escalate it"


def calendar_for(prospect: Prospect, policy: Policy) -> WorkCalendar:
    """The business time of ``prospect`` under the calendar of ``policy``.

    Raises:
        InputError: its zone, country or subdivision is not known.
    """
    # Beside the memory of business_time itself: comparing whole weeks takes longer than this.
    place = prospect.zones, prospect.country, prospect.subdivision
    known = policy.work_calendars
    found = known.get(place)
    if found is None:
        zones, country, subdivision = place
        found = work_calendar(
            zones, policy.week, country, subdivision, policy.closed, policy.holidays_of
        )
        if len(known) >= _REMEMBERED:
            known.clear()
        known[place] = found
    return found


class Shown(msgspec.Struct, frozen=True):
    """An instant on the prospect's clock, put into words when it is read."""

    instant: datetime
    time: WorkCalendar

    def __str__(self) -> str:
        local = self.time.local(self.instant)
        return f"{_WEEKDAYS[local.weekday()]} {str(local)[:16]}"


class DaysOff(msgspec.Struct, frozen=True):
    """The days off between two instants, put into words when they are read."""

    start: datetime
    end: datetime
    time: WorkCalendar

    def __str__(self) -> str:
        off = self.time.days_off(self.start, self.end)
        names = ", ".join(f"{name} ({day})" for day, name in off)
        return f", not counting {names}" if names else ""


class Closed(DaysOff, frozen=True):
    """The same, where only their names matter."""

    def __str__(self) -> str:
        names = [name for _, name in self.time.days_off(self.start, self.end)]
        return f" ({', '.join(names)})" if names else ""


class Span(msgspec.Struct, frozen=True):
    """A duration, put into words when it is read: ``2 d 3 h``, ``15 min``."""

    delta: timedelta

    def __str__(self) -> str:
        return span(self.delta)


class Delay(msgspec.Struct, frozen=True):
    """One rule that moved a touch later."""

    rule: str
    until: datetime
    because: str | Said
    events: tuple[int, ...]
    source: str


class DecisionContext:
    """One prospect, one policy, one now, and the business time that belongs to them."""

    __slots__ = ("now", "policy", "prospect", "suspended", "time")

    def __init__(self, prospect: Prospect, policy: Policy, now: datetime) -> None:
        self.prospect = prospect
        self.policy = policy
        self.now = now
        self.time = calendar_for(prospect, policy)
        suspensions = prospect.silence.suspensions
        self.suspended: tuple[SuspendedTime, ...] | None = (
            self.time.suspended(suspensions) if suspensions else None
        )

    def show(self, instant: datetime) -> Shown:
        """The instant on the prospect's clock, for a reader."""
        return Shown(instant, self.time)

    def task(
        self,
        what: str,
        since: datetime,
        reason: Reason,
        *further: Reason,
        by: datetime | None = None,
    ) -> Decision:
        """A task with a deadline, which escalates once that has passed.

        Args:
            what: what only the owner can do.
            since: when its cause became known; the policy's time for tasks runs from there.
            reason: why.
            further: what else there is to say.
            by: the deadline, where something else sets it.
        """
        days = self.policy.task_business_days
        deadline = by or self.time.after_business_days(since, days, self.suspended)
        reasons: tuple[Reason, ...] = (reason, *further)
        if self.now > deadline:
            reasons = (*reasons, Reason(Rule.FORGOTTEN, ESCALATE, (), DESIGN))
        return decided(self.prospect, self.policy, Verdict.TASK, deadline, reasons, task=what)

    def blocked_until(self, instant: datetime, *, pauses_since: datetime | None) -> datetime:
        """``instant``, or the end of the suspension that it falls in.

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
                counted = self.time.suspended(later)
        moved = instant
        for suspended in counted or ():
            for start, end in suspended.spans:
                if start <= moved < end:
                    moved = end
        return moved

    def hours(self) -> Hours | None:
        """The hours they prefer, in place of business hours, if those are ever open."""
        return preferred_hours(self.prospect)

    def next_open(self, instant: datetime, delays: list[Delay], step: Step) -> datetime | None:
        """The first instant from ``instant`` on at which ``step`` may be made.

        Args:
            instant: from when on.
            delays: gets an entry for each rule that moves it.
            step: the appointment's own steps obey quiet hours, but not business hours.

        Returns:
            ``None`` if there is no open time within 30 days of the end of the suspensions.
        """
        exact = step.stage in EXACT
        # Both of the appointment's steps belong to it, also once the on-time attempt has kept it.
        appointment = self.prospect.appointment or self.prospect.kept
        agreed = appointment.set_at if exact and appointment is not None else None
        hours = None if exact else self.hours()
        # Open hours lie within the waking ones, so most touches need one look.
        if not exact and self.suspended is None and self.time.next_open(instant, hours) == instant:
            return instant  # pragma: no mutate (only saves time)
        moved = instant
        while True:
            start = moved
            back = self.blocked_until(moved, pauses_since=agreed)
            if back != moved:
                delays.append(self._suspension(moved, back))
                moved = back
            later = self.time.next_waking(moved)
            if later is None:
                return None
            if later != moved:
                because = Said(
                    "quiet hours, 21:00 to 08:00 local: +{} to {}", self._added(moved, later)
                )
                delays.append(Delay(Rule.QUIET_HOURS, later, because, (), DESIGN))
                moved = later
            if not exact:
                later = self.time.next_open(moved, hours)
                if later is None:
                    return None
                if later != moved:
                    delays.append(self._closed(moved, later))
                    moved = later
            if moved == start:
                return moved

    def _added(self, before: datetime, after: datetime) -> tuple[Span, Shown]:
        return Span(after - before), self.show(after)

    def _suspension(self, before: datetime, after: datetime) -> Delay:
        events = tuple(s.version for s in self.prospect.silence.suspensions)
        because = Said("suspended until {}: +{}", (self.show(after), Span(after - before)))
        return Delay(Rule.SUSPENDED, after, because, events, DESIGN)

    def _closed(self, before: datetime, after: datetime) -> Delay:
        events: tuple[int, ...] = ()
        what = "business hours"
        if self.hours() is not None:
            what = f"the hours they prefer, {self.prospect.preferred_hours}"
            events = (self.prospect.preference_version,)
        off = Closed(before - timedelta(days=1), after, self.time)
        because = Said("outside {}{}: +{} to {}", (what, off, *self._added(before, after)))
        return Delay(Rule.BUSINESS_HOURS, after, because, events, self.policy.source)


_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def preferred_hours(prospect: Prospect) -> Hours | None:
    """The hours that ``prospect`` prefers, as far as they are waking hours."""
    preferred = prospect.preferred_hours
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


def span(delta: timedelta) -> str:
    """A duration for a reader: ``2 d 3 h``, ``15 min``."""
    minutes = -(-delta // MINUTE)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{n} {u}" for n, u in ((days, "d"), (hours, "h"), (minutes, "min")) if n]
    return " ".join(parts) or "0 min"


@lru_cache(maxsize=1)
def data_versions() -> Reason:
    """The reason that names the versions of the data every decision depends on."""
    because = f"same events, policy and now give this decision under {holidays_version()}"
    return Reason(Rule.DETERMINISTIC, f"{because} and {zones_version()}", (), DESIGN)


def decided(
    prospect: Prospect,
    policy: Policy,
    verdict: Verdict,
    at: datetime | None,
    reasons: tuple[Reason, ...],
    *,
    touch: Touch | None = None,
    task: str | None = None,
    end: EndReason | None = None,
) -> Decision:
    """A decision for ``prospect``, naming the data versions where it has a time."""
    if at is not None:
        reasons = (*reasons, data_versions())
    return Decision(prospect.id, prospect.stage, verdict, at, touch, task, reasons, policy.ref, end)
