"""The prover is sound: random policies, good and bad, and random histories through the real engine.

*Proved*: no history breaks an invariant, and on plan no invariant has to stop the plan.
*Refuted*: on the counterexample the engine names the same rule. The invariants are stated here by
``cadence.testing.invariants_check``, which shares no code with the engine.

``make nightly`` looks at more than ten thousand policies.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from clocks import ahead
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from nightly import NIGHTLY

from bad_policies import names
from cadence.domain.channels import CALL, EMAIL
from cadence.domain.codec import encode_line
from cadence.domain.events import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    ContactPoint,
    Disposition,
    Event,
    GuidelinesAgreed,
    Part,
    ProspectAdded,
)
from cadence.domain.fold import fold
from cadence.domain.stages import Stage
from cadence.engine import Verdict, advance, complete_attempt, invariants
from cadence.engine.loop import decision_for
from cadence.errors import PolicyError
from cadence.policy import (
    Policy,
    PolicyRegistry,
    Rule,
    builtin,
    builtin_names,
)
from cadence.policy.loader import parse_text
from cadence.prover import prove
from cadence.replay import replay
from cadence.store import Cadence
from cadence.testing.invariants_check import breaches
from cadence.testing.strategies import History, Moment, histories, policies, policy_texts
from cadence.transfer import import_jsonl
from cadence.worktime.hours import OpenTimes
from cadence.worktime.zone_calendar import ZoneCalendar


def many(policies_in_ci: int) -> settings:
    """How many policies are looked at: a few hundred in all, or more than ten thousand."""
    return settings(
        max_examples=policies_in_ci * (85 if NIGHTLY else 1),
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )


SLOW = """
id = "slow"
version = 1
title = "Slow and in writing"
source = "a test"
horizon_business_days = 200
task_business_days = 2
calendar = { mon = ["10:00-18:00"], wed = ["10:00-18:00"], sat = ["10:00-14:00"] }

[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = [4, 6, 9] }
parts = [{ channels = ["email", "call"], script = "spaced" }]

