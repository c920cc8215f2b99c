"""The engine is guarded: with any one check of the invariants taken out of it, something notices.

Each test takes one check away. Then the prover finds a state in which the engine would break a
rule, or no longer says what it must of a bad policy; or a history drawn at random breaks the
invariants as ``cadence.testing.invariants_check`` says it.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from guarded_policy import BASE, guarded
from hypothesis import HealthCheck, Phase, given, settings

from bad_policies import ALL, counterexample
from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import AutoReplyReceived, OptOutRequested
from cadence.domain.prospect import Prospect
from cadence.engine import invariants
from cadence.engine.context import DecisionContext
from cadence.policy import Policy, Rule, builtin
from cadence.policy.loader import parse_text
from cadence.prover import prove
from cadence.prover.simulation import Scenario, Simulation
from cadence.prover.state_space import Beginning, StateSpace
from cadence.testing.invariants_check import breaches
from cadence.testing.strategies import History, histories
from cadence.worktime.calendar import WorkCalendar

# By their paths: the package has a function of the same name as one of them.
channels, commands, judgement, next_touch, schedule = (
    importlib.import_module(f"cadence.engine.{name}")
    for name in ("channels", "commands", "judgement", "next_touch", "schedule")
)

BAD = {bad.name: bad for bad in ALL}
Patch = pytest.MonkeyPatch


def bad(name: str) -> Policy:
    return parse_text(BAD[name].text, name)


class _Enough(Exception):
    """One broken rule is enough."""


def broken_by(policy: Policy, *, following: bool = False, examples: int = 500) -> set[str]:
    """The rules that random histories under ``policy`` break; none, while the engine is whole."""
    found: set[str] = set()

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(histories(policy, following=following))
    def look(history: History) -> None:
        for moment in history.moments:
            events = history.events[: moment.events]
            found.update(
                breach.rule
                for breach in breaches(
                    events, moment.prospect, history.policies, moment.decision, moment.now
                )
            )
        if history.refused is not None:
            found.add("refused")
        if found:
            raise _Enough

    with contextlib.suppress(_Enough):
        look()
    return found


def broken_on_the_way(simulation: Simulation) -> set[str]:
    """The rules that the next eight touches break, each made when it is due."""
    found: set[str] = set()
    for _ in range(8):
        simulation.wait()
        one = (simulation.prospect, simulation.policies, simulation.explain(), simulation.now)
        found |= {breach.rule for breach in breaches(simulation.events, *one)}
        simulation.make()
    return found


def explored(policy: Policy) -> set[str]:
    """The rules that the prover finds the engine itself to break in some state."""
    return {str(one.rule) for one in StateSpace(policy).explore()[2]}


# The invariants' own functions --------------------------------------------------------------------


def without_check(rule: Rule, monkeypatch: Patch) -> None:
    """Take the check of one row out of the table of invariants."""
    rows = tuple(
        msgspec.structs.replace(row, stops=None) if row.id == rule else row
        for row in invariants.INVARIANTS
    )
    monkeypatch.setattr(invariants, "INVARIANTS", rows)


def replace_points_left(left: Callable[[Prospect], tuple[Any, ...]], monkeypatch: Patch) -> None:
    for module in (channels, commands, next_touch):
        monkeypatch.setattr(module, "contact_points_left", left)


STOPS = [
    (Rule.SPACED_CAP, "cap_by_times"),
    (Rule.CONCERN, "concern_twice"),
    (Rule.CONCERN, "concern_too_few_attempts"),
    (Rule.ORDER, "order_spaced_after_nurture"),
    (Rule.POLITE_EXIT, "exit_not_last"),
]


@pytest.mark.parametrize(("rule", "name"), STOPS, ids=[name for _, name in STOPS])
def test_without_what_an_invariant_stops(rule: Rule, name: str, monkeypatch: Patch) -> None:
    policy = bad(name)
    assert explored(policy) == set()
    assert broken_by(policy, examples=20) == set()
    without_check(rule, monkeypatch)
    assert rule in explored(policy)
    assert not prove(policy).proved
    if rule is not Rule.POLITE_EXIT:  # behind the exit nothing is next, whoever stops it
        assert broken_by(policy)


def test_without_the_ratchet_on_gaps(monkeypatch: Patch) -> None:
    policy = bad("gap_shrinks_between_steps")
    assert broken_by(policy, examples=20) == set()
    monkeypatch.setattr(invariants, "gap_allows_from", lambda *_: None)
    assert "gap" in broken_by(policy)
    assert "gap" in broken_by(builtin(), following=True)


@pytest.mark.parametrize(
    "name",
    [
        "frequency_nurture_every_hour",
        "frequency_two_parts_on_the_first_day",
        "frequency_evening_and_morning",
    ],
)
def test_without_the_delay_for_frequency(name: str, monkeypatch: Patch) -> None:
    policy = bad(name)
    assert broken_by(policy, examples=20) == set()
    monkeypatch.setattr(invariants, "frequency_allows_from", lambda *_, **__: None)
    assert "frequency" in broken_by(policy, following=True)


def test_without_the_limit_of_two_parts_a_touch(monkeypatch: Patch) -> None:
    policy = bad("frequency_four_parts_at_once")
    assert broken_by(policy, examples=20) == set()
    monkeypatch.setattr(next_touch, "parts_on", partial(channels.parts_on, most=9))
    assert "frequency" in broken_by(policy, following=True)


def _any_point(prospect: Prospect) -> tuple[Any, ...]:
    return prospect.reach.contact_points


def test_without_the_failed_contact_points(monkeypatch: Patch) -> None:
    def left(prospect: Prospect) -> tuple[Any, ...]:
        return tuple(p for p in _any_point(prospect) if p.channel not in prospect.reach.opted_out)

    replace_points_left(left, monkeypatch)
    assert "contact_point" in broken_by(builtin(), following=True)


def test_without_the_opt_outs(monkeypatch: Patch) -> None:
    def left(prospect: Prospect) -> tuple[Any, ...]:
        return tuple(p for p in _any_point(prospect) if not prospect.reach.has_failed(p.same))

    def opted_out_of_email() -> set[str]:
        """A silence of somebody who wants no email, up to the exit, which the plan has by email."""
        by_email = Scenario(frozenset({EMAIL}), Beginning.APPOINTMENT)
        simulation = Simulation(guarded(), by_email)
        simulation.find(CALL)
        simulation.record(OptOutRequested(EMAIL), simulation.now)
        return broken_on_the_way(simulation)

    assert opted_out_of_email() == set()
    replace_points_left(left, monkeypatch)
    assert "opt_out" in opted_out_of_email()


@pytest.mark.parametrize("days", [0, 1])
def test_without_the_least_time_to_answer(days: int, monkeypatch: Patch) -> None:
    monkeypatch.setattr(invariants, "answer_business_days", lambda *_: days)
    policy = bad("exit_without_time_to_answer") if days == 0 else BY_MAIL
    assert "polite_exit" in broken_by(policy, following=True)


BY_MAIL = parse_text(BASE.replace('["email"]', '["mail"]'), "by_mail.toml")


def test_without_the_ten_days_of_mail_alone(monkeypatch: Patch) -> None:
    assert broken_by(BY_MAIL, following=True, examples=20) == set()
    monkeypatch.setattr(invariants, "answer_business_days", lambda *_: 1)
    assert "polite_exit" in broken_by(BY_MAIL, following=True)


def test_without_the_five_attempts_before_a_concern(monkeypatch: Patch) -> None:
    policy = bad("concern_too_few_attempts")
    monkeypatch.setattr(invariants, "CONCERN_ATTEMPTS", 0)
    assert "concern" in explored(policy)
    assert "concern" in broken_by(policy)


def test_without_the_21_days_before_a_concern(monkeypatch: Patch) -> None:
    policy = bad("concern_too_early")
    assert broken_by(policy, examples=20) == set()
    monkeypatch.setattr(invariants, "CONCERN_DAYS", 0)
    assert "concern" in broken_by(policy, following=True)


def test_with_a_greater_cap(monkeypatch: Patch) -> None:
    monkeypatch.setattr(invariants, "SPACED_CAP", 7)
    policy = bad("cap_by_times")
    assert "spaced_cap" in explored(policy)
    assert "spaced_cap" in broken_by(policy)


# What next_touch does with them -------------------------------------------------------------------


def test_without_the_end_of_an_opt_out(monkeypatch: Patch) -> None:
    monkeypatch.setattr(next_touch, "OVER", frozenset())
    assert broken_by(builtin()) & {"opt_out", "forgotten"}


def test_without_the_answer_to_a_polite_exit(monkeypatch: Patch) -> None:
    monkeypatch.setattr(next_touch, "_answer", lambda case: None)
    assert broken_by(builtin(), following=True) & {"polite_exit", "forgotten"}


def test_without_the_horizon(monkeypatch: Patch) -> None:
    monkeypatch.setattr(next_touch, "is_behind_horizon", lambda *_: False)
    assert "bounded" in broken_by(builtin(), following=True)


def test_without_the_quiet_hours(monkeypatch: Patch) -> None:
    monkeypatch.setattr(WorkCalendar, "next_waking", lambda self, instant: instant)
    assert "quiet_hours" in broken_by(builtin())


def test_without_the_business_hours(monkeypatch: Patch) -> None:
    monkeypatch.setattr(WorkCalendar, "next_open", lambda self, instant, hours=None: instant)
    assert "business_hours" in broken_by(builtin())


def test_without_the_suspensions(monkeypatch: Patch) -> None:
    def away_when_a_touch_is_due() -> set[str]:
        simulation = Simulation(builtin(), Scenario(frozenset({CALL}), Beginning.OWN))
        # Days on which they are away do not count: the gap must be over before.
        simulation.wait()
        simulation.look(simulation.now + timedelta(days=1))
        away = AutoReplyReceived(EMAIL, simulation.now + timedelta(days=21))
        simulation.record(away, simulation.now)
        return broken_on_the_way(simulation)

    assert away_when_a_touch_is_due() == set()
    monkeypatch.setattr(
        DecisionContext, "blocked_until", lambda self, instant, pauses_since: instant
    )
    assert "suspended" in away_when_a_touch_is_due()


def test_with_a_later_touch_due_at_once(monkeypatch: Patch) -> None:
    def due(self: Any, planned: Any, touch: Any, at: Any, when: Any, delays: Any) -> Any:
        now = self.context.now
        return whole(self, planned, touch, at, schedule.Timing(now, now), delays)

    whole = next_touch._Walk._due_or_wait
    monkeypatch.setattr(next_touch._Walk, "_due_or_wait", due)
    assert broken_by(builtin())


# Guards -------------------------------------------------------------------------------------------

GUARDED = {
    "contact_window": guarded(
        'kind = "contact_window"\nmon = ["10:00-11:00"]\nthu = ["10:00-11:00"]'
    ),
    "frequency_cap": guarded('kind = "frequency_cap"\nattempts = 1\ndays = 6'),
    "pause": guarded(
        *(
            f'kind = "pause"\nid = "{name}"\nfirst_day = "{first}"\nlast_day = "{last}"'
            for name, first, last in (
                ("autumn", "2026-11-02", "2026-11-20"),
                ("spring", "2026-03-05", "2026-03-25"),
            )
        )
    ),
    "cool_down": guarded('kind = "cool_down"\nafter = "contact"\nlasts = { business_days = 9 }'),
    "holiday_ban": guarded('kind = "holiday_ban"\ncountry = "US"'),
}


@pytest.mark.parametrize("name", GUARDED)
def test_without_asking_the_guards(name: str, monkeypatch: Patch) -> None:
    policy = GUARDED[name]
    assert broken_by(policy, examples=20) == set()
    monkeypatch.setattr(schedule._Settling, "_ask", lambda *_: None)
    monkeypatch.setattr(judgement, "objections", lambda *_: [])
    names = {guard.name for guard in policy.guards}
    assert broken_by(policy, examples=1500) & names


def test_without_asking_the_guards_of_an_attempt(monkeypatch: Patch) -> None:
    monkeypatch.setattr(judgement, "_guarded", lambda *_: [])
    assert "frequency_cap" in broken_by(GUARDED["frequency_cap"])


def test_where_a_guard_that_fails_lets_pass(monkeypatch: Patch) -> None:
    policy = bad("guard_raises")
    assert "guard" in [one.rule for one in prove(policy).refuted]

    def ask(self: Any, touch: Any, at: datetime) -> Any:
        answer = whole(self, touch, at)
        return None if isinstance(answer, schedule.Stopped) and answer.has_failed else answer

    whole = schedule._Settling._ask
    monkeypatch.setattr(schedule._Settling, "_ask", ask)
    assert "guard" not in [one.rule for one in prove(policy).refuted]  # test_prover.py would fail


def test_where_no_open_time_is_looked_for_for_ever(monkeypatch: Patch) -> None:
    policy = bad("guards_pause_of_seven_weeks")
    assert counterexample(prove(policy), "forgotten")
    monkeypatch.setattr(schedule, "_SEARCH", schedule._SEARCH * 10)
    assert prove(policy).proved  # test_prover.py would fail


# What the judgement does with them ----------------------------------------------------------------


def test_without_what_lasts(monkeypatch: Patch) -> None:
    whole = judgement._broken
    monkeypatch.setattr(
        judgement,
        "_broken",
        lambda attempt, phase: [] if phase is invariants.Phase.LASTING else whole(attempt, phase),
    )
    assert broken_by(builtin()) & {"opt_out", "contact_point"}


def test_without_the_times_of_an_attempt(monkeypatch: Patch) -> None:
    monkeypatch.setattr(judgement, "_untimely", lambda *_: [])
    assert broken_by(builtin()) & {"gap", "quiet_hours"}


def test_without_the_breaches_of_an_attempt(monkeypatch: Patch) -> None:
    monkeypatch.setattr(judgement, "_rules_broken", lambda *_: [])
    assert broken_by(builtin())


def test_where_a_touch_that_is_due_is_refused(monkeypatch: Patch) -> None:
    def judge(*given: Any) -> Any:
        judged = judgement.judge(*given)
        return msgspec.structs.replace(judged, broke=(*judged.broke, Rule.PLAN))

    monkeypatch.setattr(commands, "judge", judge)
    assert "refused" in broken_by(builtin())
