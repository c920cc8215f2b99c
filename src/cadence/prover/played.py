"""Play silences to their end through the engine, with whatever can happen at each touch.

This finds what no state shows: a guard that never lets a touch pass, a task where a close should
be, an opt-out that does not stop the next touch.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time

import msgspec

from cadence.domain.events import (
    AutoReplyReceived,
    ContactPointFailed,
    Event,
    Intent,
    OptOutRequested,
    ReplyReceived,
)
from cadence.domain.stages import Stage
from cadence.engine import invariants
from cadence.engine.decision import Close, Decision, Due, Stop, Task
from cadence.engine.reasons import Reason
from cadence.policy.model import Policy
from cadence.policy.rules import Rule
from cadence.policy.touch import Touch
from cadence.prover.simulation import Scenario, Simulation, beginnings
from cadence.prover.state_space import StateSpace
from cadence.prover.weekends import countries
from cadence.worktime.zone_calendar import ZoneCalendar

__all__ = ["fault_of", "play_silences", "words_of_task"]

_Fault = tuple[str, str, tuple[Event, ...]]


def play_silences(space: StateSpace) -> Iterator[_Fault]:
    """Yield the faults of silences that are played to their end.

    One prospect has a contact point on each channel, others on one alone. A silence begins with an
    appointment, the owner's own attempt, a pause, and around each pause that a guard makes. Under
    a policy with contact windows each prospect is played in each way, in a country of each weekend.
    """
    policy = space.policy
    agreed = True in space.guidelines
    first, *others = beginnings(policy)
    every = policy.usable
    alone = [frozenset({channel}) for channel in policy.traits if channel in every]
    yield from _play(policy, Scenario(every, first, agreed), tries_everything=True)
    scenarios = [Scenario(every, beginning, agreed) for beginning in others]
    scenarios += [Scenario(only, first, agreed) for only in alone if only != every]
    if any(guard.weekly_hours() is not None for guard in policy.guards):
        # It may be open for one channel alone, and on no day on which the calendar is open.
        scenarios += [
            Scenario(channels, beginning, agreed, country=country)
            for country in (None, *countries(policy))
            for channels in (every, *alone)
            for beginning in beginnings(policy)
        ]
    scenarios += [
        Scenario(channels, beginnings(policy)[-1], around=datetime.combine(day, time(), UTC))
        for day in _long_stops(policy)
        for channels in (every, *alone)
    ]
    for scenario in dict.fromkeys(scenarios):
        yield from _play(policy, scenario)


def _long_stops(policy: Policy) -> Iterator[date]:
    """Yield days on which a long stop begins: a pause, or a long row of closed days."""
    for guard in policy.guards:
        closed = guard.closed_dates()
        if closed is not None:
            yield closed[0]
    calendar = ZoneCalendar("UTC", msgspec.structs.replace(policy.open_times, regions=()))
    for day in sorted(policy.calendar.closed):
        if calendar.next_open(datetime.combine(day, time(), UTC)) is None:
            yield day
            return


def _play(
    policy: Policy, scenario: Scenario, *, tries_everything: bool = False
) -> Iterator[_Fault]:
    simulation = Simulation(policy, scenario)
    for _ in range(3 * len(policy.planned_touches) + 20):
        decision = simulation.wait()
        if isinstance(decision, Task) and simulation.prospect.stage is not Stage.NEW:
            explained = simulation.explain()
            fault = fault_of(explained, is_alone=scenario.channels != policy.usable)
            if fault is not None:
                yield fault, words_of_task(explained), tuple(simulation.events)
        if not isinstance(decision, Due):
            return
        if tries_everything:
            yield from _try_everything(simulation, decision.touch)
        simulation.make()
    yield Rule.BOUNDED, "the silence does not end", tuple(simulation.events)


def _try_everything(simulation: Simulation, touch: Touch) -> Iterator[_Fault]:
    """Yield what goes wrong at a touch that is due if they answer, refuse, leave or are lost."""
    events = tuple(simulation.events)
    if not isinstance(simulation.decide_after(OptOutRequested()), Stop):
        yield Rule.OPT_OUT, f"{touch.step} is not stopped by an opt-out", events
    for part in touch.parts:
        after = simulation.decide_after(OptOutRequested(part.channel)).touch
        if after is not None and any(other.channel == part.channel for other in after.parts):
            yield Rule.OPT_OUT, f"{part.channel} is used after an opt-out from it", events
        after = simulation.decide_after(ContactPointFailed(part.channel, part.address)).touch
        if after is not None and any(other.address == part.address for other in after.parts):
            yield Rule.CONTACT_POINT, f"{part.address} is used after it failed", events
    channel = touch.parts[0].channel
    if not isinstance(simulation.decide_after(ReplyReceived(channel, Intent.NO)), Task):
        yield Rule.FORGOTTEN, f"a refusal at {touch.step} is not left to the owner", events
    if isinstance(simulation.decide_after(AutoReplyReceived(channel)), Close):
        how = f"an automatic reply at {touch.step} closes the follow-up"
        yield Rule.POLITE_EXIT, how, events


# Tasks --------------------------------------------------------------------------------------------


def fault_of(decision: Decision, *, is_alone: bool) -> str | None:
    """Return the rule that a silence left to its owner breaks; ``None`` where that is in order.

    Args:
        decision: the task.
        is_alone: whether the prospect has one channel alone; the plan may have nothing for them.
    """
    for reason in _own_reasons(decision):
        if invariants.find(reason.rule) is not None:
            is_in_order = is_alone and reason.rule in (Rule.CONTACT_POINT, Rule.OPT_OUT)
            return None if is_in_order else reason.rule
    return None


def words_of_task(decision: Decision) -> str:
    """Say why a silence is left to its owner."""
    because = "; ".join(reason.because for reason in _own_reasons(decision)[:2])
    return f"it ends in a task: {because}"


def _own_reasons(decision: Decision) -> list[Reason]:
    """Return the reasons of a task itself: not the data it was decided under, nor its deadline."""
    return [
        reason
        for reason in decision.reasons
        if reason.rule != Rule.DETERMINISTIC and reason.code != "escalate"
    ]
