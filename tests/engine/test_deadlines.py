"""A task's deadline is never before the task may be done, and says what it waits for."""

from __future__ import annotations

from guarded_policy import guarded
from histories import (
    DAY,
    HOUR,
    MONDAY,
    SENT,
    TIP8,
    added,
    after,
    attempt,
    fact,
    reasons,
)

from cadence.domain import AutoReplyReceived, Channel, ReplyReceived
from cadence.domain.events import AttemptStage, Disposition, Part
from cadence.engine import Task, next_touch

EMAIL = Channel("email")


def test_a_reply_learnt_of_late_can_be_answered_at_once() -> None:
    asked = (MONDAY + DAY, MONDAY + 8 * DAY, ReplyReceived(EMAIL))
    calls = [attempt(MONDAY + n * DAY) for n in (3, 7)]
    prospect = after(added(), *calls, asked)
    decision = next_touch(prospect, TIP8, MONDAY + 8 * DAY)
    assert isinstance(decision, Task)
    assert decision.at == MONDAY + 10 * DAY
    assert fact(prospect, MONDAY + 9 * DAY, SENT).broke == ()


def test_a_cool_down_longer_than_the_time_for_the_task_moves_its_deadline() -> None:
    policy = guarded('kind = "cool_down"\nafter = "contact"\nlasts = { business_days = 9 }')
    prospect = after(added(), (MONDAY, ReplyReceived(EMAIL)))
    decision = next_touch(prospect, policy, MONDAY)
    assert isinstance(decision, Task)
    assert decision.at == next_touch(prospect, policy, MONDAY + 20 * DAY).at
    assert fact(prospect, decision.at, under=policy).broke == ()
    assert "cool_down" in fact(prospect, decision.at - HOUR * 24, under=policy).broke
    assert "cool_down" in [rule for rule, _, _ in reasons(decision)]


def test_an_answer_time_in_which_they_are_away_names_the_absence() -> None:
    left = (Part(EMAIL, Disposition.SENT, "j@x"),)
    away = (MONDAY + 2 * HOUR, AutoReplyReceived(EMAIL, MONDAY + 10 * DAY))
    prospect = after(added(), attempt(MONDAY, AttemptStage.POLITE_EXIT, parts=left), away)
    told = reasons(next_touch(prospect, TIP8, MONDAY + DAY))
    assert ("suspended", (3,)) in [(rule, events) for rule, _, events in told]
    without = after(added(), attempt(MONDAY, AttemptStage.POLITE_EXIT, parts=left))
    told = reasons(next_touch(without, TIP8, MONDAY + DAY))
    assert "suspended" not in [rule for rule, _, _ in told]
