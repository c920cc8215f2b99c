"""A first touch that a guard keeps from its time until it lapses is the guard's doing."""

from datetime import UTC, datetime, timedelta

from guarded_policy import BASE

from cadence.domain import ContactPoint, Event, PauseRequested, ProspectAdded, fold
from cadence.domain.channels import CALL
from cadence.engine import Task, TaskKind, decide_silently, next_touch
from cadence.policy import Rule, parse_text

MONDAY = datetime(2026, 11, 2, 15, tzinfo=UTC)
EXACT = parse_text(
    BASE.replace(
        "after = { business_days = 1 }\ntimes = 3",
        "after = { hours = 1 }\nwithin = { minutes = 15 }",
    )
    + '\n[[guards]]\nkind = "contact_window"\nwed = ["10:00-11:00"]\n',
    "exact.toml",
)


def test_the_owner_decides_where_a_guard_let_the_only_first_touch_lapse() -> None:
    added = ProspectAdded("Kim", "UTC", contact_points=(ContactPoint(CALL, "+1"),))
    pause = PauseRequested(MONDAY + timedelta(days=1))
    events = [Event("kim", n, MONDAY, MONDAY, data) for n, data in enumerate((added, pause), 1)]
    prospect = fold(None, events)
    assert prospect is not None
    now = MONDAY + timedelta(hours=1)
    decision = next_touch(prospect, EXACT, now)
    assert isinstance(decision, Task)
    assert decision.kind is TaskKind.DECIDE_FIRST_ATTEMPT
    assert decision.reasons[0].rule == Rule.FORGOTTEN
    silent = decide_silently(prospect, EXACT, now)
    assert isinstance(silent, Task)
    assert (silent.kind, silent.at) == (decision.kind, decision.at)
