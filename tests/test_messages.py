"""What we say: the scripts, their facts, and the linter that reads them."""

from datetime import UTC, datetime, timedelta

import pytest

from cadence.core import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    Channel,
    ContactPoint,
    Data,
    Disposition,
    Event,
    InterestNoted,
    Part,
    ProspectAdded,
    ValueKind,
    ValueNoted,
    fold,
)
from cadence.errors import PolicyError
from cadence.messages import compose, lint_policy, lint_script, script_names, script_text
from cadence.policy import Policies, builtin

NINE = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)  # 9:00 in New York
POLICIES = Policies()
NO_ANSWER = (Part(Channel.CALL, Disposition.NO_ANSWER),)


def history(*later: tuple[datetime, Data], interest: str | None = "the price") -> list[Event]:
    points = (
        ContactPoint(Channel.CALL, "+15550100"),
        ContactPoint(Channel.EMAIL, "jerry@example.com"),
    )
    before = NINE - timedelta(days=2)
    found: list[tuple[datetime, Data]] = [
        (before, ProspectAdded("Jerry Doe", "America/New_York", "US", None, points)),
        (before, AppointmentSet(NINE)),
    ]
    if interest is not None:
        found.insert(1, (before, InterestNoted(interest)))
    events = [*found, *later]
    return [Event("jerry", n, at, at, data) for n, (at, data) in enumerate(events, 1)]


def said(events: list[Event], now: datetime) -> str:
    prospect = fold(None, events)
    assert prospect is not None
    decision = compose(POLICIES.decision(prospect, now), prospect, POLICIES, now)
    assert decision.touch is not None
    return decision.touch.parts[0].text


def made(stage: AttemptStage, at: datetime) -> tuple[datetime, Data]:
    return at, AttemptMade(NO_ANSWER, stage, stage.value)


ON_TIME = made(AttemptStage.ON_TIME, NINE)
TEN_MINUTES = made(AttemptStage.TEN_MINUTES, NINE + timedelta(minutes=10))
HALF_DAY = made(AttemptStage.HALF_DAY, NINE + timedelta(minutes=250))


def test_the_first_message_says_that_we_call_as_promised_and_when_we_call_again() -> None:
    assert said(history(), NINE) == (
        "Hello Jerry, it is 09:00 and I am calling as promised. I will call again at 09:10."
    )


def test_a_late_first_call_says_that_it_is_late() -> None:
    text = said(history(), NINE + timedelta(minutes=20))
    assert "later than the 09:00 we had said; I am sorry" in text


def test_after_a_late_first_call_the_second_message_promises_nothing_it_did_not_keep() -> None:
    late = (NINE + timedelta(minutes=20), AttemptMade(NO_ANSWER, AttemptStage.ON_TIME, "on_time"))
    text = said(history(late), NINE + timedelta(minutes=30))
    assert "I called at 09:20, and again now" in text
    assert "promised" not in text


def test_the_second_message_says_when_we_call_again_and_nothing_of_their_interest() -> None:
    text = said(history(ON_TIME), NINE + timedelta(minutes=10))
    assert "as promised" in text
    assert "at 13:10" in text
    assert "price" not in text


def test_the_half_day_message_reminds_of_what_they_care_about() -> None:
    text = said(history(ON_TIME, TEN_MINUTES), NINE + timedelta(minutes=250))
    assert "the price" in text
    assert "on Friday, 4 December, at 13:10" in text


def test_messages_do_without_what_is_not_known() -> None:
    text = said(history(ON_TIME, TEN_MINUTES, interest=None), NINE + timedelta(minutes=250))
    assert "what we wanted to talk about" in text


def test_a_spaced_call_brings_the_next_unused_value() -> None:
    noted = ValueNoted("value-1", "a drawing", ValueKind.PROFESSIONAL)
    events = history(ON_TIME, TEN_MINUTES, HALF_DAY, (NINE + timedelta(hours=5), noted))
    assert "a drawing" in said(events, NINE + timedelta(days=3, hours=5))


def test_the_polite_exit_says_when_the_file_is_closed_and_that_silence_is_fine() -> None:
    events = history(ON_TIME, TEN_MINUTES, HALF_DAY)
    text = said(events, NINE + timedelta(days=90))
    assert "leave this unanswered" in text
    assert "I will close your file on" in text


def test_what_they_told_us_is_never_taken_for_a_template() -> None:
    evil = "{{ ''.__class__.__mro__ }} {% for x in range(9) %}"
    events = history(ON_TIME, TEN_MINUTES, interest=evil)
    assert evil in said(events, NINE + timedelta(minutes=250))


def test_the_builtin_scripts_have_nothing_the_linter_minds() -> None:
    assert lint_policy(builtin()) == []
    for name in script_names():
        assert lint_script(name, script_text(name), AttemptStage(name)) == []


@pytest.mark.parametrize(
    ("text", "stage", "what"),
    [
        ("Hello {{ name }}, you didn't answer.", AttemptStage.SPACED, "blames"),
        ("Hello {{ name }}, you didn’t answer.", AttemptStage.SPACED, "blames"),
        ("Hello {{ naem }}.", AttemptStage.SPACED, "no placeholder 'naem'"),
        ("{{ name }} {{ next_time }} {{ late }} {{ interest }}", AttemptStage.ON_TIME, "nothing"),
        ("Hello {{ name }}", AttemptStage.ON_TIME, "must say 'next_time'"),
        ("Hello {{ name }}", AttemptStage.POLITE_EXIT, "must say 'deadline'"),
        ("Hello {{ name", AttemptStage.SPACED, "line 1"),
        ("x" * 700, AttemptStage.SPACED, "more than anybody reads"),
    ],
)
def test_the_linter_names_what_is_wrong(text: str, stage: AttemptStage, what: str) -> None:
    assert any(what in finding.what for finding in lint_script("ours", text, stage))


def test_an_unknown_script_names_the_nearest() -> None:
    with pytest.raises(PolicyError) as caught:
        script_text("polite_exot")
    assert "polite_exit" in caught.value.mend
