"""A policy: what comes next, as data.

The shape of a policy file. ``policy/load.py`` reads one; ``policy/next_touch.py`` follows it.
Durations and caps carry their unit in their key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec

from cadence.core.events import AttemptStage, Channel, PolicyRef
from cadence.core.stages import Stage, rank
from cadence.policy.business_time import Week, parse_hours

__all__ = ["After", "Calendar", "Policy", "Requires", "Step", "StepPart", "Touchpoint", "Within"]

_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class After(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """A distance in exactly one unit."""

    minutes: Annotated[int, msgspec.Meta(ge=1, le=24 * 60)] | None = None
    hours: Annotated[int, msgspec.Meta(ge=1, le=72)] | None = None
    business_days: Annotated[int, msgspec.Meta(ge=1, le=260)] | None = None

    @property
    def elapsed(self) -> timedelta | None:
        """The distance as elapsed time; ``None`` if it is in business days."""
        if self.minutes is not None:
            return timedelta(minutes=self.minutes)
        if self.hours is not None:
            return timedelta(hours=self.hours)
        return None

    def __str__(self) -> str:
        for unit, value in (
            ("business day", self.business_days),
            ("hour", self.hours),
            ("minute", self.minutes),
        ):
            if value is not None:
                return f"{value} {unit}{'' if value == 1 else 's'}"
        return "at once"


class Within(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How late an exact step may be before it lapses."""

    minutes: Annotated[int, msgspec.Meta(ge=1, le=24 * 60)]


class Requires(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must have been before a step: attempts made, and days since the first of them."""

    attempts: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    days: Annotated[int, msgspec.Meta(ge=0, le=3660)] = 0


class StepPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of a touch: the first of ``channels`` that is left, and what to say on it."""

    channels: Annotated[tuple[Channel, ...], msgspec.Meta(min_length=1)]
    script: _Text


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step of the plan; with ``times``, that many touches in a row."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*$")]
    stage: AttemptStage
    parts: Annotated[tuple[StepPart, ...], msgspec.Meta(min_length=1)]
    after: After | None = None
    at: Literal["appointment"] | None = None
    times: Annotated[int, msgspec.Meta(ge=1, le=200)] = 1
    within: Within | None = None
    requires: Requires = Requires()
    answer_within: After | None = None


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Business hours by weekday, and further days on which nobody is called."""

    mon: tuple[str, ...] = ()
    tue: tuple[str, ...] = ()
    wed: tuple[str, ...] = ()
    thu: tuple[str, ...] = ()
    fri: tuple[str, ...] = ()
    sat: tuple[str, ...] = ()
    sun: tuple[str, ...] = ()
    closed: tuple[date, ...] = ()


class Touchpoint(msgspec.Struct, frozen=True):
    """One touch of the plan, the ``position``-th of its stage."""

    step: Step
    stage: Stage
    name: str
    position: int


def _canonical(value: Any) -> Any:
    """What means the same in one form: empty tables left out, hours in minutes."""
    if isinstance(value, dict):
        if value.keys() == {"hours"} and isinstance(value["hours"], int):
            return {"minutes": 60 * value["hours"]}
        made = {key: _canonical(one) for key, one in value.items()}
        return {key: one for key, one in made.items() if one not in ({}, [], ())}
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]
    return value


class Policy(msgspec.Struct, frozen=True, dict=True, forbid_unknown_fields=True):
    """A whole policy. Immutable; two with the same meaning have the same :attr:`digest`.

    Attributes:
        id: its name, in the catalogue and on every attempt made under it.
        version: raised with every change of meaning.
        title: for people.
        source: where its rules come from.
        horizon_business_days: in a silence longer than this only the polite exit is left.
        task_business_days: how many business days an owner has for a task.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]*$")]
    version: _Positive
    title: _Text
    source: _Text
    horizon_business_days: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    task_business_days: Annotated[int, msgspec.Meta(ge=1, le=60)]
    calendar: Calendar
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=500)]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical form: of what the policy means, not of its layout."""
        plain = msgspec.to_builtins(self)
        plain["calendar"] = {"hours": self.week, "closed": sorted(self.closed)}
        canonical = _canonical(plain)
        return hashlib.sha256(msgspec.json.encode(canonical, order="deterministic")).hexdigest()

    @cached_property
    def ref(self) -> PolicyRef:
        """Name, version and digest, as they stand on an attempt."""
        return PolicyRef(self.id, self.version, self.digest)

    @cached_property
    def week(self) -> Week:
        """Open hours by weekday, Monday first, in order."""
        c = self.calendar
        days = (c.mon, c.tue, c.wed, c.thu, c.fri, c.sat, c.sun)
        return tuple(tuple(sorted(parse_hours(text) for text in day)) for day in days)

    @cached_property
    def closed(self) -> frozenset[int]:
        """Ordinals of the closed days."""
        return frozenset(day.toordinal() for day in self.calendar.closed)

    @cached_property
    def touchpoints(self) -> tuple[Touchpoint, ...]:
        """Every touch of the plan before the polite exit, in order."""
        return tuple(self._touchpoints())

    @cached_property
    def ahead(self) -> dict[Stage, tuple[Touchpoint, ...]]:
        """For each stage, the touches of the plan from that stage on."""
        return {
            stage: tuple(one for one in self.touchpoints if rank(one.stage) >= rank(stage))
            for stage in Stage
        }

    @cached_property
    def polite_exit(self) -> Step:
        """The step that leaves them a way out; the loader makes sure there is one."""
        return next(step for step in self.steps if step.stage is AttemptStage.POLITE_EXIT)

    def _touchpoints(self) -> Iterator[Touchpoint]:
        positions: dict[AttemptStage, int] = {}
        for step in self.steps:
            if step.stage is AttemptStage.POLITE_EXIT:
                continue
            for number in range(1, step.times + 1):
                position = positions.get(step.stage, 0)
                positions[step.stage] = position + 1
                name = step.id if step.times == 1 else f"{step.id}#{number}"
                yield Touchpoint(step, Stage(step.stage.value), name, position)
