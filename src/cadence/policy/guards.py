"""Define the guards of a policy: rules that may delay or veto a touch.

A guard is data in the policy file, one struct for each kind. Asked about a touch at a time, it
answers :class:`GuardDelay`, :class:`Veto`, or nothing. The engine takes the later time and asks
every guard again, until none objects. So a guard can never bring a touch forward.

A team's own guard is a Python function of the same form. The file names it (``kind = "custom"``),
and ``policy/guard_runner.py`` calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Final, Literal

import msgspec

from cadence.domain.events import Intent, Part
from cadence.domain.plurals import plural
from cadence.domain.prospect import RECENT_DAYS, Attempt, Prospect, ResponseKind
from cadence.policy import guard_runner
from cadence.policy.field_types import Country, Id, OpenHours, PolicyChannel, Subdivision
from cadence.policy.touch import GuardDelay, Touch, TouchPart, Veto
from cadence.worktime.calendar import WorkCalendar, work_calendar
from cadence.worktime.hours import ALL_DAY, WEEKDAYS, OpenTimes, Week, week_of

__all__ = [
    "Answer",
    "ContactWindow",
    "CoolDown",
    "Custom",
    "FrequencyCap",
    "Guard",
    "HolidayBan",
    "Lasting",
    "Pause",
]

Answer = GuardDelay | Veto | None
"""What a guard says about a touch at a time; ``None``: it has no objection."""

_NEVER: Final = timedelta(days=3660)
"""How far a guard that never opens delays: longer than the engine searches."""


class _Guard(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    dict=True,  # for cached properties
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
):
    """What every guard has.

    Attributes:
        id: its name, which is the rule id of its reasons; its kind, if it is given none.
        channels: it is asked only about touches with a part on one of these; all, if none.
    """

    id: Id | None = None
    channels: tuple[PolicyChannel, ...] = ()

    @property
    def name(self) -> str:
        """Its rule id."""
        return self.id or str(self.__struct_config__.tag)

    def concerns(self, touch: Touch) -> bool:
        """Tell whether the guard is asked about ``touch``."""
        return not self.channels or any(part.channel in self.channels for part in touch.parts)

    def canonical(self) -> dict[str, Any]:
        """Return its meaning in one form, whatever the layout of the file, for the digest."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {**plain, "id": self.name, "channels": sorted(self.channels)}

    def closed_dates(self) -> tuple[date, date] | None:
        """Return the first and the last date that it closes by itself; ``None``: it closes none.

        The prover plays a silence that begins on the first: a touch that finds no open time is a
        task.
        """
        return None

    def closed_holidays(self) -> tuple[str | None, str | None] | None:
        """Return the country and subdivision whose holidays it closes; ``None``: it closes none.

        A country of ``None`` is the prospect's own.
        """
        return None

    def weekly_hours(self) -> Week | None:
        """Return the hours at which it lets touches pass, by the policy's weekday; ``None``: it
        does not go by the week.

        The prover plays each channel alone then, finds steps that no hour is left for, and tells
        two policies apart at the hours that differ. A touch that it never lets pass is held, which
        refutes a policy (``forgotten``).
        """
        return None

    @property
    def varies_by_year(self) -> bool:
        """Whether the dates it closes change from year to year; a timetable leaves it out then."""
        return self.closed_dates() is not None or self.closed_holidays() is not None

    @property
    def attempts_counted(self) -> int:
        """How many attempts it counts up to; 0: it counts none. A comparison tries as many."""
        return 0

    @property
    def heeds_responses(self) -> bool:
        """Whether what they said changes its answer; a comparison tries that, too."""
        return False

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, calendar: WorkCalendar) -> Answer:
        """Return its answer about ``touch`` at ``at``.

        Args:
            prospect: the prospect of the touch.
            touch: what is to be done.
            at: when; aware, in UTC.
            calendar: the work calendar of the prospect.
        """
        raise NotImplementedError


