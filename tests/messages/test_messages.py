"""What we say: the scripts, their facts, and the linter that reads them."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from said import TEAM, message

from cadence.domain import (
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
from cadence.domain.channels import CALL, EMAIL
from cadence.engine.loop import decision_for
from cadence.errors import PolicyError
from cadence.messages import (
    Form,
    check_scripts,
    compose,
    lint_policy,
    script_names,
)
from cadence.messages.languages import builtin_languages
from cadence.messages.scripts import find_script
from cadence.policy import Policy, PolicyRegistry, builtin, builtin_names
from cadence.policy.model import StepPart

NINE = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)  # 9:00 in New York
POLICIES = PolicyRegistry()
NO_ANSWER = (Part(CALL, Disposition.NO_ANSWER),)


def history(*later: tuple[datetime, Data], interest: str | None = "the price") -> list[Event]:
    points = (
        ContactPoint(CALL, "+12125550100"),
        ContactPoint(EMAIL, "jerry@example.com"),
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
    decision = compose(decision_for(prospect, POLICIES, now), prospect, POLICIES, now, TEAM)
    assert decision.touch is not None
    return decision.touch.parts[0].text


def made(stage: AttemptStage, at: datetime) -> tuple[datetime, Data]:
    return at, AttemptMade(NO_ANSWER, stage, stage.value)


ON_TIME = made(AttemptStage.ON_TIME, NINE)
TEN_MINUTES = made(AttemptStage.TEN_MINUTES, NINE + timedelta(minutes=10))
HALF_DAY = made(AttemptStage.HALF_DAY, NINE + timedelta(minutes=250))


def test_the_first_message_says_that_we_call_as_promised_and_when_we_call_again() -> None:
    assert said(history(), NINE) == (
        "Hello Jerry, this is Ann Lee from Acme. I am calling for our appointment at 9:00 AM. "
        "You may be tied up, so I will try again in ten minutes. My number is (212) 555-0190."
    )


def test_a_late_first_call_says_that_it_is_late() -> None:
    text = said(history(), NINE + timedelta(minutes=20))
    assert "our appointment at 9:00 AM, and I am sorry that I am late" in text


def test_after_a_late_first_call_the_second_message_promises_nothing_it_did_not_keep() -> None:
    late = (NINE + timedelta(minutes=20), AttemptMade(NO_ANSWER, AttemptStage.ON_TIME, "on_time"))
    text = said(history(late), NINE + timedelta(minutes=30))
    assert "I called at 9:20 AM, and I am trying you once more" in text
    assert "agreed" not in text


def test_the_second_message_says_when_we_call_again_and_nothing_of_their_interest() -> None:
    text = said(history(ON_TIME), NINE + timedelta(minutes=10))
    assert "I called at 9:00 AM, as we agreed" in text
    assert "I will try again today at 1:10 PM" in text
    assert "price" not in text


def test_the_half_day_message_reminds_of_what_they_care_about() -> None:
    text = said(history(ON_TIME, TEN_MINUTES), NINE + timedelta(minutes=250))
    assert "the price" in text
    assert "I called earlier today" in text
    assert "I will try again on Friday, December 4." in text


def test_messages_do_without_what_is_not_known() -> None:
    text = said(history(ON_TIME, TEN_MINUTES, interest=None), NINE + timedelta(minutes=250))
    assert "what we wanted to talk about" in text


def test_a_spaced_call_brings_the_next_unused_value() -> None:
    noted = ValueNoted("value-1", "a drawing", ValueKind.PROFESSIONAL)
    events = history(ON_TIME, TEN_MINUTES, HALF_DAY, (NINE + timedelta(hours=5), noted))
    assert "a drawing" in said(events, NINE + timedelta(days=3, hours=5))


def test_no_time_is_promised_where_the_next_thing_is_left_to_the_owner() -> None:
    """In the morning of Berlin, the evening of Auckland; half a day later one of them sleeps."""
    at = datetime(2026, 6, 2, 6, 15, tzinfo=UTC)
    zones = ("Europe/Berlin", "Pacific/Auckland")
    point = ContactPoint(CALL, "+12125550100")
    events = [
        Event("jerry", 1, at, at, ProspectAdded("Jerry", zones, contact_points=(point,))),
        Event("jerry", 2, at, at, AppointmentSet(at)),
        Event("jerry", 3, at, at, AttemptMade(NO_ANSWER, AttemptStage.ON_TIME, "on_time")),
    ]
    assert said(events, at + timedelta(minutes=10)) == (
        "Hello Jerry, this is Ann Lee from Acme. I called at 8:15 AM, as we agreed, "
        "and I am trying you once more. When you are free, call me at +1 212-555-0190."
    )


def test_the_polite_exit_says_when_the_file_is_closed_and_that_silence_is_fine() -> None:
    events = history(ON_TIME, TEN_MINUTES, HALF_DAY)
    text = said(events, NINE + timedelta(days=90))
    assert "leave this unanswered" in text
    assert "I will close your file on" in text


def test_what_they_told_us_is_never_taken_for_a_template() -> None:
    evil = "{{ ''.__class__.__mro__ }} {% for x in range(9) %}"
    events = history(ON_TIME, TEN_MINUTES, interest=evil)
    text = said(events, NINE + timedelta(minutes=250))
    assert "what we wanted to talk about" in text  # it reads like no sentence, so it is not said
    values = ValueNoted("v", "a reading of {{ name }}", ValueKind.PROFESSIONAL)
    events = history(ON_TIME, TEN_MINUTES, HALF_DAY, (NINE + timedelta(hours=5), values))
    assert "{{" not in said(events, NINE + timedelta(days=3, hours=5))


def test_the_builtin_scripts_have_nothing_the_linter_minds() -> None:
    assert lint_policy(builtin()) == []


def test_every_script_that_comes_with_cadence_is_said_by_a_policy_that_does() -> None:
    said_by = {
        part.script
        for policy in map(builtin, builtin_names())
        for step in policy.steps
        for turn in (step.parts, *step.rotation)
        for part in turn
    }
    assert set(script_names()) == said_by


def test_the_scripts_of_every_turn_are_linted() -> None:
    policy = _rotating("no such script")
    assert [finding.script for finding in lint_policy(policy)] == ["no such script"]


def test_a_policys_own_script_replaces_the_one_of_that_name_and_is_linted() -> None:
    policy = _rotating("spaced", {"spaced": "Ahoy {{ nmae }}", "unused": "Ahoy {{ name }}"})
    assert {(finding.script, finding.what) for finding in lint_policy(policy)} == {
        ("spaced", "unknown placeholder 'nmae'"),
        ("unused", "no step uses it"),
        ("spaced", "lacks the language es"),
    }
    policy = _rotating("spaced", {"spaced": "Ahoy {{ name }} by {{ channel }}"})
    events = [*history(ON_TIME, TEN_MINUTES, HALF_DAY)]
    prospect = fold(None, events)
    assert prospect is not None
    policies, now = PolicyRegistry(policy), NINE + timedelta(days=3, hours=5)
    decision = compose(decision_for(prospect, policies, now), prospect, policies, now)
    assert decision.touch is not None
    assert [part.text for part in decision.touch.parts] == [
        "Ahoy Jerry by call",
        "Ahoy Jerry by email",
    ]


def _rotating(script: str, scripts: dict[str, str] | None = None) -> Policy:
    both = tuple(StepPart((channel,), script) for channel in (CALL, EMAIL))
    return msgspec.structs.replace(
        builtin(),
        steps=tuple(
            msgspec.structs.replace(step, parts=(), rotation=(both,))
            if step.stage is AttemptStage.SPACED
            else step
            for step in builtin().steps
        ),
        scripts=scripts or {},
    )


def test_an_email_says_that_there_was_a_call_only_where_there_was_one() -> None:
    def text(*channels: Channel) -> str:
        return message("email_with_voicemail", Form.EMAIL, channels=tuple(channels)).text

    assert "I have just tried to call you" in text(CALL, EMAIL)
    assert "call you" not in text(EMAIL)


def test_an_unknown_script_names_the_nearest() -> None:
    with pytest.raises(PolicyError) as caught:
        find_script("polite_exot", Form.EMAIL, "en", builtin_languages())
    assert "polite_exit" in caught.value.hint


EVIL = (
    "{{ 1 / 0 }}",
    "{{ name.__class__() }}",
    "{{ 'x' * 999999999 }}",
    "{{ 9 ** 9 ** 9 ** 9 }}",
    "{{ name.ljust(999999999) }}",
    "{{ '%999999999d' % 1 }}",
    "{{ name | center(999999999) }}",
    "{{ name | join(name) }}",
    "{{ name[::2] }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "{% set a = 'xx' %}{% set a = a ~ a %}{{ a }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% include 'spaced' %}",
    "{% if name %}" * 200 + "x" + "{% endif %}" * 200,
    "{{ " + "(" * 5000 + "name" + ")" * 5000 + " }}",
    "{{ " + "not " * 3000 + "name }}",
    "{{ name ~ " * 2000 + "name" + " }}" * 2000,
    "{{ " + "interest ~ " * 1000 + "interest }}",
    "x" * 20_001,
    "{{ interest }}" * 400,
)
"""Templates that would take too much time, memory or stack."""


@pytest.mark.parametrize("text", EVIL, ids=lambda text: text[:30])
def test_a_script_that_would_not_end_is_refused_and_says_so_in_its_place(text: str) -> None:
    assert "script ours can't be rendered: invalid" in composed_with(text)
    with pytest.raises(PolicyError):
        check_scripts(_rotating("ours", {"ours": text}), "ours.toml")


@pytest.mark.parametrize("text", ["{{ name", "{{ naem }}"])
def test_a_script_that_cannot_be_rendered_says_so_and_holds_no_touch(text: str) -> None:
    assert "script ours can't be rendered" in composed_with(text)


def composed_with(text: str) -> str:
    """The first text of a spaced touch that says ``text``, to someone with a long name."""
    policy = _rotating("ours", {"ours": text})
    events = history(ON_TIME, TEN_MINUTES, HALF_DAY, interest="the price " * 29)
    prospect = fold(None, events)
    assert prospect is not None
    policies, now = PolicyRegistry(policy), NINE + timedelta(days=3, hours=5)
    decision = compose(decision_for(prospect, policies, now), prospect, policies, now)
    assert decision.touch is not None
    return decision.touch.parts[0].text


@pytest.mark.parametrize(
    ("script", "scripts", "what", "hint"),
    [
        ("spacd", {}, "steps[3].parts[0].script: unknown 'spacd'", "use spaced"),
        (
            "mine",
            {"mine": "Hello {{ nam }}"},
            "steps[3].parts[0].script: script 'mine': unknown placeholder 'nam'",
            "use name",
        ),
        ("mine", {"mine": "Hello {{ name"}, "script 'mine': invalid: line 1: ", "use placeholders"),
        (
            "mine",
            {"mine": "Hello {{ name < 3 }}"},
            "script 'mine': invalid: '<' not supported",
            "use placeholders",
        ),
    ],
)
def test_a_policy_whose_script_cannot_be_rendered_is_refused(
    script: str, scripts: dict[str, str], what: str, hint: str
) -> None:
    tip8 = builtin("tip8")
    part = msgspec.structs.replace(tip8.steps[3].parts[0], script=script)
    spaced = msgspec.structs.replace(tip8.steps[3], parts=(part,))
    steps = (*tip8.steps[:3], spaced, *tip8.steps[4:])
    with pytest.raises(PolicyError) as error:
        check_scripts(msgspec.structs.replace(tip8, steps=steps, scripts=scripts), "ours.toml")
    assert error.value.what.startswith("ours.toml: steps[3]")
    assert what in error.value.what
    assert error.value.hint.startswith(hint)


def test_every_script_of_the_catalogue_can_be_rendered() -> None:
    for name in builtin_names():
        check_scripts(builtin(name), name)
