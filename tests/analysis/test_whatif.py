"""What if: recorded histories under another policy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import paths
import pytest
from audit_cases import CARING, SHORT, attempt, later, places, plant
from engine_lives import DAY, HOUR, PLACES, Place, live
from hypothesis import given
from hypothesis import strategies as st
from strategies import histories

from cadence.analysis.whatif import Answered, Compared, compare
from cadence.domain.channels import EMAIL
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    Disposition,
    EndReason,
    Event,
    FollowUpEnded,
    InterestNoted,
    OptOutRequested,
    PauseRequested,
    PolicyAdopted,
    ReplyReceived,
)
from cadence.policy import Policy, builtin
from cadence.policy.loader import parse, parse_text
from cadence.reports.whatif_page import whatif_page

TIP8 = builtin("tip8")
BAD = paths.BAD_POLICIES
REFUTED = [
    "guard_vetoes_the_exit.toml",
    *sorted(
        path.name
        for path in BAD.glob("*.toml")
        # Under most guards there the appointment that a life begins with is refused.
        if not path.name.startswith(("error_", "guard_", "guards_", "unreachable_"))
    ),
]


def variant(name: str, *changes: tuple[str, str]) -> Policy:
    """``tip8`` with some of its text replaced."""
    from importlib import resources

    text = resources.files("cadence.policy").joinpath("builtin/tip8.toml").read_text("utf-8")
    for old, new in (('id = "tip8"', f'id = "{name}"'), *changes):
        assert old in text
        text = text.replace(old, new)
    return parse_text(text, f"{name}.toml")


FOUR = variant("four", ("times = 6", "times = 4"))
PATIENT = variant(
    "patient", ("after = { business_days = 3 }\ntimes", "after = { business_days = 4 }\ntimes")
)


def numbers(compared: Compared) -> dict[str, int]:
    names = ("recorded", "under", "same", "sooner", "later", "dropped", "added")
    return {name: getattr(compared, name) for name in names if getattr(compared, name)}


@places
@pytest.mark.parametrize("policy", [TIP8, CARING, SHORT, FOUR, PATIENT], ids=lambda one: one.id)
def test_under_the_policy_it_ran_under_nothing_differs(place: Place, policy: Policy) -> None:
    for close in (False, True):
        history = live(place, policy=policy, close=close)
        made = sum(event.data.__class__.__name__ == "AttemptMade" for event in history)
        compared = compare(history, policy)
        assert numbers(compared) == {"recorded": made, "under": made, "same": made}
        assert (compared.changed, compared.answered) == (0, [])
        assert compared.recorded_by_day == compared.under_by_day
        assert sum(compared.recorded_by_day) == made


@pytest.mark.parametrize("name", REFUTED)
def test_under_the_refuted_policy_it_ran_under_nothing_differs(name: str) -> None:
    policy = parse(BAD / name)
    for place in PLACES:
        for close in (False, True):
            compared = compare(live(place, policy=policy, close=close), policy)
            assert set(numbers(compared)) <= {"recorded", "under", "same"}


@places
def test_a_shorter_policy_drops_the_last_calls_and_comes_sooner_to_the_exit(place: Place) -> None:
    compared = compare(live(place, close=True), FOUR)
    # The exit is the eighth attempt instead of the tenth: where a call was, on the same day.
    assert numbers(compared) == {"recorded": 10, "under": 8, "same": 8, "dropped": 2}
    assert compared.changed == 1


@places
def test_a_longer_policy_adds_calls_also_after_the_recorded_close(place: Place) -> None:
    compared = compare(live(place, policy=FOUR, close=True), TIP8)
    assert numbers(compared) == {"recorded": 8, "under": 10, "same": 8, "added": 2}


@places
def test_in_a_file_that_is_open_nothing_is_added_after_the_record_ends(place: Place) -> None:
    compared = compare(live(place, policy=FOUR, attempts=6), TIP8)
    assert numbers(compared) == {"recorded": 6, "under": 6, "same": 6}


@places
def test_a_more_patient_policy_makes_the_same_calls_later(place: Place) -> None:
    compared = compare(live(place, attempts=6), PATIENT)
    assert numbers(compared) == {"recorded": 6, "under": 6, "same": 3, "later": 3}
    back = compare(live(place, policy=PATIENT, attempts=6), TIP8)
    assert (back.sooner, back.same) == (3, 3)


def test_lateness_shows_as_sooner() -> None:
    late = live(PLACES[0], attempts=6, late=(timedelta(0),) * 3 + (2 * DAY,))
    assert numbers(compare(late, TIP8))["sooner"] == 3


@places
def test_who_answered_after_an_attempt_that_the_policy_had_not_made_is_named(place: Place) -> None:
    history = live(place, attempts=7)
    answered = plant(history, ReplyReceived(EMAIL), history[-1].occurred_at + HOUR)
    assert compare(answered, TIP8).answered == []
    (one,) = compare(answered, PATIENT).answered
    assert one == Answered("jo", len(answered), len(history), number=7, made=6)
    three = variant("three", ("times = 6", "times = 3"))
    # The exit has taken the place of the fourth spaced call, and they answered that.
    assert compare(answered, three).answered == []


@places
def test_an_attempt_learnt_of_late_is_held_against_the_touch_of_its_time(place: Place) -> None:
    history = live(place, attempts=7)
    made = [event for event in history if isinstance(event.data, AttemptMade)]
    # The second call was written down after all others: the same calls, in another order.
    second, last = made[1], history[-1]
    others = [event for event in history if event is not second]
    shuffled = [
        msgspec.structs.replace(event, version=number) for number, event in enumerate(others, 1)
    ]
    known = last.recorded_at + HOUR
    shuffled.append(
        msgspec.structs.replace(second, version=last.version, recorded_at=known),
    )
    compared = compare(shuffled, TIP8)
    assert numbers(compared) == {"recorded": 7, "under": 7, "same": 7}
    assert compared.recorded_by_day == compare(history, TIP8).recorded_by_day


def test_somebody_who_picks_up_answers_the_touch_that_was_next() -> None:
    history = live(PLACES[0], attempts=6)
    picked = attempt(AttemptStage.SPACED, "spaced#4", disposition=Disposition.CONNECTED)
    talked = plant(history, picked, later(PLACES[0], history, 3))
    same = compare(talked, TIP8)
    assert numbers(same) == {"recorded": 7, "under": 7, "same": 7}
    assert same.answered == []
    # Under the other policy the call was still to come.
    assert compare(talked, PATIENT).later == 4


def test_after_an_answer_the_silences_are_compared_each_on_its_own() -> None:
    history = live(PLACES[0], attempts=4)
    at = history[-1].occurred_at
    history = plant(history, PauseRequested(at + 10 * DAY), at + HOUR)
    first = attempt(AttemptStage.SPACED, "spaced#1")
    resumed = plant(history, first, later(PLACES[0], history, 8))
    compared = compare(resumed, TIP8)
    assert (compared.recorded, compared.dropped, compared.added) == (5, 0, 0)


def test_nothing_is_made_after_an_opt_out() -> None:
    history = live(PLACES[0], attempts=4)
    history = plant(history, OptOutRequested(None), history[-1].occurred_at + HOUR)
    history = plant(history, attempt(), later(PLACES[0], history, 3))
    history = plant(history, InterestNoted("x"), later(PLACES[0], history, 30))
    assert numbers(compare(history, TIP8)) == {"recorded": 5, "under": 4, "same": 4, "dropped": 1}


def test_an_owners_own_attempt_stays_where_the_policy_leaves_it_to_them() -> None:
    """Nobody made an appointment, so the first attempt is the owner's under every policy."""
    history = live(PLACES[0], attempts=0)[:1]
    for days in (1, 3, 3):
        made = attempt(AttemptStage.SPACED)
        history = plant(history, made, later(PLACES[0], history, days))
    assert numbers(compare(history, TIP8)) == {"recorded": 3, "under": 3, "same": 3}
    assert numbers(compare(history, PATIENT))["same"] == 1


