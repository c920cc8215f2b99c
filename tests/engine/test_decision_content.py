"""What a decision says: the contract of its JSON, whose it is, and each reason in its words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from guarded_policy import guarded
from histories import (
    CALL,
    DAY,
    EMAIL,
    HOUR,
    MAIL,
    MINUTE,
    MONDAY,
    NO_ANSWER,
    SENT,
    SMS,
    TIP8,
    Happened,
    added,
    after,
    attempt,
    policy,
)
from hypothesis import given
from hypothesis import strategies as st
from strategies import histories

from cadence.domain import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    Channel,
    ContactPointFailed,
    EndReason,
    FailureReason,
    FollowUpEnded,
    FollowUpReopened,
    Gap,
    Intent,
    OptOutRequested,
    PauseRequested,
    PolicyAdopted,
    PreferenceStated,
    Prospect,
    ReplyReceived,
    fold,
)
from cadence.engine import Decision, next_touch
from cadence.engine.decision import TaskKind, to_builtins
from cadence.engine.invariants import DESIGN
from cadence.engine.loop import decision_for
from cadence.engine.reasons import ReasonKind
from cadence.policy import (
    GuardDelay,
    Policy,
    PolicyRegistry,
    Rule,
    Touch,
    builtin,
    builtin_names,
)

POLICIES = [builtin(name) for name in builtin_names()]
OURS = "a test"
"""The source that the policies written here name."""
SPACED = """
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 1 }
times = 3
parts = [{ channels = ["call"], script = "voicemail" }, { channels = ["email"], script = "note" }]
"""
CALLS = SPACED.replace(', { channels = ["email"], script = "note" }', "")
ON_TIME = """
[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{ channels = ["call"], script = "on_time" }]
"""
EXIT = """
[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { business_days = 3 }
parts = [{ channels = ["email"], script = "polite_exit" }]
"""
NURTURE = """
[[steps]]
id = "nurture"
stage = "nurture"
after = { business_days = 5 }
parts = [{ channels = ["call"], script = "nurture" }]
"""
CONCERN = NURTURE.replace("nurture", "concern")
GUARD = """
[[guards]]
kind = "custom"
id = "ours"
function = "{}"
version = 1
"""
CLOSED = f"closed = {[str(date(2026, 11, 5) + n * DAY) for n in range(45)]}"
"""From the Thursday on, for longer than an open time is looked for."""
CAUSE, DELAY, SKIP = ReasonKind.CAUSE, ReasonKind.DELAY, ReasonKind.SKIP


def for_years(prospect: Prospect, touch: Touch, at: datetime) -> GuardDelay:
    """A guard that never opens."""
    return GuardDelay(at + 4_000 * DAY, "not in these years")


def with_line(line: str) -> Policy:
    """The policy of ``SPACED`` with a line more in its step."""
    return policy(_with(line))


def _with(line: str) -> str:
    return SPACED.replace("times = 3", f"times = 3\n{line}")


def failing(*functions: str) -> Policy:
    """A policy with these guards of a team's own, by name."""
    return guarded(
        *(
            f'kind = "custom"\nid = "{name}"\nfunction = "bad_guards:{name}"\nversion = 1'
            for name in functions
        )
    )


# The contract -------------------------------------------------------------------------------------


def test_the_json_of_a_decision_is_the_object_of_section_8() -> None:
    both = policy(SPACED)
    plain = to_builtins(next_touch(after(added(), attempt(MONDAY)), both, MONDAY + DAY), {1: "Hi"})
    (planned, versions) = plain.pop("reasons")
    assert plain == {
        "prospect": "kim",
        "stage": "spaced",
        "decision": "due",
        "at": "2026-11-03T10:00:00Z",
        "from": "2026-11-03T10:00:00Z",
        "due_since": None,
        "touch": {
            "id": "kim:1:2:spaced#2",
            "stage": "spaced",
            "step": "spaced#2",
            "parts": [
                {"channel": "call", "address": "+1", "script": "voicemail", "text": ""},
                {"channel": "email", "address": "j@x", "script": "note", "text": "Hi"},
            ],
        },
        "task": None,
        "policy": {"name": "ours", "version": 1, "digest": both.digest},
    }
    assert planned == {
        "rule": "plan",
        "code": "planned",
        "because": "1 business day after the attempt of Mon 2026-11-02 10:00: Tue 2026-11-03 10:00",
        "events": [2],
        "source": OURS,
    }
    assert versions["rule"] == "deterministic"


def test_the_json_of_a_task_has_its_sentence_and_no_touch() -> None:
    plain = next_touch(after(added()), TIP8, MONDAY).to_dict()
    assert plain["decision"] == "task"
    assert plain["task"] == "set an appointment or make the first attempt"
    assert plain["touch"] is None
    assert plain["at"] == "2026-11-04T10:00:00Z"


def test_the_json_of_a_stop_has_no_time() -> None:
    plain = next_touch(after(added(), (MONDAY, OptOutRequested())), TIP8, MONDAY).to_dict()
    assert (plain["decision"], plain["at"], plain["touch"], plain["task"]) == (
        "stop",
        None,
        None,
        None,
    )


# Whose it is --------------------------------------------------------------------------------------


@given(history=histories(), policy=st.sampled_from(POLICIES), minutes=st.integers(0, 60 * 24 * 90))
def test_a_decision_names_its_prospect_their_stage_and_the_policy(
    history: Any, policy: Policy, minutes: int
) -> None:
    prospect = fold(None, history)
    if prospect is None:
        return
    decision = next_touch(prospect, policy, prospect.recorded_at + timedelta(minutes=minutes))
    assert (decision.prospect, decision.stage) == (prospect.id, prospect.stage)
    assert decision.policy == policy.ref


@pytest.mark.parametrize(
    "happened",
    [
        [added(zones="Mars/X")],
        [added(), (MONDAY, FollowUpEnded(EndReason.BOUGHT))],
        [
            added(),
            (MONDAY, FollowUpEnded(EndReason.BOUGHT)),
            (MONDAY, ReplyReceived(Channel("sms"))),
        ],
        [added(), (MONDAY, OptOutRequested())],
    ],
    ids=["unknown place", "ended", "responded after the end", "opted out"],
)
def test_a_decision_beside_the_plan_names_them_too(happened: list[Happened]) -> None:
    prospect = after(*happened)
    decision = next_touch(prospect, TIP8, MONDAY)
    assert (decision.prospect, decision.stage) == ("kim", prospect.stage)
    assert decision.policy == TIP8.ref


def test_a_decision_under_an_unknown_policy_names_the_policy_adopted() -> None:
    prospect = after(added(), (MONDAY, PolicyAdopted("theirs", 3, "f" * 64)))
    decision = decision_for(prospect, PolicyRegistry(), MONDAY)
    assert (decision.prospect, decision.stage) == ("kim", prospect.stage)
    assert decision.policy == prospect.policy
    assert (decision.reasons[0].rule, decision.reasons[0].events) == (Rule.FORGOTTEN, (2,))
    assert getattr(decision, "kind", None) is TaskKind.MAKE_POLICY_KNOWN


@given(history=histories(), policy=st.sampled_from(POLICIES), minutes=st.integers(0, 60 * 24 * 90))
def test_a_reason_comes_from_the_design_or_the_policy_and_from_events_that_exist(
    history: Any, policy: Policy, minutes: int
) -> None:
    prospect = fold(None, history)
    if prospect is None:
        return
    known = {*Rule, *(guard.name for guard in policy.guards)}
    for reason in next_touch(
        prospect, policy, prospect.recorded_at + timedelta(minutes=minutes)
    ).reasons:
        assert reason.rule in known
        assert reason.source in (DESIGN, policy.source)
        assert set(reason.events) <= set(range(1, prospect.version + 1))
        assert isinstance(reason.kind, ReasonKind)


# What it says -------------------------------------------------------------------------------------


@dataclass
class Said:
    """A situation, and the reason that must be among those of its decision."""

    policy: Policy
    happened: list[Happened]
    rule: str
    kind: ReasonKind
    events: tuple[int, ...]
    source: str
    because: str
    now: datetime = MONDAY + DAY
    task: TaskKind | None = None


ON_PAUSE = [added(), (MONDAY, PauseRequested(MONDAY + DAY))]
CALLED = (MONDAY, AttemptMade(NO_ANSWER, AttemptStage.SPACED, "spaced#1"))
CALLED_AFTER_FOUR_DAYS = (
    MONDAY + 4 * DAY,
    AttemptMade(NO_ANSWER, AttemptStage.SPACED, "spaced#2", gap=Gap(4, 0)),
)
THREE_CALLS = [attempt(MONDAY + n * MINUTE) for n in range(3)]
EXIT_SENT = [added(), attempt(MONDAY), attempt(MONDAY + HOUR, AttemptStage.POLITE_EXIT, SENT)]
SITUATIONS = {
    "they said no": Said(
        TIP8,
        [added(), (MONDAY, ReplyReceived(Channel("email"), Intent.NO))],
        *(Rule.PLAN, CAUSE, (2,), DESIGN),
        "they said no",
        task=TaskKind.END_OR_AGREE,
    ),
    "an unknown place": Said(
        TIP8,
        [added(zones="Mars/X")],
        *(Rule.FORGOTTEN, CAUSE, (), DESIGN),
        "timezone: unknown time zone 'Mars/X'",
        task=TaskKind.FIX_PLACE,
    ),
    "reopened": Said(
        TIP8,
        [
            added(),
            (MONDAY, FollowUpEnded(EndReason.BOUGHT)),
            (MONDAY, FollowUpReopened("they moved")),
        ],
        *(Rule.PLAN, CAUSE, (3,), DESIGN),
        "the follow-up was reopened; outreach waits for a response, which we can't make up",
        task=TaskKind.ASK_WHETHER_WELCOME,
    ),
    "won": Said(
        TIP8,
        [added(), (MONDAY, FollowUpEnded(EndReason.BOUGHT))],
        *(Rule.PLAN, CAUSE, (2,), TIP8.source),
        "the follow-up is won (bought)",
    ),
    "away": Said(
        TIP8,
        [
            added(),
            attempt(MONDAY),
            (MONDAY + HOUR, AutoReplyReceived(Channel("email"), MONDAY + 2 * DAY)),
        ],
        *(Rule.SUSPENDED, DELAY, (3,), DESIGN),
        "suspended time does not count: +4 d to Mon 2026-11-09 10:00",
    ),
    "a pause": Said(
        TIP8,
        [added(), (MONDAY + HOUR, PauseRequested(MONDAY + 7 * DAY))],
        *(Rule.PLAN, DELAY, (2,), TIP8.source),
        "they asked for a pause until Mon 2026-11-09 10:00",
    ),
    "a promise": Said(
        TIP8,
        [
            added(),
            attempt(MONDAY),
            (MONDAY + HOUR, PolicyAdopted("tip8", 1, "f" * 64, MONDAY + 9 * DAY)),
        ],
        *(Rule.PLAN, DELAY, (3,), TIP8.source),
        "promised for Wed 2026-11-11 10:00 when the policy was adopted",
    ),
    "guidelines to agree first": Said(
        with_line("requires = { guidelines = true }"),
        ON_PAUSE,
        *(Rule.PLAN, CAUSE, (2,), DESIGN),
        "no attempt was made in this silence, and the policy's requirements are not met",
        task=TaskKind.AGREE_GUIDELINES,
    ),
    "guidelines not agreed": Said(
        with_line("requires = { guidelines = true }"),
        ON_PAUSE,
        *(Rule.PLAN, SKIP, (), OURS),
        "spaced#1, spaced#2, spaced#3 skipped: it requires that they agreed to be followed up, "
        "and they have not",
        task=TaskKind.AGREE_GUIDELINES,
    ),
    "requirements to begin": Said(
        with_line("requires = { attempts = 2 }"),
        ON_PAUSE,
        *(Rule.PLAN, CAUSE, (2,), DESIGN),
        "no attempt was made in this silence, and the policy's requirements are not met",
        task=TaskKind.MEET_REQUIREMENTS,
    ),
    "no channel to begin": Said(
        policy(SPACED),
        [added(SMS), (MONDAY, PauseRequested(MONDAY + DAY))],
        *(Rule.CONTACT_POINT, CAUSE, (2,), DESIGN),
        "no attempt was made in this silence, and no step of the policy has a channel left",
        task=TaskKind.REACH_OTHERWISE,
    ),
    "no channel for a step": Said(
        policy(SPACED),
        [added(MAIL), attempt(MONDAY)],
        *(Rule.CONTACT_POINT, SKIP, (), DESIGN),
        "spaced#2, spaced#3 skipped: no contact point is left for call, email",
    ),
    "the policy's own limit of attempts": Said(
        policy("[limits]\nattempts = 2\n" + SPACED),
        [added(), attempt(MONDAY), attempt(MONDAY + HOUR)],
        *(Rule.PLAN, SKIP, (2, 3), OURS),
        "spaced#3 skipped: 2 attempts were made; the policy allows 2",
    ),
    "the policy's own limit of calls": Said(
        policy("[limits]\nspaced_calls = 2\n" + SPACED),
        [added(), attempt(MONDAY), attempt(MONDAY + HOUR)],
        *(Rule.PLAN, SKIP, (2, 3), OURS),
        "spaced#3 skipped: 2 spaced calls were made; the policy allows 2",
    ),
    "another time of day before any attempt": Said(
        policy(ON_TIME + _with('rotate = { times = ["11:00", "15:00"], days = ["wed", "mon"] }')),
        [added(EMAIL), (MONDAY, AppointmentSet(MONDAY + 4 * HOUR))],
        *(Rule.PLAN, DELAY, (2,), OURS),
        "another time than the last attempt's: Wed 2026-11-04 11:00",
    ),
    "a time to answer a touch": Said(
        with_line("answer_within = { business_days = 4 }"),
        [added(), CALLED],
        *(Rule.PLAN, DELAY, (2,), OURS),
        "4 business days to answer spaced#1: until Fri 2026-11-06 10:00",
    ),
    "an exit that awaits its answer": Said(
        TIP8,
        EXIT_SENT,
        *(Rule.POLITE_EXIT, DELAY, (3,), TIP8.source),
        "2 business days to answer the polite exit of Mon 2026-11-02 11:00: "
        "until Wed 2026-11-04 11:00",
    ),
    "an exit that the policy gives no time": Said(
        policy(SPACED + EXIT),
        EXIT_SENT,
        *(Rule.POLITE_EXIT, DELAY, (3,), OURS),
        "1 business day to answer the polite exit of Mon 2026-11-02 11:00 "
        "(the policy gives no time; this is the least): until Tue 2026-11-03 11:00",
        now=MONDAY + 2 * HOUR,
    ),
    "a guard that fails": Said(
        failing("raises"),
        [added(), attempt(MONDAY)],
        *(Rule.GUARD, CAUSE, (), DESIGN),
        "spaced#2 is held: guard raises failed: it raised ValueError: no such table: holidays",
        task=TaskKind.FIX_GUARD,
    ),
    "a late touch that finds no open time any more": Said(
        policy(
            SPACED, calendar=f"closed = {[str(date(2026, 11, 5) + n * DAY) for n in range(45)]}"
        ),
        [added(), CALLED],
        *(Rule.FORGOTTEN, CAUSE, (), DESIGN),
        "spaced#2 finds no open time within 30 days of Tue 2026-11-03 10:00",
        now=MONDAY + 5 * DAY,
        task=TaskKind.FIND_TIME,
    ),
    "a late touch that a guard's policy finds no open time for any more": Said(
        policy(SPACED + GUARD.format("bad_guards:silent"), calendar=CLOSED),
        [added(), CALLED],
        *(Rule.FORGOTTEN, CAUSE, (), DESIGN),
        "spaced#2 finds no open time within 30 days of Tue 2026-11-03 10:00",
        now=MONDAY + 5 * DAY,
        task=TaskKind.FIND_TIME,
    ),
    "a guard that delays for years": Said(
        policy(SPACED + GUARD.format("test_decision_content:for_years")),
        [added(), CALLED],
        *("ours", DELAY, (), OURS),
        "not in these years",
        task=TaskKind.FIND_TIME_DESPITE_GUARDS,
    ),
    "a guard that fails at the exit": Said(
        failing("raises"),
        [added(), *THREE_CALLS],
        *(Rule.GUARD, CAUSE, (), DESIGN),
        "polite_exit is held: guard raises failed: it raised ValueError: no such table: holidays",
        task=TaskKind.FIX_GUARD,
    ),
    "a vetoed exit": Said(
        failing("vetoes_the_exit"),
        [added(), *THREE_CALLS],
        *("vetoes_the_exit", CAUSE, (), OURS),
        "it vetoes polite_exit: we never let go",
        task=TaskKind.LEAVE_EXIT_OTHERWISE,
    ),
    "a new prospect": Said(
        TIP8,
        [added()],
        *(Rule.PLAN, CAUSE, (1,), TIP8.source),
        "no attempt was made yet",
        task=TaskKind.BEGIN,
    ),
    "a new prospect who was tried": Said(
        TIP8,
        [added(), attempt(MONDAY, AttemptStage.EXTRA)],
        *(Rule.PLAN, CAUSE, (1,), TIP8.source),
        "there was no response yet",
        task=TaskKind.BEGIN_AGAIN,
    ),
    "they replied": Said(
        TIP8,
        [added(), (MONDAY, ReplyReceived(Channel("email")))],
        *(Rule.PLAN, CAUSE, (2,), DESIGN),
        "a response ended the silence (reply)",
        task=TaskKind.AGREE_NEXT_STEP,
    ),
    "an owner who is late": Said(
        TIP8,
        [added()],
        *(Rule.FORGOTTEN, CAUSE, (), DESIGN),
        "the deadline has passed: escalate it",
        now=MONDAY + 9 * DAY,
    ),
    "they responded after the end": Said(
        TIP8,
        [
            added(),
            (MONDAY, FollowUpEnded(EndReason.BOUGHT)),
            (MONDAY + HOUR, ReplyReceived(Channel("email"))),
        ],
        *(Rule.FORGOTTEN, CAUSE, (3,), DESIGN),
        "they responded after the follow-up was won",
        task=TaskKind.ANSWER,
    ),
    "they opted out": Said(
        TIP8,
        [added(), (MONDAY, OptOutRequested())],
        *(Rule.OPT_OUT, CAUSE, (2,), DESIGN),
        "they opted out of everything",
    ),
    "they opted out of the channel of a step": Said(
        policy(CALLS),
        [added(), attempt(MONDAY), (MONDAY + HOUR, OptOutRequested(Channel("call")))],
        *(Rule.OPT_OUT, SKIP, (3,), DESIGN),
        "spaced#2, spaced#3 skipped: they opted out of call",
    ),
    "an appointment without an on-time step": Said(
        policy(SPACED),
        [added(), (MONDAY, AppointmentSet(MONDAY + 2 * DAY))],
        *(Rule.APPOINTMENT, CAUSE, (2,), OURS),
        "the policy has no on-time step; the owner keeps the appointment",
        task=TaskKind.KEEP_APPOINTMENT,
    ),
    "an appointment under a policy that has an exit alone": Said(
        policy(EXIT),
        [added(), (MONDAY, AppointmentSet(MONDAY + 2 * DAY))],
        *(Rule.APPOINTMENT, CAUSE, (2,), OURS),
        "the policy has no on-time step; the owner keeps the appointment",
        task=TaskKind.KEEP_APPOINTMENT,
    ),
    "an appointment": Said(
        TIP8,
        [added(), (MONDAY, AppointmentSet(MONDAY + 2 * DAY))],
        *(Rule.APPOINTMENT, DELAY, (2,), TIP8.source),
        "called at the time agreed, Wed 2026-11-04 10:00",
    ),
    "a missed appointment": Said(
        TIP8,
        [added(), (MONDAY, AppointmentSet(MONDAY + HOUR))],
        *(Rule.APPOINTMENT, CAUSE, (), TIP8.source),
        "the appointment was missed by 5 min; it stays due, and says so",
        now=MONDAY + HOUR + 5 * MINUTE,
    ),
    "a step behind the exit": Said(
        policy(SPACED + EXIT + NURTURE),
        [added(), *THREE_CALLS],
        *(Rule.POLITE_EXIT, SKIP, (), DESIGN),
        "nurture skipped: nothing comes after the polite exit",
    ),
    "a step behind a later stage": Said(
        policy(NURTURE + SPACED),
        [added(), attempt(MONDAY, AttemptStage.NURTURE)],
        *(Rule.ORDER, SKIP, (), DESIGN),
        "spaced#1, spaced#2, spaced#3 skipped: the policy file has it behind a later stage, and "
        "outreach moves forward",
    ),
    "a concern message too soon": Said(
        policy(SPACED + CONCERN + EXIT),
        [added(), *THREE_CALLS],
        *(Rule.CONCERN, SKIP, (2, 3, 4), DESIGN),
        "concern skipped: only 3 of 5 attempts were made",
    ),
    "a second concern message": Said(
        policy(SPACED + CONCERN + CONCERN.replace('id = "concern"', 'id = "again"') + EXIT),
        [
            added(),
            *(attempt(MONDAY + n * MINUTE) for n in range(6)),
            attempt(MONDAY + 30 * DAY, AttemptStage.CONCERN),
        ],
        *(Rule.CONCERN, SKIP, (2, 3, 4, 5, 6, 7, 8), DESIGN),
        "again skipped: it has been asked in this silence",
        now=MONDAY + 60 * DAY,
    ),
    "calls beyond the cap": Said(
        policy(SPACED.replace("times = 3", "times = 9")),
        [
            added(),
            attempt(MONDAY - MINUTE, AttemptStage.EXTRA, SENT),
            *(attempt(MONDAY + n * MINUTE) for n in range(6)),
        ],
        *(Rule.SPACED_CAP, SKIP, (3, 4, 5, 6, 7, 8), DESIGN),
        "spaced#7, spaced#8, spaced#9 skipped: 6 spaced calls were made; no more than 6 in a "
        "silence",
    ),
    "no exit in the policy": Said(
        policy(SPACED + "# no polite_exit"),
        [added(), *THREE_CALLS],
        *(Rule.POLITE_EXIT, CAUSE, (1,), DESIGN),
        "the policy has no polite exit, and no follow-up is closed without one",
        task=TaskKind.LEAVE_EXIT,
    ),
    "an exit that reached nobody": Said(
        TIP8,
        [
            added(CALL),
            attempt(MONDAY),
            attempt(MONDAY + HOUR, AttemptStage.POLITE_EXIT, NO_ANSWER),
        ],
        *(Rule.POLITE_EXIT, CAUSE, (3,), DESIGN),
        "the polite exit was sent to every remaining contact point; none was delivered",
        task=TaskKind.DELIVER_EXIT,
    ),
    "no contact point left": Said(
        TIP8,
        [
            added(EMAIL),
            (MONDAY, ContactPointFailed(Channel("email"), "j@x", FailureReason.BOUNCED)),
            attempt(MONDAY),
        ],
        *(Rule.CONTACT_POINT, CAUSE, (2,), DESIGN),
        "no contact point is left (each failed, or they opted out of it)",
    ),
    "quiet hours": Said(
        policy(SPACED.replace("business_days = 1", "hours = 12")),
        [added(), CALLED],
        *(Rule.QUIET_HOURS, DELAY, (), DESIGN),
        "quiet hours, 21:00 to 08:00 local: +10 h to Tue 2026-11-03 08:00",
        now=MONDAY,
    ),
    "before the team opens": Said(
        policy(SPACED.replace("business_days = 1", "hours = 12")),
        [added(), CALLED],
        *(Rule.BUSINESS_HOURS, DELAY, (), OURS),
        "outside business hours: +1 h to Tue 2026-11-03 09:00",
        now=MONDAY,
    ),
    "outside the hours they prefer": Said(
        policy(SPACED),
        [added(), (MONDAY, PreferenceStated(None, "12:00-16:00")), CALLED],
        *(Rule.BUSINESS_HOURS, DELAY, (2,), OURS),
        "outside the hours they prefer, 12:00-16:00: +2 h to Tue 2026-11-03 12:00",
        now=MONDAY,
    ),
    "away when it is due": Said(
        policy(SPACED),
        [
            added(),
            CALLED,
            (MONDAY + 2 * DAY - HOUR, AutoReplyReceived(Channel("email"), MONDAY + 4 * DAY)),
        ],
        *(Rule.SUSPENDED, DELAY, (3,), DESIGN),
        "suspended until Fri 2026-11-06 10:00: +2 d",
        now=MONDAY + 2 * DAY,
    ),
    "a larger gap before": Said(
        policy(SPACED),
        [added(), CALLED, CALLED_AFTER_FOUR_DAYS],
        *(Rule.GAP, DELAY, (3,), DESIGN),
        "gaps never shrink, and the largest so far is 4 business days: "
        "+3 d to Thu 2026-11-12 10:00",
        now=MONDAY + 7 * DAY,
    ),
    "a larger gap before, and away": Said(
        policy(SPACED),
        [
            added(),
            CALLED,
            CALLED_AFTER_FOUR_DAYS,
            (MONDAY + 7 * DAY, AutoReplyReceived(Channel("email"), MONDAY + 9 * DAY)),
        ],
        *(Rule.SUSPENDED, DELAY, (4,), DESIGN),
        "suspended time does not count towards the gap: +5 d to Tue 2026-11-17 10:00",
        now=MONDAY + 7 * DAY,
    ),
    "days that a step requires": Said(
        with_line("requires = { days = 4 }"),
        [added(), CALLED],
        *(Rule.PLAN, DELAY, (2,), OURS),
        "4 days after the first attempt of the silence: +3 d",
    ),
    "touches behind the horizon": Said(
        policy(SPACED, horizon=2),
        [added(), CALLED],
        *(Rule.HORIZON, SKIP, (2,), OURS),
        "lateness cost 2 touches (spaced#2, spaced#3): they would fall behind the horizon of "
        "2 business days of silence",
        now=MONDAY + 10 * DAY,
    ),
    "an exit in the place of a touch behind the horizon": Said(
        policy(SPACED.replace("business_days = 1", "business_days = 5"), horizon=5),
        [added(), CALLED],
        *(Rule.HORIZON, DELAY, (2,), OURS),
        "not before spaced#2, which it replaces: +4 d",
        now=MONDAY + 8 * DAY,
    ),
    "a touch that is late": Said(
        policy(SPACED),
        [added(), CALLED],
        *(Rule.PLAN, CAUSE, (), OURS),
        "overdue by 2 h; the gaps after it grow with it",
        now=MONDAY + DAY + 2 * HOUR,
    ),
    "a guard that delays": Said(
        failing("tomorrow"),
        [added(), CALLED],
        *("tomorrow", DELAY, (), OURS),
        "not today: +1 d to Wed 2026-11-04 10:00",
        task=TaskKind.FIND_TIME_DESPITE_GUARDS,
    ),
    "a guard that never lets it pass": Said(
        failing("tomorrow"),
        [added(), CALLED],
        *(Rule.FORGOTTEN, CAUSE, (), DESIGN),
        "spaced#2 finds no open time within 30 days of Tue 2026-11-03 10:00",
        task=TaskKind.FIND_TIME_DESPITE_GUARDS,
    ),
    "a vetoed exit left to the owner": Said(
        failing("vetoes_the_exit"),
        [added(), *THREE_CALLS],
        *(Rule.FORGOTTEN, CAUSE, (), DESIGN),
        "a vetoed exit is left to the owner",
        task=TaskKind.LEAVE_EXIT_OTHERWISE,
    ),
}


def decided(said: Said) -> Decision:
    return next_touch(after(*said.happened), said.policy, said.now)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_situation_is_told_with_its_rule_events_source_and_sentence(situation: str) -> None:
    said = SITUATIONS[situation]
    told = [
        (one.rule, one.kind, one.events, one.source, one.because) for one in decided(said).reasons
    ]
    assert (said.rule, said.kind, said.events, said.source, said.because) in told


@pytest.mark.parametrize("situation", [name for name, said in SITUATIONS.items() if said.task])
def test_a_task_is_what_its_situation_asks_of_the_owner(situation: str) -> None:
    said = SITUATIONS[situation]
    assert getattr(decided(said), "kind", None) is said.task
