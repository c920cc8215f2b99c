"""A course is what ``next_touch`` says again and again while nobody answers, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from audit_cases import CARING, SHORT, places
from engine_lives import PLACES, Place, live
from hypothesis import given
from hypothesis import strategies as st
from strategies import histories

from cadence import testing
from cadence.analysis import other_policy
from cadence.analysis.whatif import compare
from cadence.domain.events import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    Channel,
    ContactPoint,
    Disposition,
    Event,
    Gap,
    Part,
    ProspectAdded,
)
from cadence.domain.fold import evolve, fold
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine import next_touch
from cadence.engine.context import calendar_for
from cadence.engine.course import _Course, course
from cadence.policy import Policy, builtin, builtin_names

CATALOGUE = [builtin(name) for name in builtin_names()]
MOST = 300


def by_next_touch(prospect: Prospect, policy: Policy, now: datetime) -> Iterator[tuple[Any, ...]]:
    """What is made while nobody answers, each touch decided and folded by itself."""
    while (decision := next_touch(prospect, policy, now)).touch is not None:
        assert decision.at is not None
        now, touch = max(now, decision.at), decision.touch
        attempts = prospect.silence.attempts
        gap = None
        if attempts:
            time = calendar_for(prospect, policy)
            suspended = time.suspended(prospect.silence.suspensions)
            gap = time.gap(attempts[-1].at, now, suspended)
        yield now, touch.step, touch.stage, touch.parts, gap
        parts = tuple(
            Part(
                part.channel,
                Disposition.NO_ANSWER if part.channel is Channel.CALL else Disposition.SENT,
                part.address,
            )
            for part in touch.parts
        )
        data = AttemptMade(parts, AttemptStage(touch.stage.value), touch.step, gap=gap)
        made = Event(prospect.id, prospect.version + 1, now, max(now, prospect.recorded_at), data)
        prospect = evolve(prospect, made)


def by_course(prospect: Prospect, policy: Policy, now: datetime) -> list[tuple[Any, ...]]:
    return [
        (made.at, made.point.name, made.point.stage, made.parts, made.gap)
        for made in course(prospect, policy, now)
    ]


@given(data=st.data())
def test_a_course_is_what_next_touch_says_from_any_moment_of_any_history(
    data: st.DataObject,
) -> None:
    policy = data.draw(st.one_of(st.sampled_from(CATALOGUE), testing.policies()))
    history = data.draw(testing.histories(policy))
    for moment in history.moments:
        walked = by_course(moment.prospect, policy, moment.now)
        decided = by_next_touch(moment.prospect, policy, moment.now)
        assert walked == list(islice(decided, len(walked)))


@places
@pytest.mark.parametrize("policy", [one for one in CATALOGUE if one.plain], ids=lambda one: one.id)
def test_a_plain_policy_takes_a_course_from_its_first_attempt_to_the_polite_exit(
    place: Place, policy: Policy
) -> None:
    prospect: Prospect | None = None
    for event in live(place, policy=policy, close=True):
        prospect = evolve(prospect, event)
        if isinstance(event.data, AttemptMade):
            break
    assert prospect is not None
    walked = by_course(prospect, policy, prospect.recorded_at)
    assert walked[-1][2] is Stage.POLITE_EXIT
    decided = by_next_touch(prospect, policy, prospect.recorded_at)
    assert walked == list(islice(decided, len(walked)))


def test_some_policies_of_the_catalogue_are_plain_and_some_are_not() -> None:
    plain = {one.id for one in CATALOGUE if one.plain}
    assert {"tip8", "polite-persistence"} <= plain
    assert "are-you-ok" not in plain  # it asks only after three weeks of silence


def test_a_life_without_holidays_or_absence_needs_one_look_for_each_touch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a course were no quicker than asking each time."""
    where = ProspectAdded(
        "Jo",
        "UTC",
        contact_points=(ContactPoint(Channel.CALL, "1"), ContactPoint(Channel.EMAIL, "e")),
    )
    nine = datetime(2026, 11, 3, 9, tzinfo=UTC)
    begin = nine - timedelta(days=1)
    events = [
        Event("jo", 1, begin, begin, where),
        Event("jo", 2, begin, begin, AppointmentSet(nine)),
    ]
    prospect = fold(None, events)
    assert prospect is not None

    def closer_look(*_: object) -> None:
        raise AssertionError("the calendar alone names this time")

    monkeypatch.setattr(_Course, "_later", closer_look)
    walked = by_course(prospect, builtin("tip8"), begin)
    names = ["on_time", "ten_minutes", "half_day", *(f"spaced#{n}" for n in range(1, 7))]
    assert [made[1] for made in walked] == [*names, "polite_exit"]
    assert [made[4] for made in walked[:4]] == [None, Gap(0, 10), Gap(0, 240), Gap(3, 0)]


def _asking_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_policy, "course", lambda *_: iter(()))


@given(history=histories(), policy=st.sampled_from([*CATALOGUE, CARING, SHORT]))
def test_a_comparison_is_the_same_with_courses_and_without(
    history: list[Event], policy: Policy
) -> None:
    walked = compare(history, policy)
    with pytest.MonkeyPatch.context() as patched:
        _asking_each_time(patched)
        assert compare(history, policy) == walked


@given(data=st.data())
def test_a_comparison_of_what_an_engine_made_is_the_same_with_courses_and_without(
    data: st.DataObject,
) -> None:
    ran_under = data.draw(st.one_of(st.sampled_from(CATALOGUE), testing.policies(proved=True)))
    history = data.draw(testing.histories(ran_under)).events
    policy = data.draw(st.sampled_from([ran_under, *CATALOGUE]))
    walked = compare(history, policy)
    with pytest.MonkeyPatch.context() as patched:
        _asking_each_time(patched)
        assert compare(history, policy) == walked


@pytest.mark.parametrize("policy", CATALOGUE, ids=lambda one: one.id)
def test_whole_lives_compare_the_same_with_courses_and_without(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = [live(place, close=True) for place in PLACES]
    walked = [compare(life, policy) for life in lives]
    _asking_each_time(monkeypatch)
    assert [compare(life, policy) for life in lives] == walked
