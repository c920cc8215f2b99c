"""Do two policies ever decide differently? The shortest history on which they do, or a proof.

Two policies are the same where their plans are: the same touches in the same order, with the same
channels, words, distances, requirements, calendar, guards and limits; names do not matter, since
nothing is decided by a name. That is the proof. Where the plans differ, one imagined prospect is
led through both, event by event, until the decisions part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import msgspec

from cadence.core.events import (
    AutoReplyReceived,
    Channel,
    ContactPointFailed,
    Data,
    Event,
    Intent,
    PauseRequested,
    ReplyReceived,
)
from cadence.policy.decision import Decision, Verdict
from cadence.policy.guards import Pause
from cadence.policy.model import Policy, Touchpoint
from cadence.policy.rehearsal import MONDAY, Rehearsal
from cadence.policy.witness import begin, beginnings

__all__ = ["Difference", "StepDifference", "compare", "same_plan", "step_differences"]


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


class StepDifference(msgspec.Struct, frozen=True):
    """One place at which two plans differ; empty where one has nothing there."""

    place: str
    first: str
    second: str


# The same -----------------------------------------------------------------------------------------


def same_plan(first: Policy, second: Policy) -> bool:
    """Whether two policies decide alike on every history, because their plans are the same."""
    return _plan(first) == _plan(second)


def _plan(policy: Policy) -> dict[str, Any]:
    """All that decides, without the names by which it is called."""
    points = [*policy.touchpoints, *([policy.exit_point] if policy.exit_point else [])]
    return {
        "touches": [_touch(point) for point in points],
        "week": policy.week,
        "closed": policy.closed,
        "holidays": frozenset(policy.holidays_of),
        "horizon": policy.horizon_business_days,
        "task": policy.task_business_days,
        "channels": policy.usable,
        "limits": policy.limits,
        "guards": sorted((guard.canonical() for guard in policy.guards), key=str),
        "scripts": {
            part.script: policy.scripts.get(part.script) for p in points for part in p.parts
        },
    }


def _touch(point: Touchpoint) -> tuple[object, ...]:
    step, after = point.step, point.after
    return (
        point.stage,
        None if after is None else (after.elapsed, after.business_days),
        tuple((part.channels, part.script) for part in point.parts),
        step.within,
        step.requires,
        None
        if step.answer_within is None
        else (step.answer_within.elapsed, step.answer_within.business_days),
        None if step.rotate is None else (step.rotate.seconds, step.rotate.weekdays),
        point.backward,
        point.behind_exit,
    )


# Different ----------------------------------------------------------------------------------------


def compare(first: Policy, second: Policy) -> Difference | None:
    """The shortest history found on which two policies decide differently.

    Looked for among silences that begin in every way the two know, on all channels and on each
    alone, around every day that one of them closes, with every touch made when it is due and at
    most one thing besides: a touch let lapse or made late, a lost contact point, an automatic
    reply, a pause, a reply.

    Returns:
        ``None`` if there is none among these; :func:`same_plan` says whether that is a proof.
    """
    best: Difference | None = None
    for plain in (True, False):
        for walk in _walks(first, second):
            limit = None if best is None else len(best.events)
            for found in walk.differences(limit, plain=plain):
                if best is None or len(found.events) < len(best.events):
                    best = found
    return best


class _Walk:
    """One way of beginning a silence, led through the plans of both policies."""

    def __init__(
        self,
        pair: tuple[Policy, Policy],
        channels: frozenset[Channel],
        how: str,
        around: datetime,
        *,
        guidelines: bool,
    ) -> None:
        self.pair = pair
        self.channels = channels
        self.how = how
        self.around = around
        self.guidelines = guidelines

    def begin(self) -> Rehearsal:
        """The prospect, led by the first policy."""
        return begin(
            self.pair[0], self.channels, self.how, guidelines=self.guidelines, around=self.around
        )

    def differences(self, limit: int | None, *, plain: bool) -> Iterator[Difference]:
        """Where the two part, on this way or with one thing besides; shorter than ``limit``."""
        made = self.begin()
        for number in range(3 * len(self.pair[0].touchpoints) + 20):
            if limit is not None and len(made.events) >= limit:
                return
            found = self._part(made)
            if found is not None:
                yield found
                return
            if not plain and number < _DEVIATIONS:
                yield from self._deviations(made)
            if made.decision.decision not in (Verdict.DUE, Verdict.WAIT):
                return
            made.make()

    def _part(self, made: Rehearsal) -> Difference | None:
        """Whether the two decide differently now, or when the time comes that one waits for."""
        instants = [made.now]
        for policy in self.pair:
            decision = made.seen_by(policy, made.now)
            if decision.at is not None and decision.at > made.now:
                instants.append(decision.at)
        for now in sorted(instants):
            one, other = (made.seen_by(policy, now) for policy in self.pair)
            if _shape(one) != _shape(other):
                return Difference(tuple(made.events), now, one, other)
        return None

    def _deviations(self, made: Rehearsal) -> Iterator[Difference]:
        for data in _besides(made.decision):
            changed = made.copy()
            changed.record(data, changed.now)
            found = self._part(changed)
            if found is not None:
                yield found
        for late in self._latenesses():
            if made.decision.touch is None:
                break
            changed = made.copy()
            changed.wait()
            changed.look(changed.now + late)
            found = self._part(changed)
            if found is None and changed.decision.decision is Verdict.DUE:
                changed.make()
                found = self._part(changed)
            if found is not None:
                yield found

    def _latenesses(self) -> list[timedelta]:
        """How late a touch is tried: hours, days, and just too late for each exact step."""
        exact = {
            timedelta(minutes=step.within.minutes + 1)
            for policy in self.pair
            for step in policy.steps
            if step.within is not None
        }
        return [*sorted(exact), *_LATE]


_LATE: Final = (timedelta(hours=1), timedelta(hours=7), timedelta(days=3), timedelta(days=40))
_DEVIATIONS: Final = 12
"""How many touches from the first have something else tried at them."""


def _besides(decision: Decision) -> Iterator[Data]:
    channel = Channel.EMAIL
    yield AutoReplyReceived(channel)
    yield ReplyReceived(channel, Intent.LATER)
    yield PauseRequested((decision.at or MONDAY) + timedelta(days=10))
    if decision.touch is not None:
        for part in decision.touch.parts:
            yield ContactPointFailed(part.channel, part.address)


def _walks(first: Policy, second: Policy) -> Iterator[_Walk]:
    pair = (first, second)
    both = first.usable | second.usable
    sets = [both, *(frozenset({channel}) for channel in Channel if channel in both)]
    hows = dict.fromkeys((*beginnings(first), *beginnings(second)))
    asks = any(p.step.requires.guidelines for policy in pair for p in policy.touchpoints)
    for around in (MONDAY, *_special_days(pair)):
        for how in hows:
            for channels in sets if around == MONDAY else sets[:1]:
                for agreed in (False, True) if asks else (False,):
                    yield _Walk(pair, channels, how, around, guidelines=agreed)


def _special_days(pair: Iterable[Policy]) -> list[datetime]:
    """The mornings of days that only one of the two closes."""
    closed = [_closed(policy) for policy in pair]
    days = sorted(closed[0] ^ closed[1])
    return [datetime.combine(day, time(), UTC) for day in days[:20]]


def _closed(policy: Policy) -> set[date]:
    days = set(policy.calendar.closed)
    days |= {guard.first_day for guard in policy.guards if isinstance(guard, Pause)}
    return days


def _shape(decision: Decision) -> tuple[object, ...]:
    """What of a decision matters to the prospect and to whoever acts on it; not its names."""
    touch = decision.touch
    parts = None if touch is None else tuple((p.channel, p.address, p.script) for p in touch.parts)
    stage = None if touch is None else touch.stage
    return decision.decision, decision.at, stage, parts, decision.end


# By step ------------------------------------------------------------------------------------------


def step_differences(first: Policy, second: Policy) -> list[StepDifference]:
    """Where the two files differ, place by place, in words."""
    found: list[StepDifference] = []

    def note(place: str, one: object, other: object) -> None:
        if one != other:
            found.append(StepDifference(place, _words(one), _words(other)))

    for name in ("horizon_business_days", "task_business_days"):
        note(name, getattr(first, name), getattr(second, name))
    note("channels", sorted(first.usable), sorted(second.usable))
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    for number, day in enumerate(days):
        if first.week[number] != second.week[number]:
            note(f"calendar.{day}", getattr(first.calendar, day), getattr(second.calendar, day))
    note("calendar.closed", sorted(first.calendar.closed), sorted(second.calendar.closed))
    note("calendar.holidays", first.holidays_of, second.holidays_of)
    note("limits", msgspec.to_builtins(first.limits), msgspec.to_builtins(second.limits))
    guards = [{guard.name: guard.canonical() for guard in p.guards} for p in (first, second)]
    for name in dict.fromkeys((*guards[0], *guards[1])):
        note(f"guard {name}", guards[0].get(name, ""), guards[1].get(name, ""))
    steps = [{step.id: step for step in policy.steps} for policy in (first, second)]
    for name in dict.fromkeys((*steps[0], *steps[1])):
        one, other = (_step(table.get(name)) for table in steps)
        for key in dict.fromkeys((*one, *other)):
            note(f"{name}.{key}", one.get(key, ""), other.get(key, ""))
    for name in sorted({*first.scripts, *second.scripts}):
        note(f"scripts.{name}", first.scripts.get(name, ""), second.scripts.get(name, ""))
    return found


def _step(step: msgspec.Struct | None) -> dict[str, Any]:
    if step is None:
        return {}
    plain: dict[str, Any] = msgspec.to_builtins(step)
    plain.pop("id")
    return plain


def _words(value: object) -> str:
    if value == "":
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 200 else text[:197] + "…"