[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { business_days = 10 }
answer_within = { business_days = 3 }
parts = [{ channels = ["mail"], script = "polite_exit" }]
"""
CATALOGUE = [builtin(name) for name in builtin_names()]
ADOPTABLE = [builtin(), parse_text(SLOW, "slow.toml")]


def told(history: History, upto: int) -> str:
    return "\n".join(encode_line(event).decode() for event in history.events[:upto])


def check_invariants(history: History) -> None:
    """No decision breaks an invariant, nor does an attempt that the engine says is in order."""
    assert history.refused is None, f"due, and then refused: {history.refused}"
    for moment in history.moments:
        found = breaches(
            history.events[: moment.events],
            moment.prospect,
            history.policies,
            moment.decision,
            moment.now,
        )
        assert not found, f"{[str(one) for one in found]} after\n{told(history, moment.events)}"


# Proved -------------------------------------------------------------------------------------------


@many(60)
@given(st.data())
def test_whatever_a_policy_says_no_history_breaks_an_invariant(data: st.DataObject) -> None:
    """Under a proved policy, under a refuted one, and moved from one to another half-way."""
    policy = data.draw(policies(), label="policy")
    check_invariants(data.draw(histories(policy, adoptable=ADOPTABLE), label="history"))


@many(12)
@given(st.data())
def test_proved_policies_compose_under_adoption(data: st.DataObject) -> None:
    first = data.draw(policies(faults=0), label="policy")
    second = data.draw(policies(faults=0), label="adopted")
    assume(prove(first).proved and prove(second).proved)
    check_invariants(data.draw(histories(first, adoptable=[second, builtin()]), label="history"))


def stops(history: History, policy: Policy) -> list[str]:
    """Return the invariants by which the engine stopped the plan on the way."""
    stopping = {row.id for row in invariants.INVARIANTS if row.stops is not None} | {Rule.GUARD}
    return [
        f"{reason.rule}: {reason.because}"
        for moment in history.moments
        for reason in moment.decision.reasons
        if reason.rule in stopping
        # It is also named while their answer to the exit is awaited.
        and (reason.rule != Rule.POLITE_EXIT or names(moment.decision, reason.rule))
        and (reason.rule != Rule.CONCERN or not _passed_over_anyway(moment, policy))
    ]


def _passed_over_anyway(moment: Moment, policy: Policy) -> bool:
    """Whether the policy asks as much itself, or lateness cost them the message anyway."""
    steps = [step for step in policy.steps if step.stage is AttemptStage.CONCERN]
    attempts = len(moment.prospect.silence.attempts)
    return (
        all(s.requires.attempts > attempts for s in steps)
        or all(s.requires.attempts >= 5 and s.requires.days >= 21 for s in steps)
        or any(reason.rule == Rule.HORIZON for reason in moment.decision.reasons)
    )


@many(60)
@given(st.data())
def test_on_plan_no_invariant_has_to_stop_a_proved_policy(data: st.DataObject) -> None:
    policy = data.draw(policies(), label="policy")
    assume(prove(policy).proved)
    history = data.draw(histories(policy, following=True), label="history")
    assert not stops(history, policy), told(history, len(history.events))


# Refuted ------------------------------------------------------------------------------------------


@many(40)
@given(policy_texts(faults=4))
def test_refuted_means_that_the_engine_names_the_rule_on_the_counterexample(text: str) -> None:
    try:
        policy = parse_text(text, "random.toml")
    except PolicyError:
        assume(False)
        raise
    proof = prove(policy)
    assume(not proof.proved)
    for one in proof.refuted:
        event(str(one.rule))
        if not one.counterexample:  # seen in the file, and no history gets as far
            assert one.rule in (Rule.POLITE_EXIT, Rule.ORDER), one.how
            continue
        app = Cadence.open(default=policy, use_unproved_policies=True)
        import_jsonl(app, [encode_line(event) for event in one.counterexample], at=ahead())
        steps = list(replay(app.history("somebody"), PolicyRegistry(policy)))
        last = steps[-1].event.data
        broke = isinstance(last, AttemptMade) and one.rule in last.broke
        assert broke or names(steps[-1].decision, one.rule), one.how
        for step in steps[: -1 if broke else None]:
            assert not isinstance(step.event.data, AttemptMade) or not step.event.data.broke


# Bounds -------------------------------------------------------------------------------------------


def most_within(times: list[datetime], span: timedelta) -> int:
    return max((sum(1 for t in times if start <= t < start + span) for start in times), default=0)


@many(40)
@given(st.data())
def test_no_history_that_follows_a_proved_policy_exceeds_its_bounds(data: st.DataObject) -> None:
    policy = data.draw(policies(faults=1), label="policy")
    proof = prove(policy)
    assume(proof.proved)
    bounds = proof.bounds
    assert bounds is not None
    history = data.draw(histories(policy, following=True, most=60), label="history")
    added = history.events[0].data
    assert isinstance(added, ProspectAdded)
    assume(len({point.channel for point in added.contact_points}) == len(added.contact_points))
    times = [e.occurred_at for e in history.events if isinstance(e.data, AttemptMade)]
    shown = told(history, len(history.events))
    assert len(times) <= bounds.attempts_in_silence, shown
    for days, most in (
        (1, bounds.attempts_in_24_hours),
        (7, bounds.attempts_in_7_days),
        (30, bounds.attempts_in_30_days),
    ):
        assert most_within(times, timedelta(days=days)) <= most, f"{days} days\n{shown}"
    unreachable = {one.step for one in proof.unreachable}
    for made in history.events:
        if isinstance(made.data, AttemptMade):
            assert made.data.step not in unreachable, f"{made.data.step}\n{shown}"
    last = history.moments[-1]
    cut_off = any(one.rule == Rule.HORIZON for one in proof.unreachable)  # not in the shortest way
    if (
        not cut_off
        and last.decision.verdict is Verdict.CLOSE
        and times
        and last.decision.end == "no_response"
    ):
        calendar = ZoneCalendar("UTC", OpenTimes(policy.week, closed=policy.closed))
        at = last.decision.at
        assert at is not None
        days = calendar.business_days(calendar.day(times[0]), calendar.day(at) + 1)
        assert days >= bounds.business_days_to_end.shortest, shown


def end_of(policy: Policy, start: datetime, points: tuple[ContactPoint, ...], own: bool) -> int:
    """Return the business days to the close, each touch made when it is due and unanswered."""
    policies, before = PolicyRegistry(policy), start - timedelta(hours=1)
    events = [
        Event("jo", 1, before, before, ProspectAdded("Jo", "UTC", contact_points=points)),
        Event("jo", 2, before, before, GuidelinesAgreed()),
    ]
    if not own:
        events.append(Event("jo", 3, before, before, AppointmentSet(start)))
    prospect, decision = advance(None, events, policies, start)
    used: tuple[Part, ...] = (Part(points[0].channel, Disposition.NO_ANSWER),)
    now = start
    for _ in range(400):
        if decision.verdict is Verdict.CLOSE or now > start + timedelta(days=6000):
            break
        assert decision.at is not None
        if decision.touch is None and not (own and not prospect.silence.attempts):
            if decision.verdict is Verdict.TASK:
                return 0  # left to the owner: how long that takes is unknown
            now = max(now, decision.at)
        else:
            if decision.touch is not None:
                now = max(now, decision.at)
                delivered = decision.touch.stage is Stage.POLITE_EXIT
                reached = Disposition.VOICEMAIL_LEFT if delivered else Disposition.NO_ANSWER
                used = tuple(
                    Part(one.channel, reached if one.channel == CALL else Disposition.SENT)
                    for one in decision.touch.parts
                )
            made = complete_attempt(prospect, AttemptMade(used), policy, now)
            event = Event("jo", prospect.version + 1, now, now, made)
            prospect, decision = advance(prospect, (event,), policies, now)
        decision = decision_for(prospect, policies, now)
    assert decision.verdict is Verdict.CLOSE
    assert decision.at is not None
    calendar = ZoneCalendar("UTC", OpenTimes(policy.week, closed=policy.closed))
    first = prospect.silence.attempts[0].at
    return calendar.business_days(calendar.day(first), calendar.day(decision.at))


@many(40)
@given(st.data())
def test_made_when_due_every_silence_ends_within_its_bounds(data: st.DataObject) -> None:
    policy = data.draw(st.one_of(policies(faults=0), st.sampled_from(CATALOGUE)), label="policy")
    assume(not policy.guards and not policy.calendar.closed and not policy.holidays_of)
    proof = prove(policy)
    assume(proof.proved)
    bounds = proof.bounds
    assert bounds is not None
    assert 0 < bounds.attempts_in_24_hours <= bounds.attempts_in_7_days
    assert bounds.attempts_in_7_days <= bounds.attempts_in_30_days <= bounds.attempts_in_silence
    days = bounds.business_days_to_end
    assert days.shortest <= days.longest <= days.longest_by_mail <= days.longest_undelivered
    # At any waking hour of any day, with a contact point on some of the channels.
    minute = data.draw(st.integers(8 * 60, 21 * 60 - 1), label="minute")
    day = data.draw(st.integers(0, 6), label="day")
    start = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=day, minutes=minute)
    channels = data.draw(st.sets(st.sampled_from(sorted(policy.usable)), min_size=1))
    points = tuple(ContactPoint(channel, f"{channel}-1") for channel in sorted(channels))
    took = end_of(policy, start, points, data.draw(st.booleans(), label="own"))
    # A channel that a policy declares may take its time as mail does.
    by_mail = any(policy.traits[channel].answer_business_days > 1 for channel in channels)
    assert took <= (days.longest_by_mail if by_mail else days.longest)


def test_the_longest_way_is_as_long_as_an_evening_makes_it() -> None:
    """An owner's own call at seven in the evening: every gap is a day longer from there on."""
    tip8 = builtin("tip8")
    bounds = prove(tip8).bounds
    assert bounds is not None
    evening = datetime(2026, 3, 2, 19, tzinfo=UTC)
    both = (ContactPoint(CALL, "+1 212 555 0101"), ContactPoint(EMAIL, "e"))
    assert end_of(tip8, evening, both, own=True) == bounds.business_days_to_end.longest == 26
    afternoon = datetime(2026, 3, 2, 16, tzinfo=UTC)
    assert end_of(tip8, afternoon, both, own=False) == 24


# Determinism --------------------------------------------------------------------------------------


@many(12)
@given(st.data())
def test_the_same_events_policy_and_now_give_the_same_decision(data: st.DataObject) -> None:
    policy = data.draw(policies())
    history = data.draw(histories(policy))
    for moment in history.moments:
        prospect = fold(None, history.events[: moment.events])
        assert prospect == moment.prospect
        assert decision_for(prospect, history.policies, moment.now) == moment.decision
    assert all(a.now <= b.now for a, b in pairwise(history.moments))
