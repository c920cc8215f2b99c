"""A policy as the audit reads it: its touches in order, and what each asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple

from cadence.core.events import AttemptStage, Channel, PolicyRef
from cadence.errors import InputError
from cadence.policy.business_time import BusinessTime, Week, business_time
from cadence.policy.guards import Custom
from cadence.policy.model import Limits, Policy, Touchpoint

__all__ = ["RANK", "Place", "Plan"]

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


class Place(NamedTuple):
    """One touch of a plan.

    Attributes:
        number: its position in the plan; the polite exit comes last.
        name: as it stands on an attempt, e.g. ``spaced#3``.
        rank: of its stage.
        position: which touch of its stage it is, from 0.
        parts: for each part the channels that may carry it, the first that is left.
        business_days, elapsed: its distance from the attempt before; one of them, or neither for
            the call at the appointment.
        within: how late it may be before it lapses.
        requires_attempts, requires_days: what must have been before it in the silence.
    """

    number: int
    name: str
    rank: int
    position: int
    parts: tuple[tuple[Channel, ...], ...]
    business_days: int | None
    elapsed: timedelta | None
    within: timedelta | None
    requires_attempts: int
    requires_days: int
    rotated: bool
    """Times of day rotate in its plan, also those of what replaces a touch: only its day counts."""
    optional: bool
    """Passed over for causes that this reading does not look into: guidelines, limits, vetoes."""
    only_channel: Channel | None
    """The channel that it is made on while that is left, if it has one part."""

    @property
    def may_call(self) -> bool:
        """Whether it may be a call, so that the cap on spaced calls passes it over."""
        return any(Channel.CALL in channels for channels in self.parts)


def _place(point: Touchpoint, number: int, policy: Policy) -> Place:
    step, after = point.step, point.after
    vetoed = any(isinstance(guard, Custom) for guard in policy.guards)
    limited = policy.limits != Limits()
    parts = tuple(
        tuple(channel for channel in part.channels if channel in policy.usable)
        for part in point.parts
    )
    return Place(
        number,
        point.name,
        RANK[step.stage],
        point.position,
        parts,
        None if after is None else after.business_days,
        None if after is None else after.elapsed,
        None if step.within is None else timedelta(minutes=step.within.minutes),
        step.requires.attempts,
        step.requires.days,
        any(one.rotate is not None for one in policy.steps),
        step.requires.guidelines or limited or vetoed,
        parts[0][0] if len(parts) == 1 and parts[0] else None,
    )


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
        exit: the polite exit, at the index after all others.
        horizon_business_days: behind it only the polite exit is left.
        answer_business_days: how long they have to answer a polite exit.
    """

    def __init__(self, policy: Policy) -> None:
        self.ref: PolicyRef = policy.ref
        self.digest = policy.digest
        self.known = True
        self.week: Week = policy.week
        self.closed = policy.closed
        self.holidays_of = policy.holidays_of
        self.places = tuple(
            _place(one, number, policy) for number, one in enumerate(policy.touchpoints)
        )
        self.counts = [0] * 8
        for place in self.places:
            self.counts[place.rank] += 1
        point = policy.exit_point
        assert point is not None  # no policy is proved without one
        self.exit = _place(point, len(self.places), policy)
        self.by_name = {place.name: place for place in (*self.places, self.exit)}
        self.horizon_business_days = policy.horizon_business_days
        answer = point.step.answer_within
        self.answer_business_days = 1 if answer is None else answer.business_days or 1
        self._unknown: dict[str, Plan] = {}
        self._times: dict[_Where, BusinessTime | None] = {}

    @property
    def begins_on_time(self) -> bool:
        """Whether its first touch is the call at the appointment."""
        return bool(self.places) and self.places[0].rank == 1

    def time(
        self, zones: tuple[str, ...], country: str | None, subdivision: str | None
    ) -> BusinessTime | None:
        """The business time of that place under this calendar; ``None``: nobody knows the place."""
        where = zones, country, subdivision
        try:
            return self._times[where]
        except KeyError:
            pass
        try:
            found = business_time(
                zones, self.week, country, subdivision, self.closed, self.holidays_of
            )
        except InputError:
            found = None
        if len(self._times) >= _MOST_PLACES:
            self._times.clear()
        self._times[where] = found
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
        return found
