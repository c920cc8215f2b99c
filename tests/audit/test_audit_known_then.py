"""The audit's judgement of an attempt rests on what was known when it was made."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from audit_cases import attempt, later, places, plant, rules
from engine_lives import DAY, HOUR, PLACES, Place, live
from hypothesis import given, settings
from hypothesis import strategies as st

from cadence.audit import Auditor, Finding, Noticed
from cadence.domain.channels import CALL, CHANNELS, EMAIL
from cadence.domain.events import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    ContactPointFailed,
    Data,
    Event,
    Gap,
    GuidelinesAgreed,
    OptOutRequested,
    Part,
    PauseRequested,
    PreferenceStated,
    ReplyReceived,
)
from cadence.policy import Rule, builtin, builtin_names

MINUTE = timedelta(minutes=1)
LIVES = [
    (name, live(PLACES[place], policy=builtin(name), close=True))
    for place in (0, 1, 3)
    for name in builtin_names()
]


def audited(history: list[Event], name: str = "tip8") -> list[Finding]:
    return Auditor(builtin(name)).audit(history)


# The plan -----------------------------------------------------------------------------------------


@places
def test_hours_that_we_learnt_of_later_are_hindsight(place: Place) -> None:
    history = live(place, attempts=4)
    stated, made = later(place, history, 1), later(place, history, 3)
    asked = plant(history, PreferenceStated(hours="09:00-11:00"), stated)
    planted = plant(asked, attempt(step="spaced#2"), made)
    assert rules(planted) == [(len(planted), Rule.BUSINESS_HOURS)]
    asked = plant(history, PreferenceStated(hours="09:00-11:00"), stated, made + HOUR)
    (one,) = audited(plant(asked, attempt(step="spaced#2"), made, made + 2 * HOUR))
    assert (one.rule, one.noticed) == (Rule.BUSINESS_HOURS, Noticed.HINDSIGHT)


@places
def test_an_appointment_that_we_learnt_of_later_is_hindsight(place: Place) -> None:
    history = live(place, attempts=0)
    at = history[-1].occurred_at
    called = later(place, history, 1)
    moved = plant(history, AppointmentSet(called + 2 * DAY), at + HOUR, called + HOUR)
    on_time = attempt(AttemptStage.ON_TIME, "on_time")
    found = audited(plant(moved, on_time, called, called + 2 * HOUR))
    assert {(one.rule, one.noticed) for one in found} <= {
        (Rule.APPOINTMENT, Noticed.HINDSIGHT),
        (Rule.PLAN, Noticed.HINDSIGHT),
    }


def test_a_gap_measured_with_other_holidays_proves_that_a_touch_was_due() -> None:
    """Holiday data is corrected: three business days over Thanksgiving may be two today."""
    history = live(PLACES[0], attempts=3, late=(14 * DAY,))
    friday = history[-1].occurred_at + 3 * DAY
    assert (friday.month, friday.day) == (11, 27)
    early = plant(history, attempt(step="spaced#1"), friday)
    assert rules(early) == [(len(early), Rule.PLAN)]
    assert rules(plant(history, attempt(step="spaced#1", gap=Gap(3, 0)), friday)) == []


@places
def test_after_a_pause_the_appointments_own_steps_are_out_of_turn(place: Place) -> None:
    history = live(place, attempts=4)
    said = history[-1].occurred_at + HOUR
    history = plant(history, PauseRequested(said + 2 * DAY), said)
    late = attempt(AttemptStage.TEN_MINUTES, "ten_minutes")
    history = plant(history, late, later(place, history, 5))
    assert rules(history) == [(len(history), Rule.PLAN)]


# Any history --------------------------------------------------------------------------------------

moves = st.one_of(
    st.integers(-40, 40).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(-30, 30).map(lambda hours: timedelta(hours=hours)),
    st.integers(-3, 70).map(lambda days: timedelta(days=days)),
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "gap": st.sampled_from([None, Gap(3, 0), Gap(2, 0), Gap(0, 10)]),
        "stage": st.sampled_from(list(AttemptStage)),
        "step": st.sampled_from([None, "spaced#3", "polite_exit", "half_day", "nurture#2"]),
        "parts": st.builds(
            lambda channel, went: (Part(channel, went, "+1"),),
            st.sampled_from(CHANNELS),
            st.sampled_from(["no_answer", "sent", "bounced", "connected"]),
        ).map(lambda parts: msgspec.convert(msgspec.to_builtins(parts), tuple[Part, ...])),
        "broke": st.sampled_from([(), ("gap",)]),
    },
)
lateness = st.sampled_from([timedelta(0), 5 * HOUR, 9 * DAY])


def facts(at: datetime) -> st.SearchStrategy[Data]:
    return st.sampled_from(
        [
            ReplyReceived(EMAIL),
            AutoReplyReceived(EMAIL),
            AutoReplyReceived(EMAIL, at + 5 * DAY),
            PauseRequested(at + 3 * DAY),
            PreferenceStated(EMAIL),
            PreferenceStated(hours="10:00-12:00"),
            OptOutRequested(CALL),
            ContactPointFailed(CALL, "+1"),
            GuidelinesAgreed(),
        ]
    )


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[str, list[Event]]:
    """An engine's life in which some events were moved, changed or put in between."""
    name, history = draw(st.sampled_from(LIVES))
    history = list(history)
    moved = timedelta(0)
    for position, event in enumerate(history):
        data = event.data
        if draw(st.sampled_from([False] * 5 + [True])):
            moved = max(moved + draw(moves), timedelta(0))
            if isinstance(data, AttemptMade):
                data = msgspec.structs.replace(data, **draw(changes))
        history[position] = msgspec.structs.replace(
            event,
            occurred_at=event.occurred_at + moved,
            recorded_at=event.recorded_at + moved,
            data=data,
        )
    if draw(st.booleans()):
        position = draw(st.integers(1, len(history)))
        at = history[position - 1].occurred_at + HOUR
        # What is recorded before an earlier record's event has happened counts as following it.
        at = min([at, *(one.recorded_at for one in history[position : position + 1])])
        history.insert(position, Event("jo", 0, at, at + draw(lateness), draw(facts(at))))
    numbered = enumerate(history, 1)
    return name, [msgspec.structs.replace(event, version=version) for version, event in numbered]


@given(disturbed())
@settings(max_examples=300, deadline=None)
def test_what_comes_later_changes_no_finding(life: tuple[str, list[Event]]) -> None:
    """Nor does how much of a history is folded at once."""
    name, history = life
    whole = audited(history, name)
    for length in range(1, len(history)):
        found = audited(history[:length], name)
        assert [one for one in found if one.noticed is not Noticed.HINDSIGHT] == [
            one for one in whole if one.version <= length and one.noticed is not Noticed.HINDSIGHT
        ]


@given(disturbed())
@settings(max_examples=300, deadline=None)
def test_what_is_known_later_only_adds_hindsight(life: tuple[str, list[Event]]) -> None:
    """An attempt is judged no worse where a fact before it was recorded after it was made."""
    name, history = life
    end = history[-1].recorded_at + DAY
    for position, event in enumerate(history[1:], 1):
        if isinstance(event.data, AttemptMade):
            continue
        late = [*history[:position], msgspec.structs.replace(event, recorded_at=end)]
        late += [
            msgspec.structs.replace(one, recorded_at=end + MINUTE)
            for one in history[position + 1 :]
        ]
        knew = {one.version for one in audited(history, name)}
        for one in audited(late, name):
            assert one.noticed is Noticed.HINDSIGHT or one.version in knew
