"""Two policies compared: what differs is found, and "the same" is said only where it is true."""

from __future__ import annotations

from datetime import timedelta

import policies
import pytest
from guarded_policy import guarded
from hypothesis import given
from hypothesis import strategies as st
from random_steps import STEPS, take_step

from cadence.domain.channels import CHANNELS, Channel
from cadence.domain.fold import fold
from cadence.engine import next_touch
from cadence.policy import builtin, builtin_names
from cadence.policy.model import Policy
from cadence.prover.diff import _shape, compare, same_plan
from cadence.prover.policy_text import step_differences
from cadence.prover.simulation import Scenario, Simulation
from cadence.prover.state_space import Beginning

RICH = policies.rich()


def told_apart(first: Policy, second: Policy) -> int:
    """Compare two; the history that was found shows what it says. How many events it has."""
    assert not same_plan(first, second)
    found = compare(first, second)
    assert found is not None
    prospect = fold(None, found.events)
    assert prospect is not None
    assert [event.version for event in found.events] == list(range(1, len(found.events) + 1))
    assert next_touch(prospect, first, found.now) == found.first
    assert next_touch(prospect, second, found.now) == found.second
    assert _shape(found.first, first) != _shape(found.second, second)
    return len(found.events)


@pytest.mark.parametrize("name", policies.CHANGES)
def test_every_change_that_matters_is_found(name: str) -> None:
    other = policies.changed(RICH, policies.CHANGES[name])
    told_apart(RICH, other)
    places = step_differences(RICH, other)
    assert places
    assert all(one.first != one.second for one in places)


@pytest.mark.parametrize("name", {**policies.SAME, **policies.RENAMED})
def test_what_means_the_same_is_the_same(name: str) -> None:
    other = policies.changed(RICH, {**policies.SAME, **policies.RENAMED}[name])
    assert same_plan(RICH, other)
    assert same_plan(other, RICH)
    if name in policies.SAME:
        assert step_differences(RICH, other) == []


@pytest.mark.parametrize("one", builtin_names())
@pytest.mark.parametrize("other", builtin_names())
def test_no_two_policies_of_the_catalogue_are_the_same(one: str, other: str) -> None:
    if one == other:
        assert same_plan(builtin(one), builtin(other))
        assert compare(builtin(one), builtin(other)) is None
    else:
        assert told_apart(builtin(one), builtin(other)) <= 3


@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("task_business_days", 1),  # added, and to be done by when?
        ("calendar.closed", 1),
        ("calendar.holidays.country", 1),
        ("guards.pause.first_day", 2),  # added, tried
        ("guards.holiday_ban.country", 2),
        ("after.minutes", 3),  # added, appointed, called
        ("guards.cool_down.after", 4),
        ("requires.attempts", 6),
    ],
)
def test_no_event_too_many_is_shown(path: str, events: int) -> None:
    assert told_apart(RICH, policies.changed(RICH, policies.CHANGES[path])) <= events


def test_a_horizon_of_one_day_more_is_found() -> None:
    tip8 = builtin()
    longer = policies.changed(tip8, lambda raw: raw.update(horizon_business_days=46))
    told_apart(tip8, longer)
    told_apart(longer, tip8)


def test_touches_of_two_steps_are_not_those_of_one() -> None:
    # Of one step, what follows a touch that is too late is as late; of two, each is looked at.
    def split(raw: policies.Raw) -> None:
        first = raw["steps"][3]
        first["times"] = 3
        raw["steps"].insert(4, {**first, "id": "more"})

    assert not same_plan(builtin(), policies.changed(builtin(), split))


@pytest.mark.parametrize("day", ["mon", "thu", "sat"])
def test_guards_that_differ_on_one_weekday_are_told_apart(day: str) -> None:
    hours = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), '["09:00-12:00"]')
    pair = [
        guarded(
            'kind = "contact_window"\n' + "\n".join(f"{one} = {at}" for one, at in week.items())
        )
        for week in (hours, {**hours, day: '["09:00-13:00"]'})
    ]
    told_apart(*pair)


def test_a_closed_day_on_a_day_off_changes_nothing() -> None:
    saturday = policies.changed(
        RICH, lambda raw: raw["calendar"]["closed"].append(policies.date(2026, 12, 26))
    )
    assert saturday.digest != RICH.digest
    assert same_plan(RICH, saturday)


def test_where_functions_are_asked_names_and_order_count() -> None:
    def own(raw: policies.Raw) -> None:
        for name in ("one", "other"):
            guard = {"kind": "custom", "id": name, "function": "test_diff:nothing", "version": 1}
            raw["guards"].append(guard)

    def reverse(raw: policies.Raw) -> None:
        raw["guards"].reverse()

    base = policies.changed(RICH, own)
    assert same_plan(base, policies.changed(base, lambda raw: raw.update(title="other")))
    assert not same_plan(base, policies.changed(base, reverse))
    assert not same_plan(base, policies.changed(base, policies.RENAMED["a step's id"]))


def nothing(prospect: object, touch: object, at: object) -> None:
    """A guard that lets everything pass."""


# Along random histories ---------------------------------------------------------------------------


def renamed(policy: Policy) -> Policy:
    """The same policy with every name another, and every order that means nothing turned."""

    def change(raw: policies.Raw) -> None:
        raw["id"], raw["title"], raw["version"] = "other", "Other", 77
        for step in raw["steps"]:
            step["id"] = f"x_{step['id']}"
            hours = step.get("after", {}).get("hours")
            if isinstance(hours, int) and hours <= 24:
                step["after"] = {"minutes": 60 * hours}
        raw.get("guards", []).reverse()
        for guard in raw.get("guards", []):
            guard["id"] = f"x_{guard.get('id', guard['kind'])}"
        raw.get("channels", []).reverse()

    return policies.changed(policy, change)


@given(
    policies.policies() | st.sampled_from([RICH, *map(builtin, builtin_names())]),
    st.frozensets(st.sampled_from(CHANNELS), min_size=1),
    st.sampled_from([Beginning.APPOINTMENT, Beginning.OWN, Beginning.PAUSE]),
    st.lists(STEPS, max_size=12),
)
def test_policies_that_are_the_same_decide_alike_on_every_history(
    policy: Policy, channels: frozenset[Channel], beginning: Beginning, what: list[object]
) -> None:
    other = renamed(policy)
    assert other.digest != policy.digest
    assert same_plan(policy, other)
    one, two = (Simulation(each, Scenario(channels, beginning)) for each in (policy, other))
    for each in (None, *what):
        if each is not None:
            take_step(one, each)
            take_step(two, each)
        assert one.now == two.now
        assert _shape(one.decision, policy) == _shape(two.decision, other)
        later = one.now + timedelta(days=9)
        assert _shape(one.decide_under(policy, later), policy) == _shape(
            two.decide_under(other, later), other
        )
