"""The concern message: once a silence, after five attempts and 21 days since the first."""

from datetime import UTC, datetime, timedelta

from audit_cases import CARING

from cadence.domain import (
    AttemptMade,
    AttemptStage,
    Channel,
    ContactPoint,
    Disposition,
    Event,
    Part,
    ProspectAdded,
    fold,
)
from cadence.engine import Decision, Verdict, next_touch
from cadence.policy import Rule

FIRST = datetime(2026, 11, 2, 15, 0, tzinfo=UTC)  # a Monday
CALL = (Part(Channel("call"), Disposition.NO_ANSWER, "+1"),)
CONCERN = (Part(Channel("email"), Disposition.SENT, "j@x"),)


def history(calls: int, *later: tuple[datetime, AttemptMade], days_apart: int = 1) -> list[Event]:
    points = (ContactPoint(Channel("call"), "+1"), ContactPoint(Channel("email"), "j@x"))
    found: list[tuple[datetime, ProspectAdded | AttemptMade]] = [
        (FIRST, ProspectAdded("Kim", "UTC", contact_points=points))
    ]
    for number in range(calls):
        made = AttemptMade(CALL, AttemptStage.SPACED, f"spaced#{number + 1}")
        found.append((FIRST + timedelta(days=days_apart * number), made))
    return [
        Event("kim", number, at, at, data) for number, (at, data) in enumerate([*found, *later], 1)
    ]


def decided(events: list[Event], now: datetime) -> Decision:
    prospect = fold(None, events)
    assert prospect is not None
    return next_touch(prospect, CARING, now)


def test_it_is_asked_after_five_attempts_and_21_days() -> None:
    last = FIRST + timedelta(days=4)
    waiting = decided(history(5), last + timedelta(days=1))
    assert waiting.verdict is Verdict.WAIT
    assert waiting.touch is not None
    assert waiting.touch.step == "concern"
    assert waiting.at == FIRST + timedelta(days=21)
    assert any(reason.rule == Rule.CONCERN for reason in waiting.reasons)
    assert decided(history(5), FIRST + timedelta(days=21)).verdict is Verdict.DUE


def test_the_21_days_are_elapsed_days_from_the_first_attempt() -> None:
    slow = history(5, days_apart=7)  # the fifth call comes 28 days after the first
    found = decided(slow, FIRST + timedelta(days=28, hours=1))
    assert found.touch is not None
    assert found.touch.step == "concern"
    assert not any(reason.rule == Rule.CONCERN for reason in found.reasons)


def test_with_too_few_attempts_it_is_passed_over() -> None:
    # Five calls are planned and four made; behind the horizon the fifth can't be made any more.
    found = decided(history(4), FIRST + timedelta(days=200))
    assert found.touch is not None
    assert found.touch.step == "polite_exit"
    assert any(
        reason.rule == Rule.CONCERN and "only 4 of 5" in reason.because for reason in found.reasons
    )


def test_it_is_asked_once_in_a_silence() -> None:
    asked = (FIRST + timedelta(days=21), AttemptMade(CONCERN, AttemptStage.CONCERN, "concern"))
    found = decided(history(5, asked), FIRST + timedelta(days=60))
    assert found.touch is not None
    assert found.touch.step == "polite_exit"


def test_an_imported_one_counts_as_asked_wherever_it_stood() -> None:
    early = (FIRST + timedelta(hours=1), AttemptMade(CONCERN, AttemptStage.CONCERN, "concern"))
    found = decided(history(1, early), FIRST + timedelta(days=200))
    assert found.touch is not None
    assert found.touch.step == "polite_exit"
