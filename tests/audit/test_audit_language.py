"""The audit on what only the full policy language can say: guards, limits, answer times, turns.

One planted breach, and exactly that is found; the same history up to it breaks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from audit_cases import CALENDAR, attempt, found, later, plant, rules
from engine_lives import CALL, DAY, HOUR, PLACES, Place, live

from cadence.audit import Auditor, Noticed
from cadence.domain.channels import Channel
from cadence.domain.events import (
    AppointmentSet,
    AttemptStage,
    ContactPointAdded,
    ContactPointFailed,
    Disposition,
    Event,
    GuidelinesAgreed,
    Intent,
    Part,
    ReplyReceived,
)
from cadence.policy import Policy, Rule
from cadence.policy.loader import parse_text
from cadence.worktime.hours import WEEKDAYS

places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.zones[-1])

_OPENING = """
[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{ channels = ["call"], script = "on_time" }]
"""
_CALLS = """
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 2 }
times = 4
parts = [{ channels = ["call"], script = "spaced" }]
"""
_NEWS = """
[[steps]]
id = "news"
stage = "nurture"
after = { business_days = 3 }
requires = { guidelines = true }
times = 2
parts = [{ channels = ["email"], script = "spaced" }]
"""
_BYE = """
[[steps]]
id = "bye"
stage = "polite_exit"
after = { business_days = 6 }
answer_within = { business_days = 3 }
parts = [{ channels = ["email", "call"], script = "polite_exit" }]
"""


def policy(more: str = "", steps: str = _OPENING + _CALLS) -> Policy:
    """A policy with further steps or guards; the polite exit comes last."""
    head = 'id = "ours"\nversion = 1\ntitle = "Ours"\nsource = "a test"\n'
    head += "horizon_business_days = 90\ntask_business_days = 2\n"
    limits, guards = (more, "") if more.startswith("[limits]") else ("", more)
    return parse_text(head + CALENDAR + limits + steps + _BYE + guards, "ours.toml")


def guard(kind: str, *keys: str) -> str:
    return "\n".join(["[[guards]]", f'kind = "{kind}"', *keys, ""])


WINDOW = guard("contact_window", *(f'{d} = ["10:00-13:00"]' for d in WEEKDAYS[:5]))
CAP = guard("frequency_cap", "attempts = 2", "days = 10")
PER_ADDRESS = guard("frequency_cap", "attempts = 1", "days = 20", 'per = "address"')
QUIET_AFTER = guard("cool_down", 'after = "contact"', "lasts = { business_days = 5 }")
AFTER_TALKS = guard("cool_down", 'after = "conversation"', "lasts = { hours = 48 }")
BRAZIL = guard("holiday_ban", 'id = "no_brazil"', 'country = "BR"')
PAUSE = guard("pause", "first_day = 2026-11-19", "last_day = 2026-11-20")
TURNS = _OPENING + _CALLS + 'rotate = { times = ["10:00", "14:00"] }\n'
MONDAYS = _OPENING + _CALLS + 'rotate = { days = ["mon", "wed"] }\n'
ANSWERS = _OPENING + _CALLS + "answer_within = { business_days = 5 }\n"
LISTENED = _OPENING + _CALLS + _NEWS
ALONG = _OPENING + _CALLS.replace(
    'script = "spaced" }]',
    'script = "spaced" }, { channels = ["email"], script = "spaced", along_with = "call" }]',
)


def call(ours: Policy, number: int, **given: object) -> object:
    return attempt(step=f"spaced#{number}", policy=ours, **given)


def outside_the_contact_window(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(WINDOW)
    history = live(place, policy=ours, attempts=2)
    return ours, plant(history, call(ours, 2), later(place, history, 2) + 3 * HOUR)


def more_often_than_a_cap(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(CAP)
    history = live(place, policy=ours, attempts=2)
    return ours, plant(history, call(ours, 2), later(place, history, 2))


def more_often_than_a_cap_per_address(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(PER_ADDRESS)
    history = live(place, policy=ours, attempts=1)
    return ours, plant(history, call(ours, 1), later(place, history, 2))


def across_silences_more_often_than_a_cap(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(CAP)
    history = live(place, policy=ours, attempts=2)
    history = plant(history, ReplyReceived(Channel("email")), history[-1].occurred_at + HOUR)
    return ours, plant(history, attempt(policy=ours), later(place, history, 1))


def too_soon_after_their_reply(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(QUIET_AFTER)
    history = live(place, policy=ours, attempts=2)
    history = plant(history, ReplyReceived(Channel("email")), history[-1].occurred_at + HOUR)
    return ours, plant(history, attempt(policy=ours), later(place, history, 2))


def too_soon_after_a_conversation(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(AFTER_TALKS)
    history = live(place, policy=ours, attempts=2)
    talked = call(ours, 2, disposition=Disposition.CONNECTED)
    history = plant(history, talked, later(place, history, 2))
    return ours, plant(history, attempt(policy=ours), history[-1].occurred_at + HOUR)


def on_a_holiday_of_another_country(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(BRAZIL)
    history = live(place, policy=ours, attempts=2)
    return ours, plant(history, call(ours, 2), datetime(2026, 11, 20, place.noon, tzinfo=UTC))


def in_a_pause_of_the_teams(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(PAUSE)
    history = live(place, policy=ours, attempts=2)
    return ours, plant(history, call(ours, 2), datetime(2026, 11, 19, place.noon, tzinfo=UTC))


def beyond_the_limit_of_attempts(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy("[limits]\nattempts = 2\n")
    history = live(place, policy=ours, attempts=2)
    return ours, plant(history, call(ours, 2), later(place, history, 2))


def beyond_the_limit_of_spaced_calls(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy("[limits]\nspaced_calls = 2\n")
    history = live(place, policy=ours, attempts=3)
    return ours, plant(history, call(ours, 3), later(place, history, 2))


def before_the_answer_time_is_over(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(steps=ANSWERS)
    history = live(place, policy=ours, attempts=2)
    return ours, plant(history, call(ours, 2), later(place, history, 4))


def without_the_guidelines_it_needs(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(steps=LISTENED)
    history = live(place, policy=ours, attempts=5)
    news = attempt(AttemptStage.NURTURE, "news#1", Channel("email"), policy=ours)
    return ours, plant(history, news, later(place, history, 3))


def left_out_although_they_agreed(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(steps=LISTENED)
    history = live(place, policy=ours, attempts=5)
    history = plant(history, GuidelinesAgreed(), history[-1].occurred_at)
    bye = attempt(AttemptStage.POLITE_EXIT, "bye", Channel("email"), policy=ours)
    return ours, plant(history, bye, later(place, history, 6))


def on_another_weekday_than_that_in_turn(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(steps=MONDAYS)
    history = live(place, policy=ours, attempts=1)  # on a Tuesday, so Monday is next
    friday = history[-1].occurred_at + 3 * DAY
    return ours, plant(history, call(ours, 1), friday)


def by_what_goes_along_with_a_call_alone(place: Place) -> tuple[Policy, list[Event]]:
    ours = policy(steps=ALONG)
    history = live(place, policy=ours, attempts=2)
    lost = ContactPointFailed(Channel("call"), CALL.address)
    history = plant(history, lost, history[-1].occurred_at + HOUR)
    made = attempt(step="spaced#2", channel=Channel("email"), policy=ours)
    return ours, plant(history, made, later(place, history[:-1], 6))


Planted = Callable[[Place], tuple[Policy, list[Event]]]
PLANTED: dict[Planted, str] = {
    outside_the_contact_window: "contact_window",
    more_often_than_a_cap: "frequency_cap",
    more_often_than_a_cap_per_address: "frequency_cap",
    across_silences_more_often_than_a_cap: "frequency_cap",
    too_soon_after_their_reply: "cool_down",
    too_soon_after_a_conversation: "cool_down",
    on_a_holiday_of_another_country: "no_brazil",
    in_a_pause_of_the_teams: "pause",
    beyond_the_limit_of_attempts: Rule.PLAN,
    beyond_the_limit_of_spaced_calls: Rule.PLAN,
    before_the_answer_time_is_over: Rule.PLAN,
    without_the_guidelines_it_needs: Rule.PLAN,
    left_out_although_they_agreed: Rule.PLAN,
    on_another_weekday_than_that_in_turn: Rule.PLAN,
    by_what_goes_along_with_a_call_alone: Rule.PLAN,
}


@places
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.__name__)
def test_an_attempt_that_breaks_what_the_language_can_say(place: Place, planted: Planted) -> None:
    ours, history = planted(place)
    assert rules(history, ours) == [(history[-1].version, PLANTED[planted])]
    assert rules(history[:-1], ours) == []


@places
@pytest.mark.parametrize(
    "ours",
    [
        *map(policy, (WINDOW, CAP, PER_ADDRESS, QUIET_AFTER, AFTER_TALKS, BRAZIL, PAUSE)),
        policy("[limits]\nattempts = 2\n"),
        policy("[limits]\nspaced_calls = 2\n"),
        *(policy(steps=steps) for steps in (TURNS, MONDAYS, ANSWERS, LISTENED, ALONG)),
    ],
    ids=lambda ours: ours.digest[:6],
)
@pytest.mark.parametrize("late", [(), (0 * DAY, 40 * HOUR, 2 * HOUR)])
def test_what_the_engine_did_under_such_a_policy_breaks_nothing(
    place: Place, ours: Policy, late: Sequence[timedelta]
) -> None:
    history = live(place, policy=ours, late=late, close=True)
    assert Auditor(ours).audit(history) == []


@places
def test_a_guard_for_another_channel_or_another_address_forbids_nothing(place: Place) -> None:
    written = policy(WINDOW + 'channels = ["email"]\n')
    history = live(place, policy=written, attempts=2)
    assert rules(plant(history, call(written, 2), later(place, history, 2) + 3 * HOUR)) == []
    ours = policy(PER_ADDRESS)
    history = live(place, policy=ours, attempts=1)
    history = plant(history, ContactPointAdded(Channel("call"), "+2"), history[-1].occurred_at)
    other = msgspec.structs.replace(
        call(ours, 1), parts=(Part(Channel("call"), Disposition.NO_ANSWER, "+2"),)
    )
    assert rules(plant(history, other, later(place, history, 2)), ours) == []


@places
def test_the_way_out_on_a_channel_at_an_hour_that_a_guard_forbids(place: Place) -> None:
    ours = policy(WINDOW + 'channels = ["call"]\n')
    history = live(place, policy=ours, attempts=5)
    at = later(place, history, 6) + 3 * HOUR
    for channel, broken in ((Channel("email"), []), (Channel("call"), ["contact_window"])):
        bye = attempt(AttemptStage.POLITE_EXIT, "bye", channel, policy=ours)
        assert [rule for _, rule in rules(plant(history, bye, at), ours)] == broken


def test_every_guard_that_forbids_an_attempt_is_a_finding_of_its_own() -> None:
    ours = policy(WINDOW + CAP)
    history = live(PLACES[0], policy=ours, attempts=2)
    at = later(PLACES[0], history, 2) + 3 * HOUR
    history = plant(history, call(ours, 2), at)
    assert [rule for _, rule in rules(history, ours)] == ["contact_window", "frequency_cap"]
    because = [one.because for one in found(history, ours)]
    assert "15:00 America/New_York: outside the contact window; not before" in because[0]
    assert "2 attempts in 10 days; the limit is 2; not before" in because[1]


def test_a_broken_invariant_does_not_hide_a_guard() -> None:
    ours = policy(WINDOW)
    history = live(PLACES[0], policy=ours, attempts=3)
    at = later(PLACES[0], history, 1) + 3 * HOUR
    made = rules(plant(history, call(ours, 3), at), ours)
    assert [rule for _, rule in made] == [Rule.GAP, "contact_window"]


def test_a_guard_that_an_attempt_names_is_said_so() -> None:
    ours = policy(WINDOW)
    history = live(PLACES[0], policy=ours, attempts=2)
    said = call(ours, 2, broke=("contact_window",), why="they asked for the afternoon")
    (one,) = found(plant(history, said, later(PLACES[0], history, 2) + 3 * HOUR), ours)
    assert one.noticed is Noticed.DECLARED
    assert one.because.endswith("said so: they asked for the afternoon)")


def test_a_cap_counts_what_had_been_recorded_by_then() -> None:
    ours, history = policy(CAP), live(PLACES[0], policy=policy(CAP), attempts=1)
    at = later(PLACES[0], history, 2)
    history = plant(history, call(ours, 1), at)
    made = later(PLACES[0], history, 2)
    # The second of the two is written down only after the third was made.
    late = msgspec.structs.replace(history[-1], recorded_at=made + HOUR)
    third = plant([*history[:-1], late], call(ours, 2), made, recorded_at=made + 2 * HOUR)
    (one,) = Auditor(ours).audit(third)
    assert (one.version, one.rule, one.noticed) == (5, "frequency_cap", Noticed.HINDSIGHT)


def test_a_refusal_cools_down_what_they_then_agreed_to() -> None:
    ours = policy(guard("cool_down", 'after = "refusal"', "lasts = { business_days = 9 }"))
    history = live(PLACES[0], policy=ours, attempts=2)
    no = ReplyReceived(Channel("email"), Intent.NO)
    history = plant(history, no, history[-1].occurred_at + HOUR)
    at = later(PLACES[0], history, 3)
    history = plant(history, AppointmentSet(at), history[-1].occurred_at + HOUR)
    on_time = attempt(AttemptStage.ON_TIME, "on_time", policy=ours)
    assert rules(plant(history, on_time, at), ours) == [(7, "cool_down")]


def test_what_a_custom_guard_may_have_done_is_no_violation() -> None:
    ours = policy(
        guard("custom", 'id = "ours"', 'function = "bad_guards:silent"', "version = 1") + CAP
    )
    history = live(PLACES[0], policy=ours, attempts=1)
    at = later(PLACES[0], history, 6)
    for made in (
        call(ours, 3),
        attempt(AttemptStage.POLITE_EXIT, "bye", Channel("email"), policy=ours),
        attempt(AttemptStage.EXTRA, policy=ours),
    ):
        auditor = Auditor(ours)
        assert auditor.audit(plant(history, made, at)) == []
        assert auditor.own_guards == {(ours.ref, ("ours",)): 2}
    early = plant(history, call(ours, 1), later(PLACES[0], history, 1))
    assert rules(early, ours) == [(4, Rule.PLAN)]


def test_for_what_no_guard_lets_pass_within_30_days_the_owner_may_try() -> None:
    ours = policy(
        guard("pause", 'channels = ["call"]', "first_day = 2026-11-11", "last_day = 2027-02-01")
    )
    history = live(PLACES[0], policy=ours, attempts=1)
    at = later(PLACES[0], history, 3)
    written = attempt(AttemptStage.EXTRA, channel=Channel("email"), policy=ours)
    assert rules(plant(history, written, at), ours) == []
    called = plant(history, attempt(AttemptStage.EXTRA, policy=ours), at)
    assert rules(called, ours) == [(4, "pause")]
    # Once the pause is over the engine still leaves it to the owner, so there is no finding.
    after = datetime(2027, 2, 3, PLACES[0].noon, tzinfo=UTC)
    assert rules(plant(history, written, after), ours) == []
