"""Guards: what may delay or veto a touch, and never bring one forward.

A guard is data in the policy file, one struct a kind. Asked about a touch at a time, it answers
:class:`GuardDelay`, :class:`Veto`, or nothing. ``engine/next_touch.py`` asks every guard again
after each delay, until none has anything to say, so a guard can only move a touch later.

A team's own guard is a Python function of the same form, named in the file (``kind = "custom"``)
or registered as an entry point; ``policy/guard_runner.py`` calls it and trusts it with nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec

from cadence.domain.events import Channel, Intent, Part
from cadence.domain.prospect import RECENT_DAYS, Attempt, Prospect, ResponseKind
from cadence.policy.field_types import Country, Id, OpenHours, Subdivision
from cadence.policy.guard_runner import ask as ask_function
from cadence.policy.touch import GuardDelay, Touch, Veto
from cadence.worktime.calendar import WorkCalendar, ZoneCalendar, work_calendar
from cadence.worktime.hours import ALL_DAY, WEEKDAYS, week_of

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
"""What a guard says of a touch at a time."""

_NEVER: Final = timedelta(days=3660)
"""How far a guard that never opens delays: beyond every search."""


class _Guard(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
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
    channels: tuple[Channel, ...] = ()

    @property
    def name(self) -> str:
        """Its rule id."""
        return self.id or str(self.__struct_config__.tag)

    def concerns(self, touch: Touch) -> bool:
        """Whether it is asked about ``touch``."""
        return not self.channels or any(part.channel in self.channels for part in touch.parts)

    def canonical(self) -> dict[str, Any]:
        """What it means, in one form."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {**plain, "id": self.name, "channels": sorted(plain.get("channels", ()))}

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, time: WorkCalendar) -> Answer:
        """Its answer about ``touch`` at ``at``.

        Args:
            prospect: whom the touch is for.
            touch: what is to be done.
            at: when.
            time: the business time of the prospect.
        """
        raise NotImplementedError


class ContactWindow(_Guard, frozen=True, kw_only=True, tag="contact_window"):
    """Local hours, by weekday, at which a touch may be made; a day without has none."""

    mon: tuple[OpenHours, ...] = ()
    tue: tuple[OpenHours, ...] = ()
    wed: tuple[OpenHours, ...] = ()
    thu: tuple[OpenHours, ...] = ()
    fri: tuple[OpenHours, ...] = ()
    sat: tuple[OpenHours, ...] = ()
    sun: tuple[OpenHours, ...] = ()

    def canonical(self) -> dict[str, Any]:
        """What it means, in one form."""
        plain = super().canonical()
        for day in WEEKDAYS:
            plain.pop(day, None)
        return {**plain, "hours": week_of(self)}

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, time: WorkCalendar) -> Answer:
        """Until the window opens."""
        window = work_calendar(prospect.identity.zones, week_of(self), None, None, frozenset())
        opens = window.next_open(at)
        if opens is None:
            return GuardDelay(at + _NEVER, "its contact window never opens")
        return None if opens == at else GuardDelay(opens, "outside its contact window")


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
        """How long the window is."""
        return timedelta(days=self.days or 0, hours=self.hours or 0)

    def canonical(self) -> dict[str, Any]:
        """What it means, in one form."""
        plain = super().canonical()
        for unit in ("hours", "days"):
            plain.pop(unit, None)
        return {**plain, "seconds": int(self.window.total_seconds())}

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, time: WorkCalendar) -> Answer:
        """Until the window holds one attempt fewer than it may."""
        if self.per == "prospect":
            counted = [a.at for a in _attempts(prospect) if self._counts(a, None)]
            return self._over(counted, at, "")
        for part in touch.parts:
            if self.channels and part.channel not in self.channels:
                continue
            where = (part.channel, part.address)
            counted = [a.at for a in _attempts(prospect) if self._counts(a, where)]
            answer = self._over(counted, at, f" to {part.channel} {part.address}")
            if answer is not None:
                return answer
        return None

    def _counts(self, attempt: Attempt, where: tuple[Channel, str] | None) -> bool:
        return any(
            (not self.channels or part.channel in self.channels)
            and (where is None or _used(part, where))
            for part in attempt.parts
        )

    def _over(self, counted: list[datetime], at: datetime, where: str) -> Answer:
        recent = sorted(one for one in counted if at - self.window < one <= at)
        if len(recent) < self.attempts:
            return None
        span = f"{self.days} days" if self.days is not None else f"{self.hours} hours"
        because = f"{len(recent)} attempts{where} in {span}; no more than {self.attempts} are meant"
        return GuardDelay(recent[-self.attempts] + self.window, because)


