"""Find whether two policies ever decide differently: the shortest history, or a proof.

Two policies are the same where their plans are: the same touches in the same order, with the same
channels, words, distances, requirements, calendar, guards and limits. That is the proof. What a
step or a policy is called does not matter, since each knows the attempts made under it by its own
names. Where the plans differ, imagined silences (``prover/scenarios.py``) are walked under both
until the decisions part, those of the fewest events first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import takewhile
from typing import Any, Final, NamedTuple

import msgspec

from cadence.domain.events import Event, ValueKind, ValueNoted
from cadence.engine.decision import Close, Decision, Due, Wait
from cadence.engine.next_touch import lacks_value, next_touch
from cadence.policy.guards import Custom, Guard
from cadence.policy.model import Distance, PlannedTouch, Policy
from cadence.prover.scenarios import Pair, injected_events, scenarios
from cadence.prover.search import Path, search
from cadence.prover.simulation import MONDAY, Simulation

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
        "on": policy.open_times.on,
        "half_days_until": policy.open_times.half_days_until,
        "weekend": policy.calendar.weekend,
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

_FIRST: Final = 14
_AROUND: Final = 4
"""How many touches from the first, and around where the plans part, have something injected."""
_FURTHER: Final = 14
"""How many touches a silence is followed after something was injected."""


class _Silence(NamedTuple):
    """A silence that is played under two policies.

    Attributes:
        played: so far.
        is_plain: whether they can be reached on every channel, in a plain week.
        touches: how many were made, or found not to be due.
        injected: how many of them since something was injected; ``None`` before that.
    """

    played: Simulation
    is_plain: bool
    touches: int = 0
    injected: int | None = None

    @property
    def cost(self) -> tuple[int, int, int]:
        """Events first; then what happens as planned before what does not."""
        surprises = 0 if self.injected is None else 1 if self.injected == 0 else 2
        return len(self.played.events), surprises, 0

    @property
    def may_go_on(self) -> bool:
        """Whether it is followed further."""
        if self.injected is not None and (not self.is_plain or self.injected > _FURTHER):
            return False
        most = 3 * len(self.played.policy.planned_touches) + 20
        return self.touches < most and isinstance(self.played.decision, Due | Wait)


def compare(first: Policy, second: Policy) -> Difference | None:
    """Return the shortest history found on which two policies decide differently.

    Looked for among silences that begin in every way the two know, on all channels and on each
    alone, around every day that one of them closes, with every touch made when it is due and at
    most one thing besides: a touch let lapse or made late, a lost contact point, an automatic
    reply, a pause, a reply, an attempt off plan.

    Returns:
        ``None`` if there is none: :func:`same_plan` says whether that is proved.
    """
    if same_plan(first, second):
        return None
    pair = (first, second)
    silences = search(_begun(pair), lambda path: _extended(path, pair, near))
    near = _touches_near_the_parting(pair)
    parted = (_part(path.place.played, pair) for path in silences)
    return next((found for found in parted if found is not None), None)


def _begun(pair: Pair) -> Iterator[Path[None, _Silence]]:
    """Yield each scenario at its beginning."""
    both = pair[0].usable | pair[1].usable
    for policy, scenario in scenarios(pair):
        is_plain = scenario.channels == both and scenario.around == MONDAY
        silence = _Silence(Simulation(policy, scenario), is_plain)
        yield Path(silence, silence.cost, None)


def _extended(
    path: Path[None, _Silence], pair: Pair, near: set[int]
) -> Iterator[Path[None, _Silence]]:
    """Yield a silence one touch further on, and with each thing that can happen besides."""
    silence = path.place
    found: list[_Silence] = []
    if silence.may_go_on:
        played = silence.played.copy()
        played.make()
        since = None if silence.injected is None else silence.injected + 1
        found.append(_Silence(played, silence.is_plain, silence.touches + 1, since))
    if silence.injected is None and silence.touches in near:
        for played in injected_events(silence.played, pair):
            found.append(silence._replace(played=played, injected=0, touches=0))
    for one in found:
        yield Path(one, one.cost, None)


def _touches_near_the_parting(pair: Pair) -> set[int]:
    """Return the touches at which something is injected."""
    plans = [[_touch(touch, []) for touch in policy.planned_touches] for policy in pair]
    same = takewhile(lambda two: two[0] == two[1], zip(*plans, strict=False))
    parting = sum(1 for _ in same)
    return {*range(_FIRST), *range(parting - _AROUND, parting + _AROUND)}


def _part(played: Simulation, pair: Pair) -> Difference | None:
    """Return how the two decide differently now, or when the time comes for which they wait."""
    now = played.now
    one, other = (played.decide_under(policy, now) for policy in pair)
    if _shape(one, pair[0]) == _shape(other, pair[1]):
        if one.at is None or one.at <= now:
            return None
        now = one.at  # the other's too
        one, other = (played.decide_under(policy, now) for policy in pair)
        if _shape(one, pair[0]) == _shape(other, pair[1]):
            return None
    if any(lacks_value(played.prospect, decision) for decision in (one, other)):
        # Without it both leave the touch to the owner, to find something of value.
        played = played.copy()
        played.record(ValueNoted("value-1", "something of value", ValueKind.PROFESSIONAL), now)
    one, other = (next_touch(played.prospect, policy, now) for policy in pair)  # with reasons
    return Difference(tuple(played.events), now, one, other)


def _shape(decision: Decision, policy: Policy) -> tuple[object, ...]:
    """Return what of a decision matters to the prospect and to who carries it out; no names."""
    touch = decision.touch
    stage, parts = None, None
    if touch is not None:
        stage = touch.stage
        parts = [
            (p.channel, p.address, p.script, policy.scripts.get(p.script)) for p in touch.parts
        ]
    end = decision.end if isinstance(decision, Close) else None
    return decision.verdict, decision.at, stage, parts, end
