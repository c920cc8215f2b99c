"""A history read once more from its beginning, with none of the engine's ways of reading it.

No fold of counts, no ratchet, no states; business days are counted by walking from day to day.
``invariants_check.py`` checks the invariants against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

import holidays
import msgspec

from cadence.domain.channels import Channel
from cadence.domain.events import (
    SOFT_FAILURES,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    Disposition,
    Event,
    OptedBackIn,
    OptOutRequested,
    PauseRequested,
    PreferenceStated,
    ProspectAdded,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
)
from cadence.policy.model import Policy
from cadence.worktime.hours import WEEKDAYS
from cadence.worktime.zones import from_local, zone

__all__ = ["WAKING", "Gap", "Past", "is_holiday"]

Gap = tuple[int, int]
"""Business days, or minutes where those are 0."""
Span = tuple[datetime, datetime]

_REACHED: Final = (Disposition.SENT, Disposition.VOICEMAIL_LEFT, Disposition.CONNECTED)
WAKING: Final = (time(8), time(21))
"""Quiet hours are all others."""


class Past:
    """A history read from its beginning, as far as it was known with its last event."""

    def __init__(self, events: Sequence[Event], policy: Policy) -> None:
        self.events = list(events)
        self.policy = policy

    # What was said ------------------------------------------------------------------------------

    @property
    def response(self) -> Event:
        """The response that began the running silence; at first, the adding."""
        found = self.events[0]
        for event in self.events:
            data = event.data
            spoke = isinstance(data, ReplyReceived | PauseRequested | OptedBackIn | ReferralGiven)
            if spoke or (isinstance(data, AttemptMade) and _connected(data)):
                if event.occurred_at >= found.occurred_at:
                    found = event
        return found

    @property
    def attempts(self) -> list[Event]:
        """The attempts of the running silence; one for parts of a touch that were logged apart."""
        since = self.response
        found: list[Event] = []
        touch = None
        for event in self.events:
            data = event.data
            if not isinstance(data, AttemptMade) or _connected(data):
                continue
            if (event.occurred_at, event.version) <= (since.occurred_at, since.version):
                continue
            before, touch = touch, data.touch and (data.touch, data.stage)
            if found and touch is not None and touch == before:
                made = found[-1].data
                assert isinstance(made, AttemptMade)
                made = msgspec.structs.replace(made, parts=(*made.parts, *data.parts))
                found[-1] = msgspec.structs.replace(found[-1], data=made)
            else:
                found.append(event)
        return found

    def is_opted_out(self, channel: Channel) -> bool:
        """Return whether they want no more of a channel."""
        is_out = False
        for event in self.events:
            data = event.data
            if isinstance(data, OptOutRequested):
                is_meant = data.channel is None and channel not in data.except_channels
                is_out = is_out or is_meant or data.channel == channel
            elif isinstance(data, OptedBackIn) and data.channel in (None, channel):
                is_out = False
        return is_out

    @property
    def known(self) -> list[ContactPoint]:
        """Every contact point, in the order in which they became known."""
        found: list[ContactPoint] = []
        for event in self.events:
            data = event.data
            if isinstance(data, ProspectAdded):
                found += data.contact_points
            elif isinstance(data, ContactPointAdded):
                found.append(ContactPoint(data.channel, data.address, data.key))
            elif isinstance(data, ContactPointRemoved):
                found = [one for one in found if one.same != key_of(data)]
        return found

    @property
    def failed(self) -> set[str]:
        """The keys that failed, by themselves or in an attempt."""
        found: set[str] = set()
        for event in self.events:
            data = event.data
            if isinstance(data, ContactPointFailed) and data.reason not in SOFT_FAILURES:
                found.add(key_of(data))
            elif isinstance(data, ContactPointRestored):
                found.discard(key_of(data))
            elif isinstance(data, AttemptMade):
                for part in data.parts:
                    if part.disposition in (Disposition.WRONG_NUMBER, Disposition.BOUNCED):
                        found.add(part.same or "")
        return found

    @property
    def left(self) -> list[ContactPoint]:
        """The contact points that may still be used, on channels that the team uses."""
        bad, usable = self.failed, self.policy.usable
        return [
            point
            for point in self.known
            if not self.is_opted_out(point.channel)
            and point.same not in bad
            and point.channel in usable
        ]

    @property
    def zones(self) -> tuple[str, ...]:
        """Where they may be."""
        given: str | tuple[str, ...] = "UTC"
        for event in self.events:
            if isinstance(event.data, ProspectAdded | ProspectUpdated):
                given = event.data.timezone or given
        return (given,) if isinstance(given, str) else given

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Country and subdivision."""
        country: str | None = None
        subdivision: str | None = None
        for event in self.events:
            data = event.data
            if isinstance(data, ProspectAdded | ProspectUpdated):
                if data.country is not None and data.country != country:
                    country, subdivision = data.country, None
                subdivision = data.subdivision or subdivision
        return country, subdivision

    @property
    def hours(self) -> tuple[time, time] | None:
        """The waking part of the hours they prefer, if there is one."""
        found = None
        for event in self.events:
            if isinstance(event.data, PreferenceStated) and event.data.hours is not None:
                start, end = (time.fromisoformat(text) for text in event.data.hours.split("-"))
                start, end = max(start, WAKING[0]), min(end, WAKING[1])
                found = (start, end) if start < end else None
        return found

    # Days ---------------------------------------------------------------------------------------

    def is_business_day(self, day: date) -> bool:
        """Whether the policy has hours that day, and it is neither a holiday nor closed."""
        calendar = self.policy.calendar
        places = [self.place] if self.place[0] is not None else []
        places += [(also.country, also.subdivision) for also in calendar.holidays]
        return (
            bool(self.opening(day))
            and day not in calendar.closed
            and not any(is_holiday(day, country, part) for country, part in places if country)
        )

    def opening(self, day: date) -> list[tuple[time, time]]:
        """The policy's hours of that day, but for holidays and closed days."""
        calendar, weekend = self.policy.calendar, self.weekend(day)
        if day.weekday() in weekend:
            return []
        hours = self.hours_in(calendar, day)
        if not hours:
            return []
        if day in calendar.on:
            return [_span(text) for text in calendar.on[day]]
        places = [self.place, *((also.country, also.subdivision) for also in calendar.holidays)]
        if any(is_holiday(day, country, part, "half_day") for country, part in places if country):
            until = _clock(calendar.half_days_until)
            return [(opens, min(closes, until)) for opens, closes in hours if opens < until]
        return hours

    def weekend(self, day: date) -> set[int]:
        """The weekend of their country, in the week of that day."""
        country, subdivision = self.place
        if country is None or self.policy.calendar.weekend == "policy":
            return set()
        return _weekend(country, subdivision, day - timedelta(days=day.weekday()))

    def hours_in(self, table: object, day: date) -> list[tuple[time, time]]:
        """The hours of a calendar or a contact window for that day.

        An open day of the calendar on the weekend changes places with the next free day.
        """
        weekend, opened = (
            self.weekend(day),
            {n for n in range(7) if hours_of(self.policy.calendar, n)},
        )
        stands_for = {n: n for n in range(7)}
        free = [n for n in range(7) if n not in opened and n not in weekend]
        for given in sorted(opened & weekend):
            later = sorted(free, key=lambda n, given=given: (n - given) % 7)  # type: ignore[misc]
            if later:
                free.remove(later[0])
                stands_for[given], stands_for[later[0]] = later[0], given
        return hours_of(table, stands_for[day.weekday()])

    def suspensions(self, where: str) -> list[Span]:
        """Pauses and absences of the running silence."""
        since, found = self.response, []
        if isinstance(since.data, PauseRequested):
            found.append((since.occurred_at, since.data.until))
        for event in self.events:
            data = event.data
            if isinstance(data, AutoReplyReceived) and event.version > since.version:
                until = data.until or self.later(event.occurred_at, 5, where, [])
                found.append((event.occurred_at, until))
        return [(start, until) for start, until in found if start < until]

    def suspended_day(self, day: date, where: str, spans: Sequence[Span]) -> bool:
        """Whether any business hours of the day are suspended."""
        for opens, closes in self.opening(day):
            begin, finish = _at(day, opens, where), _at(day, closes, where)
            if any(start < finish and begin < until for start, until in spans):
                return True
        return False

    def later(self, start: datetime, count: int, where: str, spans: Sequence[Span]) -> datetime:
        """The same local time on the ``count``-th business day after ``start``."""
        here = start.astimezone(zone(where))
        day, left = here.date(), count
        while left:
            day += timedelta(days=1)
            if self.is_business_day(day) and not self.suspended_day(day, where, spans):
                left -= 1
        return _at(day, here.timetz().replace(tzinfo=None), where)

    def gap(self, first: datetime, second: datetime) -> Gap:
        """The distance between two attempts: the smallest of the candidate zones' measures."""
        return min(self._gap(first, second, where) for where in self.zones)

    def _gap(self, first: datetime, second: datetime, where: str) -> Gap:
        spans = self.suspensions(where)
        day, last = (one.astimezone(zone(where)).date() for one in (first, second))
        days = 0
        while day < last:
            day += timedelta(days=1)
            days += self.is_business_day(day) and not self.suspended_day(day, where, spans)
        if days:
            return days, 0
        elapsed, reached = second - first, first
        for start, until in sorted(spans):
            start, until = max(start, reached), min(until, second)
            if start < until:
                elapsed, reached = elapsed - (until - start), until
        return 0, max(0, int(elapsed.total_seconds() // 60))

    @property
    def answer_ends(self) -> datetime | None:
        """When the time to answer a delivered polite exit ends; ``None``: none was delivered."""
        bad = self.failed
        for event in reversed(self.attempts):
            data = event.data
            assert isinstance(data, AttemptMade)  # attempts has nothing else
            if data.stage is AttemptStage.EXTRA:
                continue
            if data.stage is not AttemptStage.POLITE_EXIT:
                return None
            reached = {
                part.channel
                for part in data.parts
                if part.disposition in _REACHED and part.same and part.same not in bad
            }
            if reached:
                exits = [s for s in self.policy.steps if s.stage is AttemptStage.POLITE_EXIT]
                answer = exits[0].answer_within if exits else None
                days = max(1, (answer.business_days or 1) if answer else 1)
                traits = [self.policy.traits.get(channel) for channel in reached]
                slow = [1 if one is None else one.answer_business_days for one in traits]
                days = max(days, *([min(slow)] * 2))
                return max(
                    self.later(event.occurred_at, days, where, self.suspensions(where))
                    for where in self.zones
                )
        return None


def key_of(
    data: ContactPointFailed | ContactPointRestored | ContactPointRemoved,
) -> str:
    """Return the key of an event about an address, or the address where it has none."""
    return data.address if data.key is None else data.key


def _connected(data: AttemptMade) -> bool:
    return any(part.disposition is Disposition.CONNECTED for part in data.parts)


def _at(day: date, clock: time, where: str) -> datetime:
    if clock == time.max:
        return from_local(datetime.combine(day + timedelta(days=1), time()), zone(where))
    return from_local(datetime.combine(day, clock), zone(where))


def hours_of(table: object, weekday: int) -> list[tuple[time, time]]:
    """The hours of a weekday in a calendar or a contact window."""
    return [_span(text) for text in getattr(table, WEEKDAYS[weekday])]


def _span(text: str) -> tuple[time, time]:
    opens, closes = text.split("-")
    return _clock(opens), _clock(closes)


def _clock(text: str) -> time:
    return time.max if text == "24:00" else time.fromisoformat(text)


@lru_cache(maxsize=4096)
def _holidays(country: str, subdivision: str | None, year: int, category: str) -> frozenset[date]:
    entity = getattr(holidays, country)
    if category not in entity.supported_categories:
        return frozenset()
    return frozenset(entity(subdiv=subdivision, years=year, categories=category))


@lru_cache(maxsize=4096)
def _weekend(country: str, subdivision: str | None, monday: date) -> set[int]:
    known = holidays.country_holidays(country, subdiv=subdivision)
    return {n for n in range(7) if known.is_weekend(monday + timedelta(days=n))}


def is_holiday(day: date, country: str, subdivision: str | None, category: str = "public") -> bool:
    """Whether it is a holiday of the place; without its region, of the nation or of half of them.

    Args:
        day: a local date.
        country: where.
        subdivision: of that country.
        category: ``public``, or ``half_day``.
    """
    if day in _holidays(country, subdivision, day.year, category):
        return True
    regions = () if subdivision else getattr(holidays, country).subdivisions
    having = [one for one in regions if day in _holidays(country, one, day.year, category)]
    return bool(having) and 2 * len(having) >= len(regions)