class ContactWindow(_Guard, frozen=True, kw_only=True, tag="contact_window"):
    """Local hours, by weekday, at which a touch may be made; a day without hours has none.

    Its weekdays are those of the policy: where the weekend of the prospect's country moves a day of
    the calendar, it moves here too.
    """

    mon: tuple[OpenHours, ...] = ()
    tue: tuple[OpenHours, ...] = ()
    wed: tuple[OpenHours, ...] = ()
    thu: tuple[OpenHours, ...] = ()
    fri: tuple[OpenHours, ...] = ()
    sat: tuple[OpenHours, ...] = ()
    sun: tuple[OpenHours, ...] = ()

    @cached_property
    def open_times(self) -> OpenTimes:
        """The hours of the window."""
        return OpenTimes(week_of(self))

    def weekly_hours(self) -> Week:
        """Return its hours."""
        return self.open_times.week

    def canonical(self) -> dict[str, Any]:
        """Return its meaning in one form, whatever the layout of the file, for the digest."""
        plain = super().canonical()
        for day in WEEKDAYS:
            plain.pop(day, None)
        return {**plain, "hours": self.open_times.week}

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, calendar: WorkCalendar) -> Answer:
        """Delay until the window opens in every zone that the prospect may be in."""
        opens = calendar.window(self.open_times).next_open(at)
        if opens is None:
            return GuardDelay(at + _NEVER, "the contact window never opens")
        return None if opens == at else GuardDelay(opens, "outside the contact window")


class FrequencyCap(_Guard, frozen=True, kw_only=True, tag="frequency_cap"):
    """At most ``attempts`` in any window of ``hours`` or ``days``, across silences.

    Attributes:
        attempts: how many; those with a part on :attr:`channels`, if it has any.
        hours: the window, in elapsed hours; or
        days: in elapsed days.
        per: counted for the prospect, or for the address that the touch would use.
    """

    attempts: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    hours: Annotated[int, msgspec.Meta(ge=1, le=72)] | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=RECENT_DAYS)] | None = None
    per: Literal["prospect", "address"] = "prospect"

    @property
    def window(self) -> timedelta:
        """The length of the window, in elapsed time."""
        return timedelta(days=self.days or 0, hours=self.hours or 0)

    @property
    def attempts_counted(self) -> int:
        """How many attempts it counts up to."""
        return self.attempts

    def canonical(self) -> dict[str, Any]:
        """Return its meaning in one form, whatever the layout of the file, for the digest."""
        plain = super().canonical()
        for unit in ("hours", "days"):
            plain.pop(unit, None)
        return {**plain, "seconds": int(self.window.total_seconds())}

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, calendar: WorkCalendar) -> Answer:
        """Delay until the window holds one attempt fewer than the limit."""
        if self.per == "prospect":
            return self._delay(self._counted(prospect, None), at, "")
        for part in touch.parts:
            if self.channels and part.channel not in self.channels:
                continue
            counted = self._counted(prospect, part)
            answer = self._delay(counted, at, f" to {part.channel} {part.address}")
            if answer is not None:
                return answer
        return None

    def _counted(self, prospect: Prospect, touched: TouchPart | None) -> Iterator[datetime]:
        """Find the times of the attempts that count, at one address or at all."""
        for attempt in _attempts(prospect):
            for part in attempt.parts:
                if self.channels and part.channel not in self.channels:
                    continue
                if touched is None or _may_have_used(part, touched):
                    yield attempt.at
                    break
        if touched is None:
            return
        # One phone rings once, whichever record it was rung for.
        for key, made in prospect.elsewhere.attempts:
            if key == touched.same and any(
                not self.channels or part.channel in self.channels for part in made.parts
            ):
                yield made.at

    def _delay(self, counted: Iterable[datetime], at: datetime, where: str) -> Answer:
        recent = sorted(made for made in counted if at - self.window < made <= at)
        if len(recent) < self.attempts:
            return None
        number, unit = (self.days, "day") if self.days is not None else (self.hours, "hour")
        because = (
            f"{plural(len(recent), 'attempt')}{where} in {plural(number or 0, unit)}; "
            f"the limit is {self.attempts}"
        )
        return GuardDelay(recent[-self.attempts] + self.window, because)


