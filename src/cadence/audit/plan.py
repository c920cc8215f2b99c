"""A policy as the audit reads it: its touches in order, and what each asks for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from cadence.domain.events import AttemptStage, Channel, PolicyRef
from cadence.errors import InputError
from cadence.policy.model import Distance, PlannedTouch, Policy, Requires
from cadence.worktime.calendar import WorkCalendar, work_calendar
from cadence.worktime.hours import ALL_DAY, WEEKDAYS, Week, parse_hours

__all__ = ["RANK", "GuardRead", "Lasts", "PartRead", "Place", "Plan"]

RANK: Final[dict[AttemptStage | None, int]] = {
    None: 0,
    AttemptStage.EXTRA: 0,
    AttemptStage.ON_TIME: 1,
    AttemptStage.TEN_MINUTES: 2,
    AttemptStage.HALF_DAY: 3,
    AttemptStage.SPACED: 4,
    AttemptStage.CONCERN: 5,
    AttemptStage.NURTURE: 6,
    AttemptStage.POLITE_EXIT: 7,
}
"""How far along outreach is at each stage; 0: the attempt took no touch's place."""


_Where = tuple[tuple[str, ...], str | None, str | None]
_MOST_PLACES: Final = 65536
_OWN: Final = "custom"


class Lasts(NamedTuple):
    """A distance: so many business days, or elapsed time."""

    business_days: int
    elapsed: timedelta | None


class PartRead(NamedTuple):
    """A part of a touch: the channels that may carry it, in order, and what it goes along with."""

    channels: tuple[Channel, ...]
    along_with: Channel | None


class Place(NamedTuple):
    """One touch of a plan.

    Attributes:
        number: its position in the plan; the polite exit comes last.
        name: as it stands on an attempt, e.g. ``spaced#3``.
        step: the id of its step.
        rank: of its stage.
        position: which touch of its stage it is, from 0.
        parts: what it consists of.
        business_days, elapsed: its distance from the attempt before; one of them, or neither for
            the call at the appointment.
        within: how late it may be before it lapses.
        requires_attempts, requires_days: what must have been before it in the silence.
        requires_guidelines: they must have agreed to be followed up.
        seconds, weekdays: the times of day, in seconds after midnight, and the weekdays, Monday
            0, that it takes in turn.
        usual: the channels that it is made on while those are left and nobody prefers another, one
            for each part; none, where it takes a closer look to know, or asks for more.
        stopped: the file has it behind the polite exit or a later stage, so the charter always
            stops it. Only a refuted policy has such a touch.
    """

    number: int
    name: str
    step: str
    rank: int
    position: int
    parts: tuple[PartRead, ...]
    business_days: int | None
    elapsed: timedelta | None
    within: timedelta | None
    requires_attempts: int
    requires_days: int
    requires_guidelines: bool
    seconds: tuple[int, ...]
    weekdays: tuple[int, ...]
    usual: tuple[Channel, ...]
    stopped: bool

    @property
    def may_call(self) -> bool:
        """Whether it may be a call, so that the cap on spaced calls passes it over."""
        return any(Channel.CALL in part.channels for part in self.parts if part.along_with is None)


def _place(point: PlannedTouch, number: int, policy: Policy) -> Place:
    step, after, rotate = point.step, point.after, point.step.rotate
    parts = tuple(
        PartRead(tuple(one for one in part.channels if one in policy.usable), part.along_with)
        for part in point.parts
    )
    usual = tuple(part.channels[0] for part in parts if part.channels)
    stopped = point.backward or point.behind_exit
    more = step.requires != Requires() or step.stage is AttemptStage.CONCERN or stopped
    plain = len(set(usual)) == len(parts) and not more and (rotate is None or not rotate.days)
    for before, part in enumerate(parts):
        plain = plain and (part.along_with is None or part.along_with in usual[:before])
    return Place(
        number,
        point.name,
        step.id,
        RANK[step.stage],
        point.position,
        parts,
        None if after is None else after.business_days,
        None if after is None else after.elapsed,
        None if step.within is None else timedelta(minutes=step.within.minutes),
        step.requires.attempts,
        step.requires.days,
        step.requires.guidelines,
        () if rotate is None else rotate.seconds,
        () if rotate is None else rotate.weekdays,
        usual if plain else (),
        stopped,
    )


class GuardRead(NamedTuple):
    """A guard of the policy: its kind and name, and what that kind asks for.

    Attributes:
        channels: it is about attempts on one of these; about all, if there are none.
        week: a contact window's open hours by weekday, Monday first.
        attempts, window, per_address: a cap: so many within any such time.
        after, lasts, lasts_business_days: a cool-down: after what, and for how long.
        country, subdivision: whose holidays; the prospect's own if there is no country.
        first_day, last_day: the ordinals of the days of a pause.
    """

    kind: str
    name: str
    channels: frozenset[Channel]
    week: Week = ()
    attempts: int = 0
    window: timedelta = timedelta(0)
    per_address: bool = False
    after: str = ""
    lasts: timedelta | None = None
    lasts_business_days: int = 0
    country: str | None = None
    subdivision: str | None = None
    first_day: int = 0
    last_day: int = 0


