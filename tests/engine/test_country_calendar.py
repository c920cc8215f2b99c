"""Decisions for prospects whose country has another weekend, or whose region is not known."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cadence.domain.channels import Channel
from cadence.domain.events import (
    AppointmentSet,
    AttemptMade,
    ContactPoint,
    Disposition,
    Event,
    Part,
    ProspectAdded,
)
from cadence.domain.fold import fold
from cadence.engine import next_touch
from cadence.engine.commands import complete_attempt
from cadence.engine.next_touch import decide_silently
from cadence.policy.loader import builtin, parse_text
from cadence.policy.writer import to_toml
from cadence.prover.proof import prove
from cadence.worktime.holidays import KNOWN_WEEKENDS, regions_of

TIP8 = builtin("tip8")
CALL = (Part(Channel("call"), Disposition.NO_ANSWER, "+1 555 0100"),)
POINTS = (
    ContactPoint(Channel("call"), "+1 555 0100"),
    ContactPoint(Channel("email"), "jo@example.com"),
)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def lived(country, attempts, *, zone="UTC", region=None, policy=TIP8, appointment=None):
    """A prospect of a country, called at these times without an answer."""
    before = (appointment or attempts[0]) - timedelta(hours=1)
    added = ProspectAdded("Jo", zone, country, region, POINTS)
    events = [Event("jo", 1, before, before, added)]
    if appointment is not None:
        events.append(Event("jo", 2, before, before, AppointmentSet(appointment)))
    prospect = fold(None, events)
    for at in attempts:
        made = complete_attempt(prospect, AttemptMade(CALL), policy, at)
        prospect = fold(prospect, [Event("jo", prospect.version + 1, at, at, made)])
    return prospect


def following(*args, policy=TIP8, **more):
    prospect = lived(*args, policy=policy, **more)
    return next_touch(prospect, policy, prospect.silence.attempts[-1].at)


def with_calendar(lines):
    text = to_toml(TIP8).replace("[calendar]\n", f"[calendar]\n{lines}\n")
    return parse_text(text, "tip8.toml")


@pytest.mark.parametrize(
    ("country", "zone", "opens"),
    [
        ("SA", "Asia/Riyadh", utc(2026, 11, 8, 7)),
        ("EG", "Africa/Cairo", utc(2026, 11, 8, 7)),
        ("IL", "Asia/Jerusalem", utc(2026, 11, 8, 7)),
        ("IR", "Asia/Tehran", utc(2026, 11, 7, 7)),
        ("BN", "Asia/Brunei", utc(2026, 11, 7, 7)),
        ("AE", "Asia/Dubai", utc(2026, 11, 6, 7)),
        (None, "Asia/Riyadh", utc(2026, 11, 6, 7)),
    ],
)
def test_three_business_days_after_tuesday_keep_to_their_weekend(country, zone, opens):
    """Called on Tuesday 3 November 2026, without a public holiday in any of them that week."""
    decision = following(country, [utc(2026, 11, 3, 7)], zone=zone)
    assert decision.at == opens


def test_a_policy_may_keep_its_weekdays_everywhere():
    policy = with_calendar('weekend = "policy"')
    decision = following("SA", [utc(2026, 10, 6, 9)], zone="Asia/Riyadh", policy=policy)
    assert decision.at == utc(2026, 10, 9, 9)


def test_easter_monday_is_not_called_in_britain_without_a_region():
    tuesday = utc(2027, 3, 23, 10)
    days = {
        region: following("GB", [tuesday], zone="Europe/London", region=region).at.date().day
        for region in (None, "ENG", "SCT")
    }
    assert days == {None: 30, "ENG": 30, "SCT": 29}


def test_a_call_in_the_afternoon_of_a_half_day_moves_to_the_next_opening():
    policy = with_calendar('on = { 2026-12-24 = ["09:00-13:00"] }')
    for country, chosen in ((None, policy), ("IS", TIP8)):
        decision = following(country, [utc(2026, 12, 21, 13, 10)], policy=chosen)
        assert decision.at in (utc(2026, 12, 25, 9), utc(2026, 12, 28, 9))


def test_a_day_that_samoa_never_had_is_not_counted():
    tuesday = utc(2011, 12, 27, 21)  # 11:00 on Tuesday in Apia, east of the date line
    decision = following(None, [tuesday], zone="Pacific/Apia")
    # Wednesday, Thursday, and Monday: Friday never was.
    assert decision.at == utc(2012, 1, 1, 21)


ROTATING = """
id = "rotating"
version = 1
title = "Fridays in turn with Mondays"
source = "a test"
horizon_business_days = 60
task_business_days = 2
{guards}
[calendar]
mon = ["09:00-17:00"]
tue = ["09:00-17:00"]
wed = ["09:00-17:00"]
thu = ["09:00-17:00"]
fri = ["09:00-17:00"]

