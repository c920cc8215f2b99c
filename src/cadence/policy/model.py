"""Define a policy: what comes next, as data.

These structs are the shape of a policy file. ``policy/loader.py`` reads one, the engine follows
it, and the prover proves it. Durations and limits carry their unit in their key.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Annotated, Any, Final, Literal

import msgspec

from cadence.domain.channels import BUILT_IN, CALL, AddressKind, Channel, ChannelTraits
from cadence.domain.events import AttemptStage, PolicyRef
from cadence.domain.plurals import plural
from cadence.domain.shown import Shown
from cadence.domain.stages import Stage, rank
from cadence.policy.field_types import (
    CallerId,
    ClosedDay,
    Country,
    DayOfHours,
    Id,
    OpenHours,
    OutreachStage,
    PolicyChannel,
    PolicyId,
    Subdivision,
    TimeOfDay,
    WeekdayName,
)
from cadence.policy.guards import Guard
from cadence.policy.script_forms import ScriptForms
from cadence.worktime.calendar import WorkCalendar, unhindered
from cadence.worktime.hours import (
    WEEKDAYS,
    Hours,
    OpenTimes,
    Region,
    Week,
    Weekday,
    parse_hours,
    week_of,
)

__all__ = [
    "EXACT",
    "HALF_DAYS_UNTIL",
    "MAX_BUSINESS_DAYS",
    "MAX_TOUCHES",
    "After",
    "Calendar",
    "Distance",
    "HolidaysOf",
    "Limits",
    "PlannedTouch",
    "Policy",
    "Requires",
    "Rotate",
    "Step",
    "StepPart",
    "Within",
    "WordingException",
    "canonical_step",
]

MAX_BUSINESS_DAYS: Final = 260
"""The largest distance in business days, about a year."""
EXACT: Final = (AttemptStage.ON_TIME, AttemptStage.TEN_MINUTES)
"""The stages of the appointment's own steps: quiet hours bind them, business hours do not."""
HALF_DAYS_UNTIL: Final = "13:00"
"""When half days close, unless the policy says otherwise."""
MAX_TOUCHES: Final = 1000
"""How many touches a plan may have, all ``times`` counted."""

_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Minutes = Annotated[int, msgspec.Meta(ge=1, le=24 * 60)]
_Hours = Annotated[int, msgspec.Meta(ge=1, le=72)]
_BusinessDays = Annotated[int, msgspec.Meta(ge=1, le=MAX_BUSINESS_DAYS)]
_Some = msgspec.Meta(min_length=1, max_length=200)