def _guard(plain: dict[str, Any]) -> GuardRead:
    kind = plain["kind"]
    channels = frozenset(map(Channel, plain.get("channels", ())))
    read = GuardRead(kind, plain.get("id") or kind, channels)
    if kind == "contact_window":
        hours = (plain.get(day, ()) for day in WEEKDAYS)
        return read._replace(week=tuple(tuple(sorted(map(parse_hours, day))) for day in hours))
    if kind == "frequency_cap":
        window = timedelta(days=plain.get("days") or 0, hours=plain.get("hours") or 0)
        by_address = plain.get("per") == "address"
        return read._replace(attempts=plain["attempts"], window=window, per_address=by_address)
    if kind == "cool_down":
        hours, days = plain["lasts"].get("hours"), plain["lasts"].get("business_days")
        lasts = None if hours is None else timedelta(hours=hours)
        return read._replace(after=plain["after"], lasts=lasts, lasts_business_days=days or 1)
    if kind == "pause":
        first, last = (date.fromisoformat(plain[key]) for key in ("first_day", "last_day"))
        return read._replace(first_day=first.toordinal(), last_day=last.toordinal())
    return read._replace(country=plain.get("country"), subdivision=plain.get("subdivision"))


def _lasts(distance: Distance) -> Lasts:
    return Lasts(distance.business_days or 1, distance.elapsed)


class Plan:
    """A policy that is at hand, or one of which only the name is known.

    Attributes:
        ref: name, version and digest.
        known: whether it is at hand; otherwise only the charter is checked, and business days are
            counted by the calendar of the policy it was taken from.
        week, closed, holidays_of: its calendar.
        places: its touches before the polite exit.
        by_name: each touch by its name, also the polite exit.
        counts: how many touches it has at each rank.
        exit: the polite exit, at the index after all others; ``None`` in a refuted policy that
            has none.
        horizon_business_days: behind it only the polite exit is left.
        answer_business_days: how long they have to answer a polite exit.
        answers: how long they have to answer other touches, by name.
        most_attempts, most_spaced_calls: its own limits in a silence.
        guards: those that can be asked about the past.
        own_guards: the names of those that are functions of the team's own, which can't.
        usable: the channels that the team uses.
        asks_more: whether it has answer times, limits or guards.
    """

    def __init__(self, policy: Policy) -> None:
        self.ref: PolicyRef = policy.ref
        self.digest = policy.digest
        self.known = True
        self.week: Week = policy.week
        self.closed = policy.closed
        self.holidays_of = policy.holidays_of
        self.places = tuple(
            _place(one, number, policy) for number, one in enumerate(policy.planned_touches)
        )
        self.counts = [0] * 8
        for place in self.places:
            self.counts[place.rank] += 1
        self.by_name = {place.name: place for place in self.places}
        self.exit: Place | None = None
        self.answer_business_days = 1
        point = policy.exit_point
        if point is not None:
            self.exit = _place(point, len(self.places), policy)
            self.by_name[self.exit.name] = self.exit
            answer = point.step.answer_within
            self.answer_business_days = 1 if answer is None else answer.business_days or 1
        self.horizon_business_days = policy.horizon_business_days
        self.answers = {
            place.name: _lasts(point.step.answer_within)
            for place, point in zip(self.places, policy.planned_touches, strict=True)
            if point.step.answer_within is not None
        }
        self.most_attempts = policy.limits.attempts
        self.most_spaced_calls = policy.limits.spaced_calls
        self.usable = frozenset(policy.usable)
        plain = [msgspec.to_builtins(guard) for guard in policy.guards]
        self.guards = tuple(_guard(one) for one in plain if one["kind"] != _OWN)
        self.own_guards = tuple(one.get("id") or _OWN for one in plain if one["kind"] == _OWN)
        limited = self.most_attempts is not None or self.most_spaced_calls is not None
        self.asks_more = limited or bool(self.answers or self.guards)
        self._unknown: dict[str, Plan] = {}
        self._times: dict[_Where, WorkCalendar | None] = {}
        self._holidays: dict[_Where, WorkCalendar] = {}

    @property
    def begins_on_time(self) -> bool:
        """Whether its first touch is the call at the appointment."""
        return bool(self.places) and self.places[0].rank == 1

    def time(
        self, zones: tuple[str, ...], country: str | None, subdivision: str | None
    ) -> WorkCalendar | None:
        """The business time of that place under this calendar; ``None``: nobody knows the place."""
        where = zones, country, subdivision
        try:
            return self._times[where]
        except KeyError:
            pass
        try:
            found = work_calendar(
                zones, self.week, country, subdivision, self.closed, self.holidays_of
            )
        except InputError:
            found = None
        if len(self._times) >= _MOST_PLACES:
            self._times.clear()
        self._times[where] = found
        return found

    def holidays(
        self, zones: tuple[str, ...], country: str | None, subdivision: str | None
    ) -> WorkCalendar:
        """Every day in those zones but the public holidays of a country."""
        where = zones, country, subdivision
        found = self._holidays.get(where)
        if found is None:
            found = work_calendar(zones, ALL_DAY, country, subdivision, frozenset())
            if len(self._holidays) >= _MOST_PLACES:
                self._holidays.clear()
            self._holidays[where] = found
        return found

    def unknown(self, ref: PolicyRef) -> Plan:
        """The policy ``ref``, which is not at hand; days are counted by this one's calendar."""
        found = self._unknown.get(ref.digest)
        if found is None:
            found = self._unknown[ref.digest] = Plan.__new__(Plan)
            found.__dict__.update(self.__dict__)
            found.ref, found.digest, found.known = ref, ref.digest, False
            found.places, found.by_name, found.counts = (), {}, [0] * 8
            found.answer_business_days = 1
            found.answers, found.guards, found.own_guards = {}, (), ()
            found.most_attempts = found.most_spaced_calls = None
            found.asks_more = False
        return found
