"""The prover is not blind: deliberately bad policies, each with the rule that must be named.

Each file of ``bad_policies/`` says in its first lines what is wrong with it:

``# refuted: RULE``            the prover names it, with a history on which the engine names it too
``# unreachable: STEP by RULE``   the policy is proved, and the step reported beside
``# error: TEXT``              it is refused when it is read, with this in its error
``# events: N``                how long the shortest counterexample is, counted by hand
``# fix: OLD => NEW``          the one fault fixed; what is left is proved
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations, product

import msgspec
import pytest
from clocks import ahead
from filled_in import as_given
from guarded_policy import guarded

from bad_policies import ALL, FOLDER, Bad, counterexample, names
from cadence.domain.channels import CALL, CHANNELS, EMAIL, Channel
from cadence.domain.codec import encode_line
from cadence.domain.events import AttemptMade, Disposition, Event, Part
from cadence.engine import invariants, next_touch
from cadence.engine.commands import complete_attempt
from cadence.errors import PolicyError
from cadence.policy import Policy, PolicyRegistry, Rule
from cadence.policy.loader import parse_text
from cadence.prover import Proof, load, loads, prove
from cadence.prover.simulation import Scenario, Simulation, beginnings
from cadence.prover.state_space import Beginning
from cadence.replay import replay
from cadence.store import Cadence
from cadence.transfer import import_jsonl
from cadence.worktime.zone_calendar import SEARCH_DAYS

REFUTED = [bad for bad in ALL if bad.verdict == "refuted"]
UNREACHABLE = [bad for bad in ALL if bad.verdict == "unreachable"]
ERRORS = [bad for bad in ALL if bad.verdict == "error"]

_BLIND: dict[str, str] = {}
"""Proved, though the engine names the rule."""
_NAMED_ANYWAY: dict[str, str] = {}
"""The engine names the rule under the mended policy too."""
_ANOTHER_WAY = {"channels_nobody_has", "gap_after_an_answer_time"}
"""Mended, the policy goes another way from the beginning."""
_CROWDED = {
    "frequency_open_every_day",
    "frequency_thirteen_in_a_month",
    "frequency_two_parts_on_the_first_day",
}
"""Their history is so crowded that any policy has to wait after it."""


def _each(found: list[Bad], *known: dict[str, str]) -> list[object]:
    """The files as parameters; those with a known flaw of the prover are expected to fail."""
    return [
        pytest.param(
            bad,
            id=bad.name,
            marks=[
                pytest.mark.xfail(strict=True, reason=flaws[bad.name])
                for flaws in known
                if bad.name in flaws
            ],
        )
        for bad in found
    ]


def proof_of(bad: Bad) -> tuple[Policy, Proof]:
    policy = parse_text(bad.text, f"{bad.name}.toml")
    return policy, prove(policy)


def stored(policy: Policy, lines: list[bytes]) -> list[Event]:
    app = Cadence.open(default=policy, use_unproved_policies=True)
    assert import_jsonl(app, lines, at=ahead()).events == len(lines)
    return app.history("somebody")


def bare(event: Event) -> bytes:
    """An event as a dialler would have it: of an attempt, only its parts."""
    if isinstance(event.data, AttemptMade):
        event = msgspec.structs.replace(event, data=AttemptMade(event.data.parts))
        plain = msgspec.json.decode(encode_line(event))
        plain["data"] = {"parts": plain["data"]["parts"]}
        return msgspec.json.encode(plain)
    return encode_line(event)


# The files ----------------------------------------------------------------------------------------


def test_there_are_many_bad_policies_and_each_kind_among_them() -> None:
    assert len(REFUTED) >= 25
    assert len(UNREACHABLE) >= 4
    assert len(ERRORS) >= 15
    # The others hold whatever a file says.
    by_the_engine = {Rule.OPT_OUT, Rule.BOUNDED, Rule.DETERMINISTIC}
    refutable = {row.id for row in invariants.of_policies()} - by_the_engine
    assert {bad.about for bad in REFUTED} >= refutable


@pytest.mark.parametrize("bad", _each(REFUTED, _BLIND))
def test_the_rule_is_named_and_the_policy_refused(bad: Bad) -> None:
    _, proof = proof_of(bad)
    assert not proof.proved
    assert bad.about in [one.rule for one in proof.refuted]
    assert [one.rule for one in proof.rules] == [row.id for row in invariants.of_policies()]
    assert proof.bounds is None
    with pytest.raises(PolicyError, match="is refuted: ") as caught:
        loads(bad.text, bad.name)
    assert "cadence policy check" in caught.value.hint


@pytest.mark.parametrize("bad", _each(REFUTED, _BLIND))
def test_the_engine_names_the_same_rule_on_the_counterexample(bad: Bad) -> None:
    policy, proof = proof_of(bad)
    assert bad.about in [one.rule for one in proof.refuted]
    for one in proof.refuted:
        events = one.counterexample
        history = stored(policy, [encode_line(event) for event in events])
        assert as_given(history) == as_given(events)
        steps = list(replay(history, PolicyRegistry(policy)))
        last = steps[-1].event.data
        broke = isinstance(last, AttemptMade) and one.rule in last.broke
        assert broke or names(steps[-1].decision, one.rule), one.how
        # No attempt broke a rule on the way there.
        for step in steps[: -1 if broke else None]:
            assert not isinstance(step.event.data, AttemptMade) or not step.event.data.broke


@pytest.mark.parametrize("bad", _each(REFUTED, _BLIND))
def test_the_engine_itself_judges_the_counterexample_so(bad: Bad) -> None:
    """Imported as a dialler would have it, every attempt gets the same place, gap and breaches."""
    policy, proof = proof_of(bad)
    assert bad.about in [one.rule for one in proof.refuted]
    for one in proof.refuted:
        history = stored(policy, [bare(event) for event in one.counterexample])
        assert as_given(history) == as_given(one.counterexample)


@pytest.mark.parametrize("bad", _each(REFUTED, _BLIND))
def test_nothing_shorter_names_the_rule(bad: Bad) -> None:
    """The last event is the one that matters: without it the engine names no fault yet."""
    policy, proof = proof_of(bad)
    events = counterexample(proof, bad.about)
    last = events[-1].data
    if isinstance(last, AttemptMade) and bad.about in last.broke:
        events = events[:-1]  # the attempt that was made in spite of it
    steps = list(replay(events[:-1], PolicyRegistry(policy)))
    assert not any(names(step.decision, bad.about) for step in steps)


@pytest.mark.parametrize("bad", _each([bad for bad in REFUTED if bad.events], _BLIND))
def test_the_counterexample_is_as_short_as_one_by_hand(bad: Bad) -> None:
    _, proof = proof_of(bad)
    assert len(counterexample(proof, bad.about)) == bad.events


def by_force(policy: Policy, rule: str, most: int) -> list[Event] | None:
    """A history of at most so many events on which the engine names ``rule``, by trying them all.

    Touches made in time or beyond the horizon, lapsed, by contact points that were never there,
    turn out to be wrong, are lost and found.
    """
    asked = {c for p in (*policy.planned_touches, policy.exit_point) if p for c in p.channels}
    channels = [c for c in CHANNELS if c in asked] + [c for c in CHANNELS if c not in asked][:1]
    channels = [channel for channel in channels if channel in policy.usable]
    tried: list[Simulation] = []
    sizes = range(1, len(channels) + 1)
    for have in (frozenset(some) for n in sizes for some in combinations(channels, n)):
        for agreed in (False, True):
            for beginning in set(beginnings(policy)) - {Beginning.OWN}:
                tried.append(Simulation(policy, Scenario(have, beginning, agreed)))
            for channel, wrong in product(sorted(have), (False, True)):
                tried.append(Simulation(policy, Scenario(have, Beginning.ADDED, agreed)))
                tried[-1].make_own_attempt(channel, is_wrong=wrong)
    seen = set()
    while tried:
        now = [one for one in tried if len(one.events) <= most]
        for one in now:
            if faulty(one, rule):
                return one.events
        tried = []
        for one in now:
            attempts = [(a.step, a.parts) for a in one.prospect.silence.attempts]
            key = (
                str(attempts),
                one.prospect.reach.contact_points,
                one.prospect.reach.failed,
                one.now,
            )
            if len(one.events) < most and key not in seen:
                seen.add(key)
                tried += further(one, channels, late=rule != Rule.CONCERN)
    return None


def faulty(one: Simulation, rule: str) -> bool:
    """Whether ``rule`` is named after the last event, and not only of a task left undone."""
    decision = next_touch(one.prospect, one.policy, one.events[-1].recorded_at)
    reasons = tuple(r for r in decision.reasons if "escalate" not in r.because)
    return names(msgspec.structs.replace(decision, reasons=reasons), rule)


def further(one: Simulation, channels: list[Channel], *, late: bool) -> Iterator[Simulation]:
    """Everything that may happen next, each one event."""
    looks = [one]
    touch = one.decision.touch
    within = None if touch is None else one.policy.by_name.get(touch.step)
    if within is not None and within.step.within is not None:
        looks.append(one.copy())
        looks[-1].wait()
        looks[-1].look(looks[-1].now + timedelta(minutes=within.step.within.minutes + 1))
    if late and one.prospect.silence.attempts:
        looks.append(one.copy())
        looks[-1].leave()
    for look in looks:
        for wrong in (frozenset[Channel](), frozenset(CHANNELS)):
            made = look.copy()
            made.make(wrong=wrong)
            yield made
        for channel in channels:
            lost, found = look.copy(), look.copy()
            lost.lose(channel)
            found.find(channel)
            yield lost
            yield found


FORCED = [
    bad
    for bad in REFUTED
    # Lateness makes gaps larger than planned, which is no fault of the policy.
    if bad.about != Rule.GAP and (bad.events or 2) <= 4
]


@pytest.mark.parametrize("bad", _each(FORCED, _BLIND))
def test_no_shorter_history_is_found_by_trying_them_all(bad: Bad) -> None:
    policy, proof = proof_of(bad)
    events = counterexample(proof, bad.about)
    last = events[-1].data
    broke = isinstance(last, AttemptMade) and bad.about in last.broke
    assert by_force(policy, bad.about, len(events) - 1 - broke) is None


@pytest.mark.parametrize("bad", _each([bad for bad in REFUTED if bad.mends]))
def test_with_its_one_fault_mended_it_is_proved(bad: Bad) -> None:
    policy = parse_text(bad.mended(), bad.name)
    proof = prove(policy)
    assert [one.how for one in proof.refuted] == []
    assert proof.bounds is not None
    assert loads(bad.mended(), bad.name) == policy


def test_every_refuted_policy_can_be_mended() -> None:
    assert [bad.name for bad in REFUTED if not bad.mends] == []


@pytest.mark.parametrize("bad", _each(UNREACHABLE))
def test_a_step_that_is_never_reached_is_reported_beside(bad: Bad) -> None:
    policy, proof = proof_of(bad)
    assert proof.proved
    assert ", ".join(f"{one.step} by {one.rule}" for one in proof.unreachable) == bad.about
    assert loads(bad.text, bad.name) == policy
    if bad.mends:
        assert prove(parse_text(bad.mended(), bad.name)).unreachable == ()


@pytest.mark.parametrize("bad", _each(ERRORS))
def test_what_is_no_policy_is_refused_with_its_place(bad: Bad) -> None:
    for read in (parse_text, loads):
        with pytest.raises(PolicyError) as caught:
            read(bad.text, "mine.toml")
        error = caught.value
        assert error.what.startswith("mine.toml: ")
        assert bad.about in error.what
        assert error.hint
        assert "\n" not in error.what + error.hint
    if bad.mends:
        assert prove(parse_text(bad.mended(), "mine.toml")).proved


def test_a_file_that_is_bad_is_refused_from_the_disk_too() -> None:
    with pytest.raises(PolicyError, match="spaced_cap"):
        load(FOLDER / "cap_by_times.toml")
    assert load(FOLDER / "cap_by_times.toml", use_unproved_policy=True).id == "cap-by-times"


def test_what_is_proved_is_the_same_each_time() -> None:
    for bad in (*REFUTED[::6], *UNREACHABLE[:2]):
        assert proof_of(bad) == proof_of(bad)


@pytest.mark.parametrize(
    "bad",
    _each(
        [one for one in REFUTED if one.name not in _ANOTHER_WAY | _CROWDED], _BLIND, _NAMED_ANYWAY
    ),
)
def test_under_the_mended_policy_the_same_history_names_no_such_rule(bad: Bad) -> None:
    """What is named is the fault, and not something that every policy is told there."""
    _, proof = proof_of(bad)
    mended = parse_text(bad.mended(), bad.name)
    events = counterexample(proof, bad.about)
    last = events[-1].data
    if isinstance(last, AttemptMade) and bad.about in last.broke:
        events = events[:-1]  # made before its time
    history = stored(mended, [bare(event) for event in events])
    steps = list(replay(history, PolicyRegistry(mended)))
    assert not any(names(step.decision, bad.about) for step in steps)


# Flaws there were, each with the smallest policy that shows it ------------------------------------

HEAD = """
id = "small"
version = 1
title = "Small"
source = "a test"
horizon_business_days = 10
task_business_days = 2
calendar = { mon = ["09:00-17:00"], tue = ["09:00-17:00"], wed = ["09:00-17:00"] }
"""
EXIT = """
[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { business_days = 6 }
answer_within = { business_days = 1 }
parts = [{ channels = ["email", "call"], script = "polite_exit" }]
"""


def small(*steps: tuple[str, str, str]) -> Policy:
    """A policy of steps (id, stage, rest), with the polite exit where it is named."""
    text = HEAD
    for name, stage, rest in steps:
        parts = '[{ channels = ["email", "call"], script = "spaced" }]'
        text += f'\n[[steps]]\nid = "{name}"\nstage = "{stage}"\n{rest}\nparts = {parts}\n'
        text = text if name != "polite_exit" else text.rpartition("\n[[steps]]")[0] + EXIT
    return parse_text(text, "small.toml")


WINDOW = """
[[guards]]
kind = "contact_window"
id = "no_calls"
channels = ["call"]
"""
NEVER = "is never open at a time at which this may be made"


def watched(hours: str, *, channels: str = 'channels = ["call"]', at: str = "") -> Policy:
    """Calls and a letter, with a contact window."""
    first = f'id = "on_time"\nstage = "on_time"\n{at}' if at else ""
    text = HEAD
    for step in filter(None, (first, 'id = "spaced"\nstage = "spaced"\ntimes = 3')):
        distance = "" if "at =" in step else "after = { business_days = 3 }"
        text += f"\n[[steps]]\n{step}\n{distance}\n"
        text += 'parts = [{ channels = ["call"], script = "spaced" }]\n'
    window = WINDOW.replace('channels = ["call"]', channels) + hours
    return parse_text(text + EXIT + window, "watched.toml")


THE_EXIT = ("polite_exit", "polite_exit", "")
ON_TIME = ("on_time", "on_time", 'at = "appointment"')


def test_a_policy_of_the_polite_exit_alone_is_proved() -> None:
    assert prove(small(THE_EXIT)).proved


def test_a_second_appointment_is_refused_or_refuted() -> None:
    steps = (ON_TIME, ("again", "on_time", 'at = "appointment"'), THE_EXIT)
    try:
        proof = prove(small(*steps))
    except PolicyError:
        return
    assert [one.rule for one in proof.refuted] == ["order"]


def test_a_step_behind_the_exit_is_refuted_whatever_the_horizon() -> None:
    spaced = ("spaced", "spaced", "after = { business_days = 6 }\ntimes = 3")
    policy = small(spaced, THE_EXIT, ("more", "spaced", "after = { business_days = 6 }"))
    assert "polite_exit" in [one.rule for one in prove(policy).refuted]


def test_the_owners_own_attempt_counts_in_the_bounds() -> None:
    policy = small(("letter", "nurture", "after = { business_days = 1 }\ntimes = 2"), THE_EXIT)
    bounds = prove(policy).bounds
    assert bounds is not None
    # Monday of one's own, Tuesday and Wednesday the letters.
    assert bounds.attempts_in_7_days == 3


def test_the_shortest_way_to_the_end_is_no_longer_than_the_longest() -> None:
    policy = small(("spaced", "spaced", "after = { business_days = 6 }\ntimes = 4"), THE_EXIT)
    bounds = prove(policy).bounds
    assert bounds is not None
    assert bounds.business_days_to_end.shortest <= bounds.business_days_to_end.longest


# Touches that a guard keeps from being made -------------------------------------------------------


def never_made(policy: Policy) -> list[tuple[str, str]]:
    return [(one.step, one.rule) for one in prove(policy).unreachable]


def test_a_touch_that_only_a_guard_keeps_from_being_made_is_reported() -> None:
    """The first spaced touch is not: an owner's own letter may take its place."""
    policy = watched('sun = ["10:00-12:00"]')
    assert never_made(policy) == [("spaced#2", "no_calls"), ("spaced#3", "no_calls")]
    assert prove(policy).unreachable[0].because == f"it {NEVER}"


def test_a_window_without_hours_for_any_channel_keeps_every_touch_from_being_made() -> None:
    assert never_made(watched("", channels="")) == [
        ("spaced#1", "no_calls"),
        ("spaced#2", "no_calls"),
        ("spaced#3", "no_calls"),
    ]


@pytest.mark.parametrize(
    "hours",
    ['mon = ["18:00-20:00"]', 'mon = ["20:59-24:00"]', 'wed = ["00:00-08:01"]'],
)
def test_a_window_that_a_prospect_may_prefer_keeps_no_touch_from_being_made(hours: str) -> None:
    """Waking hours that they prefer stand in place of business hours."""
    assert never_made(watched(hours)) == []


@pytest.mark.parametrize("hours", ['mon = ["05:00-08:00"]', 'mon = ["21:00-24:00"]'])
def test_a_window_in_quiet_hours_alone_keeps_a_touch_from_being_made(hours: str) -> None:
    assert never_made(watched(hours)) == [("spaced#2", "no_calls"), ("spaced#3", "no_calls")]


def test_the_appointments_own_call_may_be_made_on_days_that_are_no_business_days() -> None:
    policy = watched('sun = ["10:00-12:00"]', at='at = "appointment"')
    assert never_made(policy) == [("spaced#2", "no_calls"), ("spaced#3", "no_calls")]
    policy = watched('sun = ["05:00-07:00"]', at='at = "appointment"')
    assert never_made(policy)[0] == ("on_time", "no_calls")


def test_no_fault_is_worded_by_the_data_under_which_it_was_played() -> None:
    """It is a reason of every decision, and no fault."""
    for bad in REFUTED:
        for one in proof_of(bad)[1].refuted:
            assert "same events" not in one.how
            assert one.how


@pytest.mark.parametrize(
    "guard",
    [
        'kind = "contact_window"\nwed = ["14:00-16:00"]',
        'kind = "contact_window"\nchannels = ["email"]\nmon = ["11:00-12:00"]',
        'kind = "pause"\nfirst_day = 2023-12-20\nlast_day = 2024-01-09',
        'kind = "pause"\nfirst_day = 2023-12-20\nlast_day = 2024-03-01',
        'kind = "custom"\nversion = 1\nfunction = "bad_guards:raises"',
    ],
)
@pytest.mark.parametrize("channel", [CALL, EMAIL])
def test_an_owners_attempt_is_simulated_at_the_first_hour_that_no_rule_forbids(
    guard: str, channel: Channel
) -> None:
    policy = guarded(guard)
    whole = Simulation(policy, Scenario(frozenset({CALL, EMAIL}), Beginning.ADDED))
    hours = [whole.now]
    while hours[-1] - whole.now < timedelta(days=SEARCH_DAYS):
        following = whole.calendar.next_open(hours[-1] + timedelta(hours=1))
        assert following is not None
        hours.append(following)
    part = Part(channel, Disposition.NO_ANSWER if channel == CALL else Disposition.SENT)
    allowed = [
        at
        for at in hours[:-1]
        if not complete_attempt(whole.prospect, AttemptMade((part,)), policy, at).broke
    ]
    before = len(whole.events)
    whole.make_own_attempt(channel)
    assert [event.occurred_at for event in whole.events[before:]] == allowed[:1]