class Lasting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long something lasts, in exactly one unit."""

    hours: Annotated[int, msgspec.Meta(ge=1, le=72)] | None = None
    business_days: Annotated[int, msgspec.Meta(ge=1, le=260)] | None = None


class CoolDown(_Guard, frozen=True, kw_only=True, tag="cool_down"):
    """Nothing for some time after they responded, or said no.

    Attributes:
        after: what it follows: a ``conversation``, a ``refusal`` (a response with intent ``no``),
            or a ``contact``, which is any response.
        lasts: how long it lasts.
    """

    after: Literal["conversation", "refusal", "contact"]
    lasts: Lasting

    @property
    def heeds_responses(self) -> bool:
        """Whether what they said changes its answer: it does."""
        return True

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, calendar: WorkCalendar) -> Answer:
        """Delay until enough time has passed since the last response."""
        response = prospect.response
        if self.after == "conversation":
            is_meant = response.kind is ResponseKind.CONVERSATION
        elif self.after == "refusal":
            is_meant = response.intent is Intent.NO
        else:
            is_meant = response.kind is not ResponseKind.ADDED
        if not is_meant:
            return None
        if self.lasts.hours is not None:
            until = response.at + timedelta(hours=self.lasts.hours)
        else:
            until = calendar.after_business_days(response.at, self.lasts.business_days or 1)
        what = "response" if self.after == "contact" else self.after
        return GuardDelay(until, f"too soon after their {what}") if until > at else None


class HolidayBan(_Guard, frozen=True, kw_only=True, tag="holiday_ban"):
    """Nothing on public holidays, the appointment's own steps included.

    Attributes:
        country: whose holidays; the prospect's own country if none is named.
        subdivision: of that country.
    """

    country: Country | None = None
    subdivision: Subdivision | None = None

    def closed_holidays(self) -> tuple[str | None, str | None] | None:
        """Return the country and subdivision whose holidays it closes."""
        return self.country, self.subdivision

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, calendar: WorkCalendar) -> Answer:
        """Delay until the day after the holiday."""
        country, subdivision = self.country, self.subdivision
        if country is None:
            country, subdivision = prospect.identity.country, prospect.identity.subdivision
        if country is None:
            return None
        holidays = work_calendar(_EVERY_DAY, prospect.identity.zones, country, subdivision)
        closed = _closed_until(holidays, at)
        if closed is None:
            return None
        until, name = closed
        return GuardDelay(until, f"public holiday ({name})")


class Pause(_Guard, frozen=True, kw_only=True, tag="pause"):
    """Nothing from one local date through another, such as a holiday of the team's."""

    first_day: date
    last_day: date

    @cached_property
    def open_times(self) -> OpenTimes:
        """Every day but those of the pause."""
        first, last = self.first_day.toordinal(), self.last_day.toordinal()
        return OpenTimes(ALL_DAY, closed=frozenset(range(first, last + 1)))

    def closed_dates(self) -> tuple[date, date] | None:
        """Return the first and the last date that it closes."""
        return self.first_day, self.last_day

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, calendar: WorkCalendar) -> Answer:
        """Delay until the day after the last."""
        days = work_calendar(self.open_times, prospect.identity.zones, None, None)
        closed = _closed_until(days, at)
        return None if closed is None else GuardDelay(closed[0], "paused")


class Custom(_Guard, frozen=True, kw_only=True, tag="custom"):
    """A function of the team's own.

    Attributes:
        function: ``"package.module:name"``, or the name of an entry point of ``cadence.guards``.
        version: raised with every change of what the function means; it stands for its code in
            the digest of the policy.
    """

    function: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    version: Annotated[int, msgspec.Meta(ge=1)]

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, calendar: WorkCalendar) -> Answer:
        """Return what the function answers.

        Raises:
            GuardFailed: it can't be loaded, raised, or returned an invalid answer.
        """
        return guard_runner.ask(self.function, prospect, touch, at)


Guard = ContactWindow | FrequencyCap | CoolDown | HolidayBan | Pause | Custom
"""Every kind of guard that a policy file may have."""

_EVERY_DAY: Final = OpenTimes(ALL_DAY)


def _may_have_used(part: Part, touched: TouchPart) -> bool:
    # A part without an address may have used any address of its channel. One number is one, on
    # whatever channel it rings.
    if part.same is None:
        return part.channel == touched.channel
    return part.same == touched.same


def _attempts(prospect: Prospect) -> Iterator[Attempt]:
    yield from prospect.recent
    yield from prospect.silence.attempts


def _closed_until(days: WorkCalendar, at: datetime) -> tuple[datetime, str] | None:
    """Find the midnight after the closed days around ``at``, in every zone, and their name.

    Args:
        days: a calendar that is open all day but for the closed days.
        at: an instant; ``None`` is returned where it falls on no closed day in any zone.
    """
    until, name = at, ""
    for calendar in days.calendars:
        day = calendar.day(at)
        if calendar.is_business_day(day):
            continue
        name = name or next((name for _, name in calendar.days_off(day - 1, day)), "")
        until = max(until, calendar.at(calendar.nth_business_day(day, 1), 0))
    return (until, name) if until > at else None
