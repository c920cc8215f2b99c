"""A nurture touch brings something of value; where none is left, the owner finds one."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from engine_lives import PLACES, live

from cadence.audit import Auditor
from cadence.domain import AttemptMade, Event, GuidelinesAgreed, Part, Prospect, ValueNoted, fold
from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import AttemptStage, Disposition, ValueKind
from cadence.domain.stages import Stage
from cadence.engine import (
    Due,
    MakeAttempt,
    Task,
    TaskKind,
    Wait,
    decide,
    decide_silently,
    next_touch,
)
from cadence.engine.next_touch import what_is_planned
from cadence.engine.precheck import precheck
from cadence.policy import Policy, PolicyRegistry, builtin
from cadence.store import Cadence

POLICY = builtin("until-they-buy-or-say-stop")
DAY = timedelta(days=1)
SIX_SPACED = 6


def silence(policy: Policy = POLICY) -> tuple[list[Event], Prospect, datetime]:
    """A silence before its first nurture touch, without a value, and when that touch is due."""
    events = live(PLACES[4], policy=policy, attempts=SIX_SPACED)
    prospect = folded(events)
    waiting = what_is_planned(prospect, policy, events[-1].recorded_at)
    assert isinstance(waiting, Wait)
    assert waiting.touch is not None
    assert waiting.touch.stage is Stage.NURTURE
    return events, prospect, waiting.at


def folded(events: list[Event]) -> Prospect:
    prospect = fold(None, events)
    assert prospect is not None
    return prospect


def noted(events: list[Event], at: datetime, number: int = 1) -> list[Event]:
    data = ValueNoted(f"value-{number}", "a map", ValueKind.PROFESSIONAL)
    return [*events, Event("jo", len(events) + 1, at, at, data)]


def test_a_nurture_touch_without_a_value_is_a_task_with_a_deadline() -> None:
    _, prospect, due = silence()
    decision = next_touch(prospect, POLICY, due)
    assert isinstance(decision, Task)
    assert decision.kind is TaskKind.FIND_VALUE
    assert (
        decision.task == "find something of value for nurture#1 and note it, or end the follow-up"
    )
    reason = decision.reasons[0]
    assert (reason.rule, reason.code) == ("plan", "no_value_left")
    assert reason.because == "nurture#1 brings something of value, and no value is noted"
    assert due < decision.at < due + 7 * DAY
    assert not decision.is_overdue
    late = next_touch(prospect, POLICY, decision.at + DAY)
    assert isinstance(late, Task)
    assert (late.at, late.is_overdue) == (decision.at, True)
    night = next_touch(prospect, POLICY, (due + DAY).replace(hour=3))
    assert isinstance(night, Task)
    assert (night.at, night.is_overdue) == (decision.at, False)
    assert {"quiet_hours", "outside_hours"}.isdisjoint(one.code for one in night.reasons)
    silent = decide_silently(prospect, POLICY, due)
    assert isinstance(silent, Task)
    assert (silent.kind, silent.at) == (decision.kind, decision.at)


def test_the_wait_before_it_says_what_it_lacks() -> None:
    events, prospect, due = silence()
    before = next_touch(prospect, POLICY, due - DAY)
    assert isinstance(before, Wait)
    assert "no_value_left" in [reason.code for reason in before.reasons]
    assert before.reasons[-1].code == "data_versions"
    found = next_touch(folded(noted(events, due - DAY)), POLICY, due - DAY)
    assert "no_value_left" not in [reason.code for reason in found.reasons]


def test_once_a_value_is_noted_the_touch_is_due_and_uses_it_up() -> None:
    events, _, due = silence()
    events = noted(events, due)
    prospect = folded(events)
    decision = next_touch(prospect, POLICY, due)
    assert isinstance(decision, Due)
    parts = tuple(Part(one.channel, Disposition.SENT, one.address) for one in decision.touch.parts)
    (made,) = decide(prospect, MakeAttempt(parts, is_strict=True), POLICY, due)
    assert isinstance(made, AttemptMade)
    assert (made.stage, made.value) == (AttemptStage.NURTURE, "value-1")
    after = folded([*events, Event("jo", len(events) + 1, due, due, made)])
    waiting = next_touch(after, POLICY, due)
    (lacks,) = [one for one in waiting.reasons if one.code == "no_value_left"]
    assert lacks.because == "nurture#2 brings something of value, and every value noted was used"


def test_an_attempt_made_without_a_value_takes_the_place_and_breaks_nothing() -> None:
    """It was made: the record says so, and neither the engine nor the audit accuses it."""
    events, prospect, due = silence()
    (made,) = decide(
        prospect, MakeAttempt((Part(EMAIL, Disposition.SENT),), is_strict=True), POLICY, due
    )
    assert isinstance(made, AttemptMade)
    assert (made.stage, made.step, made.broke, made.value) == ("nurture", "nurture#1", (), None)
    history = [*events, Event("jo", len(events) + 1, due, due, made)]
    assert Auditor(POLICY).audit(history) == []
    answer = precheck(prospect, PolicyRegistry(POLICY), due, EMAIL)
    assert (answer.breaks, answer.step) == ((), "nurture#1")


def test_a_task_that_is_left_does_not_hold_up_the_end() -> None:
    """Behind the horizon the nurture touches are skipped, and the polite exit is next."""
    _, prospect, due = silence()
    decision = next_touch(prospect, POLICY, due + 3 * 366 * DAY)
    assert decision.touch is not None
    assert decision.touch.stage is Stage.POLITE_EXIT


@pytest.mark.parametrize("policy", [builtin("tip8"), builtin("voicemail-and-email")])
def test_a_policy_without_nurture_asks_for_no_value(policy: Policy) -> None:
    codes = set()
    events = live(PLACES[4], policy=policy)
    for end in range(1, len(events)):
        at = events[end].recorded_at
        codes |= {one.code for one in next_touch(folded(events[:end]), policy, at).reasons}
    assert "no_value_left" not in codes


def test_the_due_list_shows_the_task_when_the_touch_is_due() -> None:
    events, _, due = silence()
    with Cadence.open(None, default=POLICY) as store:
        store.histories.append([(events, 0)], at=events[-1].recorded_at)
        assert store.due(due - DAY, limit=5).items == []
        (item,) = store.due(due, limit=5).items
        assert isinstance(item, Task)
        assert item.kind is TaskKind.FIND_VALUE
        (later,) = store.due(item.at + DAY, limit=5).items
        assert isinstance(later, Task)
        assert later.is_overdue


def test_two_parts_of_one_touch_use_up_one_value() -> None:
    """A voicemail and, four minutes later, its email bring the same."""
    policy = builtin("voicemail-and-email")
    events = live(PLACES[4], policy=policy, attempts=2)
    at = events[-1].recorded_at
    events = [*events, Event("jo", len(events) + 1, at, at, GuidelinesAgreed())]
    for number in (1, 2):
        events = noted(events, events[-1].recorded_at, number)
    waiting = next_touch(folded(events), policy, events[-1].recorded_at)
    assert isinstance(waiting, Wait)
    used = []
    for minutes, part in enumerate(
        (Part(CALL, Disposition.VOICEMAIL_LEFT), Part(EMAIL, Disposition.SENT))
    ):
        at = waiting.at + timedelta(minutes=6 * minutes)
        (made,) = decide(folded(events), MakeAttempt((part,), is_strict=True), policy, at)
        assert isinstance(made, AttemptMade)
        events = [*events, Event("jo", len(events) + 1, at, at, made)]
        used.append(made.value)
    assert used == ["value-1", None]
