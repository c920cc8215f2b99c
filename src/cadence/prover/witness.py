"""Counterexamples: a way through the states, played through the engine.

A way says which touches were made, lapsed, or lost their channels. :func:`play` makes a history of
it, and looks whether the engine then names the rule. If it does not, that is no counterexample: the
states are coarser than the engine, and the engine is right.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cadence.domain.events import Channel, Event, PauseRequested
from cadence.domain.stages import Stage, rank
from cadence.engine.decision import Verdict
from cadence.policy.model import PlannedTouch, Policy
from cadence.policy.rules import Rule
from cadence.prover.search import Found, Leg
from cadence.prover.simulation import MONDAY, Rehearsal

__all__ = ["begin", "beginnings", "go", "play", "play_to_the_exit"]

_ORDER = tuple(Channel)


def begin(
    policy: Policy,
    channels: Iterable[Channel],
    how: str,
    *,
    guidelines: bool = False,
    around: datetime = MONDAY,
    country: str | None = None,
) -> Rehearsal:
    """A silence at its beginning.

    Args:
        policy: under which.
        channels: on which the prospect has a contact point.
        how: with an ``appointment``, with the owner's ``own`` attempt, or after a ``pause``.
        guidelines: whether they agreed to be followed up.
        around: when.
        country: where they are; nowhere in particular.
    """
    known = sorted(channels, key=_ORDER.index)
    rehearsal = Rehearsal(
        policy,
        known,
        appointment=how == "appointment",
        guidelines=guidelines,
        around=around,
        country=country,
    )
    if how == "own" and known:
        rehearsal.own_attempt(known[0])
    elif how == "pause":
        rehearsal.record(PauseRequested(rehearsal.now + timedelta(days=1)), rehearsal.now)
    return rehearsal


def beginnings(policy: Policy) -> tuple[str, ...]:
    """How silences under ``policy`` begin; the plan's own way first."""
    points = policy.planned_touches
    with_appointment = bool(points) and points[0].step.at is not None
    # After a pause the plan goes on with the spaced touches; without any it is for the owner.
    goes_on = any(rank(point.stage) >= rank(Stage.SPACED) for point in points)
    found = ("appointment", "own") if with_appointment else ("own",)
    return (*found, "pause") if goes_on else found


def go(policy: Policy, found: Found, rule: Rule) -> Rehearsal | None:
    """Go a way, or as far as the engine names ``rule``, which may be sooner than the states know.

    Returns:
        ``None``: the engine proposes something else on the way.
    """
    start = found.start
    how = "" if start.on is not None else start.how
    rehearsal = begin(policy, found.channels, how, guidelines=start.state.guidelines)
    if start.on is not None:
        rehearsal.own_attempt(start.on, wrong=found.failed)
    for leg in found.legs:
        if _names(rehearsal, rule):
            break
        if not _take(rehearsal, leg):
            return None
    return rehearsal


def play(
    policy: Policy, found: Found, rule: Rule, point: PlannedTouch | None = None
) -> tuple[Event, ...] | None:
    """Go a way, and look whether the engine names ``rule`` at its end, or sooner.

    Args:
        policy: under which.
        found: the way.
        rule: looked for all along.
        point: the touch that it is about. If it can be made in spite of the rule, the history ends
            with that attempt, which the engine has marked as breaking it.

    Returns:
        The history; ``None``: the engine names no such rule.
    """
    rehearsal = go(policy, found, rule)
    if rehearsal is None or not _names(rehearsal, rule):
        return None
    whole = len(rehearsal.events)
    if point is not None and rule not in rehearsal.make_anyway(point):
        del rehearsal.events[whole:]
    return tuple(rehearsal.events)


def play_to_the_exit(policy: Policy, found: Found) -> tuple[Event, ...] | None:
    """Go a way to its end, and make the polite exit, if there is one.

    Returns:
        The history; ``None``: the engine proposes something else on the way.
    """
    rehearsal = go(policy, found, Rule.POLITE_EXIT)
    if rehearsal is None:
        return None
    if policy.exit_point is not None:
        touch = rehearsal.wait().touch
        if touch is None or touch.stage is not Stage.POLITE_EXIT:
            return None
        rehearsal.make()
    return tuple(rehearsal.events) if _names(rehearsal, Rule.POLITE_EXIT) else None


def _names(rehearsal: Rehearsal, rule: Rule) -> bool:
    return any(reason.rule == rule for reason in rehearsal.decision.reasons)


def _take(rehearsal: Rehearsal, leg: Leg) -> bool:
    """Let ``leg`` happen; whether the engine agrees that it is next."""
    point = leg.point
    if leg.how == "lapsed":
        touch, within = rehearsal.wait().touch, point.step.within if point else None
        if touch is not None and point is not None and touch.step == point.name and within:
            rehearsal.look(rehearsal.now + timedelta(minutes=within.minutes + 1))
    elif leg.how == "late":
        if rehearsal.leave_lying().verdict is Verdict.TASK:
            # A history ends with an event, and an address more changes nothing.
            rehearsal.gain(min(leg.channels, key=_ORDER.index))
    elif leg.how == "lost":
        for channel in sorted(leg.channels, key=_ORDER.index):
            rehearsal.lose(channel)
    elif leg.how == "found":
        for channel in leg.channels:
            rehearsal.gain(channel)
    elif leg.how in ("made", "failed"):
        touch = rehearsal.wait().touch
        if rehearsal.decision.verdict is not Verdict.DUE or touch is None or point is None:
            return False
        if touch.step != point.name:
            return False
        rehearsal.make(wrong=leg.channels if leg.how == "failed" else frozenset())
    return True
