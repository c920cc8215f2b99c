"""Do two policies ever decide differently? The shortest history on which they do, or a proof.

Two policies are the same where their plans are: the same touches in the same order, with the same
channels, words, distances, requirements, calendar, guards and limits. That is the proof. What a
step or a policy is called does not matter, since each knows the attempts made under it by its own
names. Where the plans differ, one imagined prospect is led through both, event by event, until the
decisions part (``prover/ways.py`` says on which ways).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from itertools import takewhile
from typing import Any

import msgspec

from cadence.domain.events import Event
from cadence.engine.decision import Close, Decision
from cadence.policy.guards import Custom, Guard
from cadence.policy.model import Distance, PlannedTouch, Policy
from cadence.prover.simulation import Rehearsal
from cadence.prover.ways import besides, step_by_step, ways

__all__ = ["Difference", "compare", "same_plan"]


class Difference(msgspec.Struct, frozen=True):
    """A history on which two policies decide differently, and what each decides then.

    Attributes:
        events: what has happened.
        now: when they are asked.
        first: what the first decides.
        second: what the second decides.
    """

    events: tuple[Event, ...]
    now: datetime
    first: Decision
    second: Decision


# The same -----------------------------------------------------------------------------------------


def same_plan(first: Policy, second: Policy) -> bool:
    """Whether two policies decide alike on every history, because their plans are the same.

    Each is asked about a history with the attempts named as it names them. Functions of a team's
    own see names and are asked in the file's order: where there are any, those must be equal too.
    """
    return _plan(first) == _plan(second)


def _plan(policy: Policy) -> dict[str, Any]:
    """All that decides, without the names by which it is called."""
    points = [*policy.planned_touches, *([policy.exit_point] if policy.exit_point else [])]
    own = any(isinstance(guard, Custom) for guard in policy.guards)
    guards = [_guard(guard) for guard in policy.guards]
    steps = list(dict.fromkeys(point.step.id for point in points))
    return {
        "touches": [_touch(point, steps) for point in points],
        "week": policy.week,
        # A day of the week without hours is closed anyway.
        "closed": {day for day in policy.closed if policy.week[date.fromordinal(day).weekday()]},
        "holidays": frozenset(policy.holidays_of),
        "horizon": policy.horizon_business_days,
        "task": policy.task_business_days,
        "channels": policy.usable,
        "limits": policy.limits,
        "guards": guards if own else sorted(guards, key=_in_order),
        "names": [point.name for point in points] if own else [],
        "scripts": {
            part.script: policy.scripts.get(part.script) for p in points for part in p.parts
        },
    }


def _guard(guard: Guard) -> dict[str, Any]:
    return {**guard.canonical(), "id": guard.name if isinstance(guard, Custom) else None}


def _in_order(plain: dict[str, Any]) -> bytes:
    return msgspec.json.encode(plain, order="sorted")


def _touch(point: PlannedTouch, steps: Sequence[str]) -> tuple[object, ...]:
    step = point.step
    return (
        # Touches of one step fall behind the horizon together.
        steps.index(step.id) if steps else None,
        point.stage,
        _distance(point.after),
        tuple((part.channels, part.script, part.along_with) for part in point.parts),
        step.within,
        step.requires,
        _distance(step.answer_within),
        () if step.rotate is None else step.rotate.seconds,
        () if step.rotate is None else step.rotate.weekdays,
        point.backward,
        point.behind_exit,
    )


def _distance(distance: Distance | None) -> tuple[object, ...] | None:
    return None if distance is None else (distance.elapsed, distance.business_days)


# Different ----------------------------------------------------------------------------------------


def compare(first: Policy, second: Policy) -> Difference | None:
    """The shortest history found on which two policies decide differently.

    Looked for among silences that begin in every way the two know, on all channels and on each
    alone, around every day that one of them closes, with every touch made when it is due and at
    most one thing besides: a touch let lapse or made late, a lost contact point, an automatic
    reply, a pause, a reply, an attempt off plan.

    Returns:
        ``None`` if there is none: :func:`same_plan` says whether that is proved.
    """
    if same_plan(first, second):
        return None
    best: Difference | None = None
    pair = (first, second)
    near = _near(first, second)

    def shortest() -> int | None:
        return None if best is None else len(best.events)

    # First as planned, then with one thing besides, and last with what comes of that.
    for further in (None, False, True):
        for way in ways(first, second):
            if further and not way.whole:
                continue
            for number, made in enumerate(step_by_step(way.begin(), shortest)):
                found = _part(made, pair)
                if found is not None and _shorter(found, best):
                    best = found
                if found is not None or further is None or number not in near:
                    continue
                for changed in besides(made, pair):
                    found = _first_part(changed, pair, shortest, further=further)
                    if found is not None and _shorter(found, best):
                        best = found
    return best


_FIRST = 14
_AROUND = 4
_FURTHER = 14
"""How many touches from the first, and around where the plans part, have something else tried at
them; and how many touches further on that is followed."""


def _near(first: Policy, second: Policy) -> set[int]:
    """The touches at which something else is tried."""
    plans = [[_touch(point, []) for point in policy.planned_touches] for policy in (first, second)]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(*plans, strict=False))
    parting = sum(1 for _ in same)
    return {*range(_FIRST), *range(parting - _AROUND, parting + _AROUND)}


def _first_part(
    changed: Rehearsal,
    pair: tuple[Policy, Policy],
    shortest: Callable[[], int | None],
    *,
    further: bool,
) -> Difference | None:
    """Where the two part after something besides, at once or ``further`` on."""
    for number, made in enumerate(step_by_step(changed, shortest)):
        found = _part(made, pair)
        if found is not None or not further or number > _FURTHER:
            return found
    return None


def _shorter(found: Difference, best: Difference | None) -> bool:
    return best is None or len(found.events) < len(best.events)


def _part(made: Rehearsal, pair: tuple[Policy, Policy]) -> Difference | None:
    """Whether the two decide differently now, or when the time comes for which they wait."""
    now = made.now
    one, other = (made.seen_by(policy, now) for policy in pair)
    if _shape(one, pair[0]) != _shape(other, pair[1]):
        return Difference(tuple(made.events), now, one, other)
    then = one.at  # the other's too
    if then is None or then <= now:
        return None
    one, other = (made.seen_by(policy, then) for policy in pair)
    if _shape(one, pair[0]) != _shape(other, pair[1]):
        return Difference(tuple(made.events), then, one, other)
    return None


def _shape(decision: Decision, policy: Policy) -> tuple[object, ...]:
    """What of a decision matters to the prospect and to whoever acts on it; not its names."""
    touch = decision.touch
    stage, parts = None, None
    if touch is not None:
        stage = touch.stage
        parts = [
            (p.channel, p.address, p.script, policy.scripts.get(p.script)) for p in touch.parts
        ]
    end = decision.end if isinstance(decision, Close) else None
    return decision.verdict, decision.at, stage, parts, end