class Distance(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """A distance in time, in exactly one unit."""

    minutes: _Minutes | None = None
    hours: _Hours | None = None
    business_days: _BusinessDays | None = None

    @property
    def elapsed(self) -> timedelta | None:
        """The distance as elapsed time; ``None`` if it is in business days."""
        if self.minutes is not None:
            return timedelta(minutes=self.minutes)
        if self.hours is not None:
            return timedelta(hours=self.hours)
        return None

    @property
    def gap(self) -> tuple[int, int]:
        """The distance as a gap between business days is measured: business days, else minutes."""
        elapsed = self.elapsed
        if elapsed is None:
            return self.business_days or 0, 0
        return (elapsed.days, 0) if elapsed.days else (0, elapsed // timedelta(minutes=1))

    def __str__(self) -> str:
        for unit, value in (
            ("business day", self.business_days),
            ("hour", self.hours),
            ("minute", self.minutes),
        ):
            if value is not None:
                return plural(value, unit)
        return "at once"


class After(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """How far a step's touches are from the attempt before, in exactly one unit.

    One value for all of them, a list with one value each, or a first value and ``growth``.

    Attributes:
        growth: each gap is so many times the one before, rounded up to whole business days, so
            that rounding never makes one shrink.
        at_most_business_days: where growth stops.
    """

    minutes: _Minutes | Annotated[tuple[_Minutes, ...], _Some] | None = None
    hours: _Hours | Annotated[tuple[_Hours, ...], _Some] | None = None
    business_days: _BusinessDays | Annotated[tuple[_BusinessDays, ...], _Some] | None = None
    growth: Annotated[float, msgspec.Meta(gt=0, le=10)] | None = None
    at_most_business_days: _BusinessDays | None = None

    @property
    def units(self) -> list[str]:
        """The units that are given; the loader accepts exactly one."""
        return [u for u in ("minutes", "hours", "business_days") if getattr(self, u) is not None]

    @property
    def listed(self) -> int | None:
        """How many values are listed; ``None`` where there is one value."""
        for unit in self.units:
            value = getattr(self, unit)
            if isinstance(value, tuple):
                return len(value)
        return None

    def distances(self, times: int) -> tuple[Distance, ...]:
        """Return the distance of each of ``times`` touches from the attempt before it."""
        unit = self.units[0]
        value: int | tuple[int, ...] = getattr(self, unit)
        if isinstance(value, tuple):
            values = [*value, *(value[-1:] * (times - len(value)))][:times]
        elif self.growth is None:
            values = [value] * times
        else:
            growth = Fraction(str(self.growth))
            most = self.at_most_business_days or MAX_BUSINESS_DAYS
            values = [value]
            while len(values) < times:
                values.append(max(1, min(most, math.ceil(values[-1] * growth))))
        return tuple(Distance(**{unit: one}) for one in values)

    def __str__(self) -> str:
        return ", ".join(dict.fromkeys(str(one) for one in self.distances(self.listed or 1)))


class Within(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How late an exact step may be before it lapses and is skipped."""

    minutes: _Minutes


class Requires(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a step requires.

    Attributes:
        attempts: made in the silence; with fewer the step is skipped.
        days: elapsed since the first attempt of the silence; the step waits for them.
        guidelines: they agreed that we follow up and that they may say no; without that the step
            is skipped.
    """

    attempts: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    days: Annotated[int, msgspec.Meta(ge=0, le=3660)] = 0
    guidelines: bool = False


class StepPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One part of a touch: the first of ``channels`` that can be used, and what to say on it.

    Attributes:
        channels: in order of preference.
        script: the name of the text.
        along_with: made only where a part before it is on this channel.
    """

    channels: Annotated[tuple[PolicyChannel, ...], msgspec.Meta(min_length=1)]
    script: _Text
    along_with: PolicyChannel | None = None


@lru_cache(maxsize=256)
def _seconds(times: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(parse_hours(f"{text}-24:00")[0] for text in times)


def _in_order(hours: tuple[str, ...]) -> tuple[Hours, ...]:
    return tuple(sorted(map(parse_hours, hours)))


@lru_cache(maxsize=256)
def _ordinals(days: tuple[Weekday, ...]) -> tuple[int, ...]:
    return tuple(WEEKDAYS.index(day) for day in days)


class Rotate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """At which other time to try, because the last attempt met silence.

    Attributes:
        times: local times of day, ``"HH:MM"``, taken in turn.
        days: weekdays, taken in turn; a touch waits for the next of them.
    """

    times: Annotated[tuple[TimeOfDay, ...], msgspec.Meta(max_length=24)] = ()
    days: Annotated[tuple[WeekdayName, ...], msgspec.Meta(max_length=7)] = ()

    @property
    def seconds(self) -> tuple[int, ...]:
        """The times of day, in seconds after midnight."""
        return _seconds(self.times)

    @property
    def weekdays(self) -> tuple[int, ...]:
        """The weekdays; Monday is 0."""
        return _ordinals(self.days)


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step of the plan; with ``times``, that many touches in a row.

    Attributes:
        stage: the stage that its touches lead to.
        parts: what to do at once in each touch; it has these, or a rotation.
        rotation: the parts of the first touch, of the second, and so on, and again from the first.
        after: how far its touches are from the attempt before; it has this, or ``at``.
        at: exactly at the appointment.
        times: how many touches it has; 1, if it says nothing and ``after`` lists nothing.
        within: how late an exact step may be before it is skipped.
        requires: what it requires; without that it is skipped, or waits.
        rotate: at which other time of day, or on which other weekday, to try next.
        answer_within: how long they have to answer; nothing follows sooner.
    """

    id: Id
    stage: OutreachStage
    parts: tuple[StepPart, ...] = ()
    after: After | None = None
    at: Literal["appointment"] | None = None
    times: Annotated[int, msgspec.Meta(ge=1, le=200)] | None = None
    within: Within | None = None
    requires: Requires = Requires()
    answer_within: Distance | None = None
    rotation: Annotated[tuple[tuple[StepPart, ...], ...], msgspec.Meta(max_length=200)] = ()
    rotate: Rotate | None = None

    @property
    def touches(self) -> int:
        """How many touches it has."""
        listed = None if self.after is None else self.after.listed
        return self.times or listed or 1

    def all_parts(self, key: str) -> Iterator[tuple[str, StepPart]]:
        """Yield every part with its key in the file, under the key of the step."""
        for number, part in enumerate(self.parts):
            yield f"{key}.parts[{number}]", part
        for turn, parts in enumerate(self.rotation):
            for number, part in enumerate(parts):
                yield f"{key}.rotation[{turn}][{number}]", part

    def parts_of(self, number: int) -> tuple[StepPart, ...]:
        """Return the parts of its touch ``number``, counted from 0."""
        return self.rotation[number % len(self.rotation)] if self.rotation else self.parts


class HolidaysOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The public holidays of a region."""

    country: Country
    subdivision: Subdivision | None = None


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Business hours by weekday, and closed days.

    The prospect's own public holidays are always closed. ``holidays`` names regions whose holidays
    are closed too, such as the team's own.

    Attributes:
        on: hours for single dates, in place of those of their weekday, which must have some.
        half_days_until: when the half days of the prospect's country close; a time after business
            hours leaves them whole.
        weekend: whose weekend is closed: the one of the prospect's country, whatever the policy's
            own days are; or the policy's, which closes the days without hours, everywhere.
    """

    mon: tuple[OpenHours, ...] = ()
    tue: tuple[OpenHours, ...] = ()
    wed: tuple[OpenHours, ...] = ()
    thu: tuple[OpenHours, ...] = ()
    fri: tuple[OpenHours, ...] = ()
    sat: tuple[OpenHours, ...] = ()
    sun: tuple[OpenHours, ...] = ()
    closed: tuple[ClosedDay, ...] = ()
    holidays: tuple[HolidaysOf, ...] = ()
    on: dict[DayOfHours, Annotated[tuple[OpenHours, ...], msgspec.Meta(min_length=1)]] = {}
    half_days_until: TimeOfDay = HALF_DAYS_UNTIL
    weekend: Literal["prospect", "policy"] = "prospect"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Narrower limits than those of the invariants; a step beyond one is skipped.

    Attributes:
        attempts: most attempts in a silence before the polite exit.
        spaced_calls: most spaced calls in a silence.
    """

    attempts: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    spaced_calls: Annotated[int, msgspec.Meta(ge=0, le=200)] | None = None


class ChannelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A channel of the policy's own, or which of the built-in ones the team does not use.

    Attributes:
        address: what its addresses are: phone, email, post or handle; the built-in channels have
            theirs already.
        spoken: whether a touch on it is a call: it counts as a spaced call, and connects.
        answer_business_days: how many business days an answer to a polite exit takes at least.
        caller_id: always shown; hiding it is unlawful for telemarketing (ADR 0055).
        used: false for a channel that is known and that the team does not use.
    """

    address: AddressKind | None = None
    spoken: bool = False
    answer_business_days: Annotated[int, msgspec.Meta(ge=1, le=60)] = 1
    used: bool = True
    caller_id: CallerId = "shown"


class WordingException(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A finding of the wording linter that the team accepts.

    Attributes:
        rule: the rule of the finding.
        why: the reason, for readers.
        script: in which script; ``None``: in all.
    """

    rule: _Text
    why: _Text
    script: str | None = None


class PlannedTouch(msgspec.Struct, frozen=True, dict=True):
    """One touch of the plan.

    Attributes:
        step: the step it belongs to.
        stage: the stage it leads to.
        name: the id of its step, with ``#3`` for the third of several.
        position: its place among the touches of its stage, counted from 0.
        index: its place in the plan, counted from 0.
        after: its distance from the attempt before; ``None`` for the appointment's own call.
        parts: what to do.
        spoken: its channels that are spoken: a touch on one of these is a call.
        backward: whether the file has it behind a touch of a later stage, where it can't be made.
        behind_exit: whether the file has it behind the polite exit, where nothing is made.
    """

    step: Step
    stage: Stage
    name: str
    position: int
    index: int
    after: Distance | None
    parts: tuple[StepPart, ...]
    spoken: frozenset[Channel] = frozenset({CALL})
    backward: bool = False
    behind_exit: bool = False

    @cached_property
    def elapsed(self) -> timedelta | None:
        """That distance as elapsed time; ``None`` if it is in business days, or there is none."""
        return None if self.after is None else self.after.elapsed

    @cached_property
    def channels(self) -> frozenset[Channel]:
        """The channels that its parts may use, but for those that only go along with others."""
        return frozenset(
            channel for part in self.parts if part.along_with is None for channel in part.channels
        )

    @property
    def may_be_call(self) -> bool:
        """Whether it may be made on a spoken channel."""
        return not self.spoken.isdisjoint(self.channels)


def _sorted(plain: dict[str, Any]) -> bytes:
    return msgspec.json.encode(plain, order="sorted")


def _canonical(value: Any) -> Any:
    """Bring values of the same meaning into one form: no empty tables, hours in minutes."""
    if isinstance(value, dict):
        if value.keys() == {"hours"} and isinstance(value["hours"], int):
            return {"minutes": 60 * value["hours"]}
        members = {key: _canonical(member) for key, member in value.items()}
        return {key: member for key, member in members.items() if member not in ({}, [], ())}
    if isinstance(value, list | tuple):
        return [_canonical(member) for member in value]
    return value


def canonical_step(step: Step) -> dict[str, Any]:
    """Return a step in one form, whatever the layout of the file.

    Lists, growth and rotations are written out, then shortened where all values are alike.
    """
    plain: dict[str, Any] = msgspec.to_builtins(step)
    plain.pop("times", None)
    plain.pop("rotation", None)
    if step.touches > 1:
        plain["times"] = step.touches
    if step.after is not None and len(step.after.units) == 1:
        gaps = [_canonical(msgspec.to_builtins(d)) for d in step.after.distances(step.touches)]
        plain["after"] = gaps[0] if all(gap == gaps[0] for gap in gaps) else gaps
    turns = [msgspec.to_builtins(step.parts_of(number)) for number in range(step.touches)]
    plain["parts"] = turns[0]
    if any(turn != turns[0] for turn in turns):
        plain["parts"], plain["rotation"] = [], turns
    if step.rotate is not None:
        plain["rotate"] = {"times": step.rotate.seconds, "days": step.rotate.days}
    canonical: dict[str, Any] = _canonical(plain)
    return canonical


_NO_HORIZON: Final = 100_000  # business days; longer than any silence


class Policy(Shown, msgspec.Struct, frozen=True, dict=True, forbid_unknown_fields=True):
    """A whole policy. Immutable; two with the same meaning have the same :attr:`digest`.

    Attributes:
        id: its name, in the catalogue and on every attempt made under it.
        version: raised with every change of meaning.
        title: its name for readers.
        source: where its rules come from.
        horizon_business_days: in a silence longer than this only the polite exit is left.
        task_business_days: how many business days an owner has for a task.
        calendar: when the team works.
        steps: the plan, in order.
        channels: a list of the channels that the team uses, or a table of those that it declares
            (``[channels.whatsapp]``); all built-in ones are used, if it says nothing.
        limits: narrower limits than those of the invariants.
        guards: what may delay or veto a touch; every guard is asked.
        scripts: its own scripts by name, beside those that come with cadence: a text for every
            form, or a table of forms (``[scripts.NAME]``).
        wording: findings of the wording linter that it accepts (``[[wording]]``), with the reason.
    """

    id: PolicyId
    version: _Positive
    title: _Text
    source: _Text
    horizon_business_days: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    task_business_days: Annotated[int, msgspec.Meta(ge=1, le=60)]
    calendar: Calendar
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=500)]
    channels: tuple[PolicyChannel, ...] | dict[PolicyChannel, ChannelTable] = ()
    limits: Limits = Limits()
    guards: Annotated[tuple[Guard, ...], msgspec.Meta(max_length=50)] = ()
    scripts: dict[str, _Text | ScriptForms] = {}
    wording: Annotated[tuple[WordingException, ...], msgspec.Meta(max_length=200)] = ()

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of its canonical form: of what it means, not of its layout."""
        plain = msgspec.to_builtins(self)
        plain["calendar"] = {
            "hours": self.week,
            "closed": sorted(self.closed),
            "holidays": sorted(map(list, self.holidays_of), key=str),
            **self._calendar_options(),
        }
        plain["steps"] = [canonical_step(step) for step in self.steps]
        if not isinstance(self.channels, dict):
            plain["channels"] = sorted(plain["channels"])
        plain["guards"] = sorted((guard.canonical() for guard in self.guards), key=_sorted)
        canonical = _canonical(plain)
        return hashlib.sha256(msgspec.json.encode(canonical, order="deterministic")).hexdigest()

    @cached_property
    def ref(self) -> PolicyRef:
        """Its name, version and digest, as every attempt under it carries them."""
        return PolicyRef(self.id, self.version, self.digest)

    @cached_property
    def week(self) -> Week:
        """The open hours by weekday, Monday first, each day's in order."""
        return week_of(self.calendar)

    @cached_property
    def closed(self) -> frozenset[int]:
        """The ordinals of the closed days."""
        return frozenset(day.toordinal() for day in self.calendar.closed)

    @cached_property
    def holidays_of(self) -> tuple[Region, ...]:
        """The regions whose holidays are closed beside the prospect's own."""
        return tuple(dict.fromkeys((h.country, h.subdivision) for h in self.calendar.holidays))

    @cached_property
    def open_times(self) -> OpenTimes:
        """When the team works, for :func:`~cadence.worktime.work_calendar`."""
        calendar = self.calendar
        return OpenTimes(
            self.week,
            self.closed,
            self.holidays_of,
            on=tuple(sorted((day.toordinal(), hours) for day, hours in self.hours_on.items())),
            half_days_until=_seconds((calendar.half_days_until,))[0],
            has_their_weekend=calendar.weekend == "prospect",
        )

    @cached_property
    def hours_on(self) -> dict[date, tuple[Hours, ...]]:
        """The dates with hours of their own, where those are others than of their weekday."""
        given = {day: _in_order(hours) for day, hours in self.calendar.on.items()}
        return {day: hours for day, hours in given.items() if hours != self.week[day.weekday()]}

    def _calendar_options(self) -> dict[str, Any]:
        """What the digest has of the calendar only where it is given: it is younger than most."""
        calendar, found = self.calendar, dict[str, Any]()
        if self.hours_on:
            found["on"] = {day.isoformat(): hours for day, hours in sorted(self.hours_on.items())}
        if calendar.half_days_until != HALF_DAYS_UNTIL:
            found["half_days_until"] = calendar.half_days_until
        if calendar.weekend != "prospect":
            found["weekend"] = calendar.weekend
        return found

    @cached_property
    def on_its_own_weekend(self) -> Policy:
        """The same policy with its weekdays as written, wherever the prospect lives."""
        calendar = msgspec.structs.replace(self.calendar, weekend="policy")
        return msgspec.structs.replace(self, calendar=calendar)

    @cached_property
    def undelayed(self) -> Policy:
        """The same plan without what delays its touches, or skips them for being late.

        It has no guards, horizon and rotation, and the calendar of :func:`unhindered`. It keeps
        its name, version and digest.
        """
        steps = tuple([msgspec.structs.replace(step, rotate=None) for step in self.steps])
        plain = msgspec.structs.replace(
            self, guards=(), steps=steps, horizon_business_days=_NO_HORIZON
        )
        # Not of any file, so they are not among the fields.
        vars(plain)["calendar_everywhere"] = unhindered(sum(map(bool, self.week)))
        vars(plain)["ref"] = self.ref
        return plain

    @cached_property
    def calendar_everywhere(self) -> WorkCalendar | None:
        """The calendar of every prospect, wherever they live; ``None``: each has their own."""
        return None

    @cached_property
    def horizon(self) -> timedelta:
        """A time in which no calendar has more business days than the horizon has."""
        # A day less, for clocks that go forward: an hour before midnight leads past it.
        return timedelta(days=self.horizon_business_days - 1)

    @cached_property
    def traits(self) -> dict[Channel, ChannelTraits]:
        """What is to be known of each channel: the built-in ones, then those that it declares."""
        found = dict(BUILT_IN)
        if isinstance(self.channels, dict):
            for channel, table in self.channels.items():
                if table.address is not None:
                    found[channel] = ChannelTraits(
                        table.address, table.spoken, table.answer_business_days
                    )
        return found

    @cached_property
    def usable(self) -> frozenset[Channel]:
        """The channels that the team uses; all that it knows, if it leaves none out."""
        if isinstance(self.channels, dict):
            unused = {channel for channel, table in self.channels.items() if not table.used}
            return frozenset(self.traits) - unused
        return frozenset(self.channels or self.traits)

    @cached_property
    def spoken(self) -> frozenset[Channel]:
        """The channels on which a touch is a call."""
        return frozenset(channel for channel, traits in self.traits.items() if traits.spoken)

    @cached_property
    def planned_touches(self) -> tuple[PlannedTouch, ...]:
        """Every touch of the plan but the polite exit, in order."""
        return tuple(self._plan())

    @cached_property
    def ahead(self) -> dict[Stage, tuple[PlannedTouch, ...]]:
        """The touches of the plan from each stage on.

        A touch in the wrong place of the file is in all of them: the invariants name it there.
        """
        return {
            stage: tuple(
                touch
                for touch in self.planned_touches
                if rank(touch.stage) >= rank(stage) or touch.backward or touch.behind_exit
            )
            for stage in Stage
        }

    @cached_property
    def by_name(self) -> dict[str, PlannedTouch]:
        """The touches of the plan by their names."""
        return {touch.name: touch for touch in self.planned_touches}

    @cached_property
    def exit_step(self) -> Step | None:
        """The polite exit; ``None`` where the file has none, which the prover refuses."""
        exits = (step for step in self.steps if step.stage is AttemptStage.POLITE_EXIT)
        return next(exits, None)

    @cached_property
    def exit_point(self) -> PlannedTouch | None:
        """The polite exit as a touch of the plan, behind all others."""
        step = self.exit_step
        if step is None:
            return None
        index = len(self.planned_touches)
        after = None if step.after is None else step.after.distances(1)[0]
        return PlannedTouch(
            step, Stage.POLITE_EXIT, step.id, 0, index, after, step.parts_of(0), self.spoken
        )

    @cached_property
    def asks_guidelines(self) -> bool:
        """Whether any touch requires that they agreed to be followed up."""
        return any(touch.step.requires.guidelines for touch in self.planned_touches)

    @cached_property
    def answers(self) -> dict[str, Distance]:
        """The answer times of touches before the exit, by name."""
        return {
            touch.name: touch.step.answer_within
            for touch in self.planned_touches
            if touch.step.answer_within is not None
        }

    def _plan(self) -> Iterator[PlannedTouch]:
        positions: dict[AttemptStage, int] = {}
        exit_step, behind_exit = self.exit_step, False
        furthest = -1
        index = 0
        for step in self.steps:
            if step is exit_step:
                behind_exit = True
                continue
            times = step.touches
            stage = Stage(step.stage.value)
            gaps = None if step.after is None else step.after.distances(times)
            backward = rank(stage) < furthest
            furthest = max(furthest, rank(stage))
            for number in range(times):
                position = positions.get(step.stage, 0)
                positions[step.stage] = position + 1
                name = step.id if times == 1 else f"{step.id}#{number + 1}"
                after = None if gaps is None else gaps[number]
                parts = step.parts_of(number)
                yield PlannedTouch(
                    step,
                    stage,
                    name,
                    position,
                    index,
                    after,
                    parts,
                    self.spoken,
                    backward,
                    behind_exit,
                )
                index += 1