def test_our_own_close_and_the_policy_that_was_adopted_are_left_out() -> None:
    history = live(PLACES[0], policy=FOUR, close=True)
    assert history[-1].data == FollowUpEnded(EndReason.NO_RESPONSE)
    adopted = PolicyAdopted(FOUR.id, FOUR.version, FOUR.digest)
    with_policy = renumbered([*history[:2], event(history[2], adopted), *history[2:]])
    assert numbers(compare(with_policy, TIP8)) == numbers(compare(history, TIP8))


def event(like: Event, data: object) -> Event:
    return Event("jo", 0, like.occurred_at, like.recorded_at, data)  # type: ignore[arg-type]


def renumbered(events: Sequence[Event]) -> list[Event]:
    return [
        Event(one.prospect, version, one.occurred_at, one.recorded_at, one.data)
        for version, one in enumerate(events, 1)
    ]


@given(history=histories(), policy=st.sampled_from([TIP8, CARING, SHORT]))
def test_every_history_adds_up(history: list[Event], policy: Policy) -> None:
    """Whatever the history: it ends, and each attempt is counted once."""
    compared = compare(history, policy)
    pairs = compared.same + compared.sooner + compared.later
    assert compared.recorded == pairs + compared.dropped
    assert compared.under == pairs + compared.added
    assert sum(compared.recorded_by_day) == compared.recorded
    assert sum(compared.under_by_day) == compared.under
    assert compared.changed == (compared.dropped + compared.added + pairs > compared.same)


def test_the_page_stands_alone_and_shows_names_as_they_are() -> None:
    compared = compare(live(PLACES[0], close=True), FOUR)
    html = whatif_page(compared, FOUR, [Answered("<b>&jo", 9, 8, 7, 6)], 3)
    assert "http:" not in html
    assert "https:" not in html
    assert "<script" not in html
    assert "&lt;b&gt;&amp;jo" in html
    assert "and 2 more" in html
