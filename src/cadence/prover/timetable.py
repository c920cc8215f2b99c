"""Show a policy as a timetable: what happens on which business day without an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from cadence.domain.channels import Channel
from cadence.domain.events import AttemptMade, Data, PreferenceStated
from cadence.domain.plurals import plural
from cadence.domain.stages import Stage
from cadence.engine.decision import Due
from cadence.policy.model import Policy
from cadence.prover.simulation import Scenario, Simulation, beginnings
from cadence.prover.state_space import Beginning

__all__ = ["Entry", "timetable", "unanswered"]


class Entry(msgspec.Struct, frozen=True):
    """One line of a timetable.

    Attributes:
        business_day: counted from the day of the appointment, which is 0.
        at: the time of day, as ``HH:MM``.
        step: the step's name; at the end ``close``, or ``task`` where it is left to the owner.
        channels: how, one a part.
        gap: distance to the touch before, for a reader.
    """

    business_day: int
    at: str
    step: str
    channels: tuple[str, ...]
    gap: str


def timetable(
    policy: Policy,
    channels: Iterable[Channel] | None = None,
    *,
    prefers: Channel | None = None,
    guidelines: bool = True,
) -> Iterator[Entry]:
    """Yield what ``policy`` does with a prospect who never answers, each touch made when due.

    It is a simulation through the engine itself, so it can't promise anything else: in plain weeks,
    without holidays and closed days. A silence begins as the policy has it: with an appointment,
    or else with the owner's own attempt, made as the policy would make its first touch.

    Args:
        policy: under which.
        channels: on which they can be reached; all that the team uses.
        prefers: the channel they prefer.
        guidelines: whether they agreed to be followed up.
    """
    shown = 0
    for simulation in unanswered(policy, channels, prefers=prefers, guidelines=guidelines):
        for event in simulation.events[shown:]:
            if isinstance(event.data, AttemptMade):
                yield _entry(event.occurred_at, event.data, simulation)
        shown = len(simulation.events)
        decision = simulation.decision
        if not isinstance(decision, Due):
            end = decision.verdict.value
            yield Entry(simulation.business_day(), f"{simulation.now:%H:%M}", end, (), "")


def unanswered(
    policy: Policy,
    channels: Iterable[Channel] | None = None,
    *,
    prefers: Channel | None = None,
    guidelines: bool = True,
    facts: Sequence[Data] = (),
) -> Iterator[Simulation]:
    """Play the silence of :func:`timetable`, and yield it whenever a touch is due, and at its end.

    Args:
        policy: under which.
        channels: on which they can be reached; all that the team uses.
        prefers: the channel they prefer.
        guidelines: whether they agreed to be followed up.
        facts: what else is known of them at the beginning; no responses.
    """
    policy = _in_plain_weeks(policy)
    known = tuple(channel for channel in policy.traits if channel in policy.usable)
    if channels is not None:
        known = tuple(channels)
    appointed = beginnings(policy)[0] is Beginning.APPOINTMENT
    beginning = Beginning.APPOINTMENT if appointed else Beginning.ADDED
    simulation = Simulation(policy, Scenario(frozenset(known), beginning, guidelines))
    if prefers is not None:
        simulation.record(PreferenceStated(prefers), simulation.now)
    for fact in facts:
        simulation.record(fact, simulation.now)
    if not appointed:
        simulation.make_own_attempt(*_first_channels(policy, known, prefers))
    while isinstance(simulation.wait(), Due):
        yield simulation
        simulation.make()
    yield simulation


def _in_plain_weeks(policy: Policy) -> Policy:
    """Return the policy without the days that it closes, which are others every year."""
    calendar = msgspec.structs.replace(policy.calendar, closed=(), holidays=(), on={})
    guards = tuple(one for one in policy.guards if not one.varies_by_year)
    return msgspec.structs.replace(policy, calendar=calendar, guards=guards)


def _first_channels(
    policy: Policy, known: tuple[Channel, ...], prefers: Channel | None
) -> list[Channel]:
    """Return the channels on which the policy would make its first spaced touch."""
    first = next((point for point in policy.planned_touches if point.stage is Stage.SPACED), None)
    chosen: list[Channel] = []
    for part in () if first is None else first.parts:
        usable = [one for one in part.channels if one in known and one not in chosen]
        if usable and (part.along_with is None or part.along_with in chosen):
            chosen.append(prefers if prefers in usable else usable[0])
    return chosen or list(known[:1])


def _entry(at: datetime, made: AttemptMade, simulation: Simulation) -> Entry:
    gap = ""
    if made.gap is not None:
        days = made.gap.business_days
        gap = plural(days, "business day") if days else plural(made.gap.minutes, "minute")
    channels = tuple(part.channel for part in made.parts)
    return Entry(simulation.business_day(at), f"{at:%H:%M}", made.step or "", channels, gap)
