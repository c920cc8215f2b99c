"""Counterexamples: a way through the states, played through the engine.

A way says which touches were made, lapsed, or lost their channels. :func:`witness` finds a prospect
and a history that go that way, and looks whether the engine then names the rule. If it does not,
there is no counterexample: the states are coarser than the engine, and the engine is right.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cadence.core.events import Channel, Event, PauseRequested
from cadence.core.stages import Stage, rank
from cadence.policy.charter import Rule
from cadence.policy.decision import Verdict
from cadence.policy.model import Policy, Touchpoint
from cadence.policy.rehearsal import MONDAY, Rehearsal
from cadence.policy.states import Found, Move, Start

__all__ = ["begin", "beginnings", "play", "witness"]

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
    points = policy.touchpoints
    with_appointment = bool(points) and points[0].step.at is not None
    # After a pause the plan goes on with the spaced touches; without any it is for the owner.
    goes_on = any(rank(point.stage) >= rank(Stage.SPACED) for point in points)
    found = ("appointment", "own") if with_appointment else ("own",)
    return (*found, "pause") if goes_on else found


def witness(policy: Policy, found: Found) -> tuple[Event, ...] | None:
    """The shortest history that goes the way ``found`` and has the engine name its rule."""
    point = policy.touchpoints[found.at.next]
    return play(policy, found.start, found.moves, found.rule, point)


def play(
    policy: Policy, start: Start, moves: tuple[Move, ...], rule: Rule, point: Touchpoint
) -> tuple[Event, ...] | None:
    """Go a way, and let the engine say of ``point`` at its end what ``rule`` says.

    Returns:
        The history. Where the touch can be made in spite of the rule it ends with that attempt,
        which the engine has marked as breaking it. ``None``: the engine names no such rule.
    """
    made_on = {move.on for move in moves if move.on is not None}
    if start.on is not None:
        made_on.add(start.on)
    at_end = point.channels & policy.usable
    best: tuple[Event, ...] | None = None
    few = made_on | (at_end if not at_end & made_on else frozenset())
    lost = {
        channel
        for move in moves
        if move.how == "lost"
        for channel in policy.touchpoints[move.touch].channels
    }
    for channels, changing in (
        (few, False),
        (policy.usable, False),
        (policy.usable - (lost - made_on), False),  # who never had what the way has them lose
        (few, True),
        (policy.usable, True),
    ):
        rehearsal = _go(policy, start, moves, channels, rule, changing=changing)
        if rehearsal is None or not _names(rehearsal, rule):
            continue
        whole = len(rehearsal.events)
        if rule not in rehearsal.make_anyway(point):
            del rehearsal.events[whole:]
        events = tuple(rehearsal.events)
        if best is None or len(events) < len(best):
            best = events
    return best


def _names(rehearsal: Rehearsal, rule: Rule) -> bool:
    return any(reason.rule == rule for reason in rehearsal.decision.reasons)


def _go(
    policy: Policy,
    start: Start,
    moves: tuple[Move, ...],
    channels: Iterable[Channel],
    rule: Rule,
    *,
    changing: bool,
) -> Rehearsal | None:
    """Go a way; ``None`` where the engine proposes something else on it.

    Args:
        policy: under which.
        start: how the silence begins.
        moves: the way.
        channels: on which the prospect has a contact point at first.
        rule: looked for on the way.
        changing: lose and find contact points as the way needs them.
    """
    known = set(channels)
    agreed = start.state.guidelines
    if start.how == "own" and start.on is not None:
        known.add(start.on)
        rehearsal = begin(policy, known, "", guidelines=agreed)
        rehearsal.own_attempt(start.on)
    else:
        rehearsal = begin(policy, known, start.how, guidelines=agreed)
    have = set(known)
    for move in moves:
        if _names(rehearsal, rule):
            return rehearsal  # the engine stops the plan sooner than the states know
        point = policy.touchpoints[move.touch]
        if move.how == "lapsed":
            _let_lapse(rehearsal, point)
        elif move.how == "lost" and changing:
            for channel in point.channels & have:
                rehearsal.lose(channel)
                have.discard(channel)
        elif move.how == "made" and move.on is not None:
            if changing and move.on not in have:
                rehearsal.gain(move.on)
                have.add(move.on)
            touch = rehearsal.wait().touch
            if rehearsal.decision.decision is not Verdict.DUE or touch is None:
                return None
            if touch.step != point.name:
                return None
            rehearsal.make()
    return rehearsal


def _let_lapse(rehearsal: Rehearsal, point: Touchpoint) -> None:
    touch = rehearsal.wait().touch
    within = point.step.within
    if touch is not None and touch.step == point.name and within is not None:
        rehearsal.look(rehearsal.now + timedelta(minutes=within.minutes + 1))