[[steps]]
id = "spaced"
stage = "spaced"
after = {{ business_days = 1 }}
times = 4
rotate = {{ days = ["fri", "mon"] }}
parts = [{{ channels = ["call"], script = "spaced" }}]

[[steps]]
id = "bye"
stage = "polite_exit"
after = {{ business_days = 6 }}
answer_within = {{ business_days = 2 }}
parts = [{{ channels = ["email"], script = "polite_exit" }}]
"""


def rotating(guards=""):
    return parse_text(ROTATING.format(guards=guards), "rotating.toml")


def test_a_rotation_to_friday_comes_on_sunday_in_riyadh():
    policy, wednesday = rotating(), utc(2026, 10, 7, 9)
    first = following("SA", [wednesday], zone="Asia/Riyadh", policy=policy).at
    assert first == utc(2026, 10, 11, 9)
    second = following("SA", [wednesday, first], zone="Asia/Riyadh", policy=policy).at
    assert second == utc(2026, 10, 19, 9)  # Monday's turn; a day after would shrink the gap
    assert following(None, [wednesday], policy=policy).at == utc(2026, 10, 9, 9)


def test_a_contact_window_on_friday_is_open_on_sunday_in_riyadh():
    window = '[[guards]]\nkind = "contact_window"\nfri = ["10:00-11:00"]\n'
    text = to_toml(TIP8) + "\n" + window
    policy = parse_text(text, "windowed.toml")
    decision = following("SA", [utc(2026, 10, 4, 10)], zone="UTC", policy=policy)
    assert decision.at == utc(2026, 10, 11, 10)


def test_an_appointment_on_their_weekend_is_kept():
    friday = utc(2026, 10, 9, 9)
    prospect = lived("SA", [], zone="Asia/Riyadh", appointment=friday)
    assert next_touch(prospect, TIP8, friday).at == friday


@given(
    st.sampled_from([c for c in KNOWN_WEEKENDS.values() if c is not None]),
    st.integers(0, 400),
    st.sampled_from(["tip8", "are-you-ok", "polite-persistence", "voicemail-and-email"]),
)
def test_no_touch_of_the_catalogue_falls_on_the_weekend_of_the_country(country, after, name):
    weekend = next(w for w, one in KNOWN_WEEKENDS.items() if one == country)
    start = utc(2026, 1, 5, 10) + timedelta(days=after)
    decision = following(country, [start], policy=builtin(name))
    assert decision.at is not None
    assert decision.at.weekday() not in weekend


# The prover ---------------------------------------------------------------------------------------


def windowed(days):
    hours = "\n".join(f'{day} = ["09:00-17:00"]' for day in days)
    text = ROTATING.format(guards="").replace('rotate = { days = ["fri", "mon"] }\n', "")
    head, _, tail = text.partition("[calendar]")
    _, _, steps = tail.partition("\n\n")
    window = '\n[[guards]]\nkind = "contact_window"\nfri = ["10:00-11:00"]\n'
    return parse_text(f"{head}[calendar]\n{hours}\n\n{steps}{window}", "windowed.toml")


def test_a_window_that_some_weekend_leaves_no_day_is_refuted_in_its_country():
    every = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    assert prove(windowed(every[:5])).proved
    refuted = {rule.rule: rule for rule in prove(windowed(every)).refuted}
    history = refuted["forgotten"].counterexample
    assert history[0].data.country in ("SA", "IR", "BN")


def test_a_policy_that_keeps_its_weekdays_is_proved_for_those_alone():
    policy = windowed(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    text = to_toml(policy).replace("[calendar]\n", '[calendar]\nweekend = "policy"\n')
    assert prove(parse_text(text, "windowed.toml")).proved


def test_the_bounds_hold_where_a_weekend_brings_two_open_days_together():
    """Ten business days take 32 days as written, and 30 where Sunday and Monday are open."""
    text = ROTATING.format(guards="").replace('rotate = { days = ["fri", "mon"] }\n', "")
    text = text.replace("after = { business_days = 1 }", "after = { business_days = 5 }")
    for day in ("tue", "wed", "thu"):
        text = text.replace(f'{day} = ["09:00-17:00"]\n', "")
    bounds = prove(parse_text(text, "two-days.toml")).bounds
    kept = text.replace("[calendar]\n", '[calendar]\nweekend = "policy"\n')
    as_written = prove(parse_text(kept, "two-days.toml")).bounds
    assert (as_written.attempts_in_30_days, bounds.attempts_in_30_days) == (2, 3)


# Reasons ------------------------------------------------------------------------------------------


def calendar_facts(decision):
    codes = ("weekend", "region_missing", "day_skipped", "holidays_missing")
    return {one.code: dict(one.facts) for one in decision.reasons if one.code in codes}


def sentence(decision, code):
    return next(one.because for one in decision.reasons if one.code == code)


def test_a_weekend_that_moves_a_touch_is_named_with_the_time_otherwise():
    decision = following("SA", [utc(2026, 11, 3, 7)], zone="Asia/Riyadh")
    found = calendar_facts(decision)["weekend"]
    assert (found["country"], found["weekend"]) == ("SA", (4, 5))
    assert found["otherwise"].instant == utc(2026, 11, 6, 7)
    assert sentence(decision, "weekend") == (
        "the weekend in SA is Fri and Sat; "
        "with the weekdays of the policy it would be Fri 2026-11-06 10:00"
    )


def test_a_weekend_that_moves_nothing_is_not_named():
    assert calendar_facts(following("SA", [utc(2026, 11, 2, 7)], zone="Asia/Riyadh")) == {}
    # Monday and five business days: Monday again, with one weekend or the other.
    five = parse_text(
        ROTATING.format(guards="")
        .replace('rotate = { days = ["fri", "mon"] }\n', "")
        .replace("after = { business_days = 1 }", "after = { business_days = 5 }"),
        "five.toml",
    )
    decision = following("SA", [utc(2026, 11, 2, 10)], policy=five)
    assert decision.at == utc(2026, 11, 9, 10)
    assert calendar_facts(decision) == {}


def test_a_missing_region_that_would_move_the_time_is_named():
    tuesday = utc(2027, 3, 23, 10)
    found = calendar_facts(following("GB", [tuesday], zone="Europe/London"))
    assert [(regions, at.instant) for regions, at in found["region_missing"]["otherwise"]] == [
        (("SCT",), utc(2027, 3, 29, 9))  # summer time
    ]
    assert sentence(following("GB", [tuesday], zone="Europe/London"), "region_missing") == (
        "the region of GB is not known: in SCT it would be Mon 2027-03-29 10:00"
    )
    assert calendar_facts(following("GB", [tuesday], zone="Europe/London", region="ENG")) == {}
    assert calendar_facts(following("GB", [utc(2027, 3, 8, 10)], zone="Europe/London")) == {}


@given(
    st.sampled_from(["US", "GB", "DE", "CH", "AU", "CA", "MY", "ES"]),
    st.integers(0, 700),
    st.integers(9, 16),
)
@example("US", 81, 9)  # two regions that are closed alike until then, and not after it
def test_the_region_is_missing_exactly_where_another_one_moves_the_time(country, after, hour):
    start = utc(2026, 1, 5, hour) + timedelta(days=after)
    decision = following(country, [start])
    elsewhere, here = {}, lived(country, [start])
    for region in regions_of(country):
        identity = msgspec.structs.replace(here.identity, subdivision=region)
        prospect = msgspec.structs.replace(here, identity=identity)
        elsewhere.setdefault(next_touch(prospect, TIP8, start).at, set()).add(region)
    elsewhere.pop(decision.at, None)
    found = calendar_facts(decision).get("region_missing", {"otherwise": ()})
    assert {at.instant: set(some) for some, at in found["otherwise"]} == elsewhere


def test_a_day_that_never_was_is_named():
    decision = following(None, [utc(2011, 12, 27, 21)], zone="Pacific/Apia")
    assert sentence(decision, "day_skipped") == (
        "Pacific/Apia had no 2011-12-30, so it does not count as a business day"
    )
    later = following(None, [utc(2012, 1, 3, 21)], zone="Pacific/Apia")
    assert calendar_facts(later) == {}


def test_a_decision_behind_the_holiday_data_says_so():
    decision = following("LK", [utc(2026, 12, 30, 6)], zone="Asia/Colombo")
    assert calendar_facts(decision) == {"holidays_missing": {"years": (("LK", 2027),)}}
    assert sentence(decision, "holidays_missing") == (
        "no holiday data for LK in 2027: only weekends are closed"
    )
    assert calendar_facts(following("LK", [utc(2026, 12, 1, 6)], zone="Asia/Colombo")) == {}


def test_a_half_day_that_closes_is_named_where_it_moves_a_touch():
    decision = following("IS", [utc(2026, 12, 21, 13, 10)], zone="Atlantic/Reykjavik")
    assert decision.at == utc(2026, 12, 28, 9)
    said = sentence(decision, "outside_hours")
    assert said.startswith("outside business hours (Christmas Eve (from 1pm), a half day")


def test_without_reasons_the_decision_is_the_same():
    prospect = lived("GB", [utc(2027, 3, 23, 10)], zone="Europe/London")
    silent = decide_silently(prospect, TIP8, prospect.recorded_at)
    assert silent.at == next_touch(prospect, TIP8, prospect.recorded_at).at
    assert silent.reasons == ()