class Lasting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long something lasts, in exactly one unit."""

    hours: Annotated[int, msgspec.Meta(ge=1, le=72)] | None = None
    business_days: Annotated[int, msgspec.Meta(ge=1, le=260)] | None = None


class CoolDown(_Guard, frozen=True, kw_only=True, tag="cool_down"):
    """Nothing for some time after they spoke to us, or said no."""

    after: Literal["conversation", "refusal", "contact"]
    lasts: Lasting

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, time: WorkCalendar) -> Answer:
        """Until the time since the contact has passed."""
        response = prospect.response
        meant = response.kind is not ResponseKind.ADDED
        if self.after == "conversation":
            meant = response.kind is ResponseKind.CONVERSATION
        elif self.after == "refusal":
            meant = response.intent is Intent.NO
        if not meant:
            return None
        if self.lasts.hours is not None:
            until = response.at + timedelta(hours=self.lasts.hours)
        else:
            until = time.after_business_days(response.at, self.lasts.business_days or 1)
        return GuardDelay(until, f"too soon after their {self.after}") if until > at else None


class HolidayBan(_Guard, frozen=True, kw_only=True, tag="holiday_ban"):
    """Nothing on public holidays, the appointment's own steps included.

    Attributes:
        country: whose holidays; the prospect's own country if none is named.
        subdivision: of that country.
    """

    country: Country | None = None
    subdivision: Subdivision | None = None

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, time: WorkCalendar) -> Answer:
        """Until the day after the holiday."""
        country, subdivision = self.country, self.subdivision
        if country is None:
            country, subdivision = prospect.identity.country, prospect.identity.subdivision
        if country is None:
            return None
        days = work_calendar(prospect.identity.zones, ALL_DAY, country, subdivision, frozenset())
        return _after_days(days.calendars, at, "public holiday")


class Pause(_Guard, frozen=True, kw_only=True, tag="pause"):
    """Nothing from one local date through another, such as a holiday of the team's."""

    first_day: date
    last_day: date

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, time: WorkCalendar) -> Answer:
        """Until the day after the last."""
        closed = _days_between(self.first_day, self.last_day)
        days = work_calendar(prospect.identity.zones, ALL_DAY, None, None, closed)
        return _after_days(days.calendars, at, "paused")


class Custom(_Guard, frozen=True, kw_only=True, tag="custom"):
    """A function of the team's own.

    Attributes:
        function: ``"package.module:name"``, or the name of an entry point of ``cadence.guards``.
        version: raised with every change of what the function means; it stands for its code in
            the digest of the policy.
    """

    function: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    version: Annotated[int, msgspec.Meta(ge=1)]

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, time: WorkCalendar) -> Answer:
        """What the function answers.

        Raises:
            GuardFailed: it raised, hung, or answered something that is no answer.
        """
        return ask_function(self.function, prospect, touch, at)


Guard = ContactWindow | FrequencyCap | CoolDown | HolidayBan | Pause | Custom
"""Every kind of guard that a policy file may have."""


def _used(part: Part, where: tuple[Channel, str]) -> bool:
    # Where nobody wrote down which address was used, it may have been this one.
    return part.channel is where[0] and part.address in (None, where[1])


def _attempts(prospect: Prospect) -> Iterable[Attempt]:
    yield from prospect.recent
    yield from prospect.silence.attempts


def _days_between(first: date, last: date) -> frozenset[int]:
    return frozenset(range(first.toordinal(), last.toordinal() + 1))


def _after_days(calendars: tuple[ZoneCalendar, ...], at: datetime, why: str) -> Answer:
    """Until midnight after the closed days that ``at`` falls on in any of the zones."""
    until = at
    name = ""
    for calendar in calendars:
        day = calendar.day(at)
        if calendar.is_business_day(day):
            continue
        name = name or next((n for _, n in calendar.days_off(day - 1, day)), "")
        until = max(until, calendar.at(calendar.nth_business_day(day, 1), 0))
    return GuardDelay(until, f"{why} ({name})" if why != "paused" else why) if until > at else None
