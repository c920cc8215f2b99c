"""Commands and facts, rule by rule: what is refused and in which words, and what a fact broke."""

from datetime import datetime, timedelta

import msgspec
import pytest
from histories import (
    CALL,
    DAY,
    EMAIL,
    HOUR,
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
    fact,
    history,
    policy,
)

from cadence.audit import Auditor
from cadence.domain import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    Channel,
    ContactPoint,
    ContactPointFailed,
    Disposition,
    EndReason,
    FollowUpEnded,
    FollowUpReopened,
    Gap,
    Intent,
    InterestNoted,
    OptedBackIn,
    OptOutRequested,
    Part,
    PolicyAdopted,
    PolicyRef,
    PreferenceStated,
    Prospect,
    ProspectAdded,
    ProspectUpdated,
    ReplyReceived,
    Stage,
)
from cadence.engine import (
    CancelAppointment,
    Command,
    EndFollowUp,
    MakeAttempt,
    ReopenFollowUp,
    SetAppointment,
    Verdict,
    Wait,
    check_fact,
    complete_attempt,
    decide,
    next_touch,
)
from cadence.engine.commands import unchecked_attempt
from cadence.errors import InputError, Refused
from cadence.policy import Policy, Rule

SPACED, EXTRA = AttemptStage.SPACED, AttemptStage.EXTRA
EXIT = AttemptStage.POLITE_EXIT
THREE = Gap(3, 0)


def place(made: AttemptMade) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Where it stands, and what it broke."""
    return None if made.stage is None else made.stage.value, made.step, made.broke


def refusal(
    prospect: Prospect | None, command: Command, at: datetime, under: Policy = TIP8
) -> Refused:
    with pytest.raises(Refused) as caught:
        decide(prospect, command, under, at)
    return caught.value


# Facts that can't be ------------------------------------------------------------------------------


def test_who_is_added_is_recorded_as_given() -> None:
    _, data = added()
    assert decide(None, data, TIP8, MONDAY) == (data,)


@pytest.mark.parametrize(
    "data",
    [
        ProspectAdded("Kim", ()),
        ProspectAdded("Kim", "Mars/Olympus"),
        ProspectAdded("Kim", ("UTC", "Mars/Olympus")),
        ProspectAdded("Kim", "UTC", "XX"),
        ProspectAdded("Kim", "UTC", "US", "ZZ"),
        ProspectAdded("Kim", "UTC", subdivision="CA"),
        ProspectUpdated(timezone=()),
        ProspectUpdated(country="XX"),
        ProspectUpdated(subdivision="CA"),
        PreferenceStated(hours="late"),
    ],
)
def test_a_fact_about_a_place_or_hours_that_do_not_exist_is_an_error(data: ProspectAdded) -> None:
    with pytest.raises(InputError):
        check_fact(data)


def test_a_subdivision_is_checked_against_the_country_they_have_already() -> None:
    check_fact(ProspectUpdated(subdivision="CA"), "US")
    with pytest.raises(InputError):
        check_fact(ProspectUpdated(subdivision="CA"), "DE")
    american = after((MONDAY, ProspectAdded("Kim", "UTC", "US")))
    with pytest.raises(InputError):
        decide(american, ProspectUpdated(subdivision="BY"), TIP8, MONDAY)
    moved = ProspectUpdated(subdivision="CA")
    assert decide(american, moved, TIP8, MONDAY) == (moved,)


# Attempts as they are recorded --------------------------------------------------------------------


def test_an_attempt_that_was_recorded_whole_is_kept_as_it_is() -> None:
    prospect = after(added(), attempt(MONDAY))
    whole = AttemptMade((Part(Channel("call"), Disposition.NO_ANSWER),), EXTRA)
    given = frozenset({"stage", "step", "touch", "gap", "policy", "broke"})
    assert complete_attempt(prospect, whole, TIP8, MONDAY + DAY, given=given) == whole
    given |= {"parts"}
    assert complete_attempt(prospect, whole, TIP8, MONDAY + DAY, given=given) == whole


@pytest.mark.parametrize("given", [frozenset(), frozenset({"parts"}), frozenset({"step"})])
def test_an_importer_fills_in_what_was_not_given_and_keeps_what_was(given: frozenset[str]) -> None:
    prospect = after(added(), attempt(MONDAY))
    found = complete_attempt(
        prospect, AttemptMade(NO_ANSWER, step="seventh"), TIP8, MONDAY + 3 * DAY, given=given
    )
    assert found == AttemptMade(
        NO_ANSWER,
        SPACED,
        "seventh" if "step" in given else "spaced#2",
        "kim:1:2:spaced#2",
        THREE,
        policy=TIP8.ref,
        gap_from=2,
    )


def test_an_attempt_under_a_policy_that_is_not_at_hand_is_kept_and_not_judged() -> None:
    adopted = (MONDAY, PolicyAdopted("theirs", 2, "d"))
    prospect = after(added(), adopted)
    ref = PolicyRef("theirs", 2, "d")
    assert unchecked_attempt(prospect, AttemptMade(NO_ANSWER)) == AttemptMade(
        NO_ANSWER, EXTRA, policy=ref
    )
    stated = AttemptMade(NO_ANSWER, SPACED, "s", policy=TIP8.ref)
    assert unchecked_attempt(prospect, stated) == stated


def test_an_attempt_of_a_silence_that_is_over_takes_no_place_but_may_break_a_rule() -> None:
    replied = (MONDAY + 2 * DAY, ReplyReceived(Channel("email")))
    gone = (MONDAY + HOUR, OptOutRequested(Channel("email")))
    failed = (MONDAY + HOUR, ContactPointFailed(Channel("call"), "+1"))
    assert fact(after(added(), replied), MONDAY + DAY) == AttemptMade(
        NO_ANSWER, EXTRA, policy=TIP8.ref
    )
    assert fact(after(added(), gone, replied), MONDAY + DAY, SENT).broke == ("opt_out",)
    assert fact(after(added(), failed, replied), MONDAY + DAY).broke == ("contact_point",)


@pytest.mark.parametrize(
    ("lost", "made", "rule"),
    [
        (OptOutRequested(), NO_ANSWER, "opt_out"),
        (OptOutRequested(Channel("email")), SENT, "opt_out"),
        (ContactPointFailed(Channel("call"), "+1"), NO_ANSWER, "contact_point"),
        (
            ContactPointFailed(Channel("call"), "+1"),
            (Part(Channel("call"), Disposition.NO_ANSWER, "+1"),),
            "contact_point",
        ),
    ],
    ids=["all", "channel", "failed", "failed address"],
)
def test_an_opt_out_and_a_failure_hold_from_when_they_were_recorded(
    lost: OptOutRequested | ContactPointFailed, made: tuple[Part, ...], rule: str
) -> None:
    learnt = after(added(), (MONDAY + DAY, lost))
    assert rule not in fact(learnt, MONDAY + DAY - timedelta(seconds=1), made).broke
    assert rule in fact(learnt, MONDAY + DAY, made).broke
    # Learnt once more, it has been known since the first time.
    again = after(added(), (MONDAY + DAY, lost), (MONDAY + 3 * DAY, lost))
    assert rule in fact(again, MONDAY + 2 * DAY, made).broke


def test_opted_out_of_all_they_have_holds_on_every_channel_from_that_very_instant() -> None:
    gone = after(added(CALL), attempt(MONDAY), (MONDAY + DAY, OptOutRequested(Channel("call"))))
    assert gone.stage is Stage.OPTED_OUT
    assert "opt_out" in fact(gone, MONDAY + DAY, SENT).broke
    assert "opt_out" not in fact(gone, MONDAY + DAY - MINUTE, SENT).broke


def test_an_opt_out_that_was_lifted_counts_from_the_next_one() -> None:
    out, back = OptOutRequested(Channel("email")), OptedBackIn(Channel("email"))
    lifted = after(added(), (MONDAY, out), (MONDAY + DAY, back))
    assert "opt_out" not in fact(lifted, MONDAY + 2 * DAY, SENT).broke
    again = after(added(), (MONDAY, out), (MONDAY + DAY, back), (MONDAY + 3 * DAY, out))
    assert "opt_out" not in fact(again, MONDAY + 2 * DAY, SENT).broke
    assert "opt_out" in fact(again, MONDAY + 3 * DAY, SENT).broke
    all_back = after(added(), (MONDAY, OptOutRequested()), (MONDAY + DAY, OptedBackIn()))
    assert "opt_out" not in fact(all_back, MONDAY + 2 * DAY, SENT).broke


def test_an_attempt_at_the_very_time_of_another_comes_after_it() -> None:
    made = fact(after(added(), attempt(MONDAY)), MONDAY)
    assert place(made) == ("extra", None, ("plan",))
    assert made.gap == Gap(0, 0)
    ratcheted = after(added(), attempt(MONDAY), attempt(MONDAY + 3 * DAY, gap=THREE))
    assert fact(ratcheted, MONDAY + 3 * DAY).broke == ("plan", "gap")


def test_an_attempt_between_two_others_takes_no_place_and_breaks_no_gap() -> None:
    week = after(added(), attempt(MONDAY), attempt(MONDAY + 7 * DAY, gap=Gap(5, 0)))
    made = fact(week, MONDAY + DAY)
    assert place(made) == ("extra", None, ("plan",))
    assert made.gap == Gap(1, 0)


def test_an_email_to_a_failed_address_is_no_polite_exit() -> None:
    failed = (MONDAY + DAY, ContactPointFailed(Channel("email"), "old@x"))
    prospect = after(added(CALL, EMAIL), attempt(MONDAY), failed)
    at = MONDAY + 200 * DAY
    due = next_touch(prospect, TIP8, at)
    assert due.touch is not None
    assert (due.verdict, due.touch.step) == (Verdict.DUE, "polite_exit")
    assert place(fact(prospect, at, SENT)) == ("polite_exit", "polite_exit", ())
    stale = (Part(Channel("email"), Disposition.SENT, "old@x"),)
    assert place(fact(prospect, at, stale)) == ("extra", None, ("contact_point",))


def six_calls(*others: Happened) -> list[Happened]:
    """Six spaced calls, each three business days after the one before."""
    days = (0, 3, 8, 11, 16, 21)
    calls = [
        attempt(MONDAY + day * DAY, gap=None if n == 0 else THREE) for n, day in enumerate(days)
    ]
    return [added(), *others, *calls]


def test_a_call_beyond_the_cap_says_so_also_when_an_email_goes_with_it() -> None:
    prospect = after(*six_calls())
    at = MONDAY + 22 * DAY
    assert "spaced_cap" in fact(prospect, at).broke
    assert "spaced_cap" in fact(prospect, at, (*SENT, *NO_ANSWER)).broke
    assert "spaced_cap" not in fact(prospect, at, SENT).broke


def test_an_owners_call_beyond_the_cap_is_an_extra() -> None:
    # The contact came before the six calls and was learnt of after them.
    heard = (MONDAY - HOUR, MONDAY + 22 * DAY, ReplyReceived(Channel("email")))
    first = (MONDAY - DAY, added()[1])
    prospect = after(first, *six_calls()[1:], heard)
    assert (prospect.stage, prospect.silence.spaced_calls) == (Stage.ENGAGED, 6)
    assert place(fact(prospect, MONDAY + 24 * DAY)) == ("extra", None, ("spaced_cap",))


def test_a_call_beyond_the_cap_where_an_email_is_next_is_an_extra() -> None:
    written = policy("""
[[steps]]
id = "written"
stage = "spaced"
after = { business_days = 3 }
times = 3
parts = [{ channels = ["email"], script = "spaced" }]
""")
    extras = [attempt(MONDAY + n * HOUR, EXTRA, gap=Gap(0, 60)) for n in range(1, 7)]
    prospect = after(added(), attempt(MONDAY, parts=SENT), *extras)
    made = fact(prospect, MONDAY + 3 * DAY + 7 * HOUR - MINUTE, under=written)
    assert place(made) == ("extra", None, ("plan", "spaced_cap", "frequency"))


def test_a_call_beyond_the_cap_learnt_of_late_says_so_too() -> None:
    meeting = MONDAY + 9 * DAY
    calls = [attempt(MONDAY + n * DAY, EXTRA) for n in range(1, 7)]
    prospect = after(
        added(),
        (MONDAY, AppointmentSet(meeting)),
        *calls,
        attempt(meeting + HOUR, EXTRA, SENT),
    )
    assert next_touch(prospect, TIP8, meeting + 2 * HOUR).verdict is Verdict.DUE
    assert place(fact(prospect, meeting + MINUTE)) == ("extra", None, ("spaced_cap",))


def test_an_owners_attempt_after_a_response_is_measured_by_the_plan() -> None:
    # The exit was sent before we knew that they had asked for something.
    exit_ = attempt(MONDAY + 3 * DAY, EXIT, SENT)
    heard = (MONDAY + 2 * DAY, MONDAY + 4 * DAY, ReplyReceived(Channel("email")))
    prospect = after(added(), attempt(MONDAY), exit_, heard)
    assert prospect.exit_delivered() is not None
    assert place(fact(prospect, MONDAY + 4 * DAY + HOUR)) == ("spaced", "spaced#1", ())


def test_nothing_is_in_order_any_more_once_nobody_can_be_reached() -> None:
    failed = (MONDAY + DAY, ContactPointFailed(Channel("call"), "+1"))
    prospect = after(added(CALL), attempt(MONDAY), failed)
    assert next_touch(prospect, TIP8, MONDAY + 4 * DAY).verdict is Verdict.CLOSE
    guessed = (Part(Channel("call"), Disposition.NO_ANSWER, "+2"),)
    assert fact(prospect, MONDAY + 4 * DAY, guessed).broke == ("plan",)


def test_a_touch_planned_in_business_days_may_be_made_at_any_open_time_of_its_day() -> None:
    week = after(added(), attempt(MONDAY), attempt(MONDAY + 7 * DAY, gap=Gap(5, 0)))
    due = MONDAY + 14 * DAY
    decision = next_touch(week, TIP8, due - 30 * MINUTE)
    assert isinstance(decision, Wait)
    opening = due - HOUR  # at nine
    assert (decision.at, decision.from_) == (due, opening - 5 * MINUTE)
    for early in (30 * MINUTE, HOUR, HOUR + 5 * MINUTE):
        assert place(fact(week, due - early)) == ("spaced", "spaced#3", ())
    too_early = fact(week, opening - 6 * MINUTE)
    assert place(too_early) == ("spaced", "spaced#3", ("business_hours", "plan"))
    assert fact(week, due - DAY).broke == ("gap", "business_hours")
    assert place(fact(week, due)) == ("spaced", "spaced#3", ())


def test_an_exact_touch_may_be_made_five_minutes_early_and_never_in_quiet_hours() -> None:
    appointed = after(added(), (MONDAY, AppointmentSet(MONDAY + DAY)))
    assert place(fact(appointed, MONDAY + DAY - 5 * MINUTE)) == ("on_time", "on_time", ())
    too_early = fact(appointed, MONDAY + DAY - 6 * MINUTE)
    assert place(too_early) == ("extra", None, ("appointment",))
    at_eight = after(added(), (MONDAY, AppointmentSet(MONDAY + DAY - 2 * HOUR)))
    assert "quiet_hours" in fact(at_eight, MONDAY + DAY - 2 * HOUR - MINUTE).broke


def test_a_part_logged_alone_joins_the_touch_just_made() -> None:
    both = policy("""
[[steps]]
id = "both"
stage = "spaced"
after = { business_days = 3 }
times = 3
parts = [{ channels = ["call"], script = "spaced" }, { channels = ["email"], script = "spaced" }]
""")
    called = after(added(), attempt(MONDAY))
    due = MONDAY + 3 * DAY
    first = fact(called, due, under=both)
    assert place(first) == ("spaced", "both#2", ())
    made = after(added(), attempt(MONDAY), (due, first))
    email = fact(made, due + 4 * MINUTE, SENT, under=both)
    assert place(email) == ("spaced", "both#2", ())
    assert (email.touch, email.gap) == (first.touch, None)
    joined = after(added(), attempt(MONDAY), (due, first), (due + 4 * MINUTE, email))
    assert len(joined.silence.attempts) == 2
    assert [part.channel for part in joined.silence.attempts[-1].parts] == ["call", "email"]
    assert joined.silence.spaced_calls == 2
    # A part logged after business hours belongs to the hour of the first, but not at night.
    evening = due.replace(hour=18)
    assert place(fact(made, evening, SENT, under=both)) == ("spaced", "both#2", ())
    night = fact(made, due.replace(hour=22), SENT, under=both)
    assert place(night) == ("spaced", "both#2", ("quiet_hours",))
    # The next day, or a second time, it is an attempt of its own.
    assert "plan" in fact(made, due + DAY, SENT, under=both).broke
    assert "plan" in fact(joined, due + 20 * MINUTE, SENT, under=both).broke
    assert "plan" in fact(made, due + HOUR, under=both).broke


def test_an_attempt_minutes_after_one_on_the_same_channel_is_an_extra() -> None:
    prospect = after(added(), attempt(MONDAY))
    assert place(fact(prospect, MONDAY + 4 * MINUTE)) == ("extra", None, ("plan",))
    assert place(fact(prospect, MONDAY + 5 * MINUTE))[0] == "spaced"


def test_an_attempt_on_another_channel_than_the_touch_takes_no_place() -> None:
    prospect = after(added(), attempt(MONDAY))
    assert place(fact(prospect, MONDAY + 3 * DAY, SENT)) == ("extra", None, ("plan",))


def test_a_gap_is_kept_across_an_attempt_made_before_we_knew_of_the_response() -> None:
    late = (MONDAY, MONDAY + 5 * HOUR, ReplyReceived(Channel("email")))
    ignorant = attempt(MONDAY + 3 * HOUR, EXTRA)
    own = (MONDAY + HOUR, MONDAY + 5 * HOUR, AttemptMade(NO_ANSWER, EXTRA))
    first = (MONDAY - HOUR, added()[1])
    known = after(first, ignorant, late, own)
    assert [one.version for one in known.silence.attempts] == [4, 2]
    second = fact(known, MONDAY + 6 * HOUR)
    assert (second.gap, second.gap_from) == (Gap(0, 300), 4)
    both = after(first, ignorant, late, own, (MONDAY + 6 * HOUR, second))
    assert both.silence.largest_gap == Gap(0, 300)
    assert "gap" in fact(both, MONDAY + 7 * HOUR).broke


def test_what_is_dated_after_now_is_followed_by_what_is_recorded_now() -> None:
    """A clock that was ahead: each call counts, and is judged by every rule."""
    ahead = (MONDAY + 30 * DAY, ReplyReceived(Channel("email")))
    happened = [added(), attempt(MONDAY), ahead]
    for call in range(4):
        at = MONDAY + (3 + call) * HOUR
        prospect = after(*happened)
        (made,) = decide(prospect, MakeAttempt(NO_ANSWER), TIP8, at, at)
        assert isinstance(made, AttemptMade)
        assert bool(made.broke) == (call > 0), made.broke
        happened.append((at, made))
    assert len(after(*happened).silence.attempts) == 4
    assert after(*happened).silence.spaced_calls == 4


def test_one_channel_that_they_want_no_more_of_is_enough() -> None:
    gone = (MONDAY, OptOutRequested(Channel("sms")))
    prospect = after(added(CALL, EMAIL, SMS), gone)
    text = Part(Channel("sms"), Disposition.SENT, "+1")
    assert fact(prospect, MONDAY + HOUR, (text,)).broke == ("opt_out",)
    assert fact(prospect, MONDAY + HOUR, (*NO_ANSWER, text)).broke == ("opt_out",)
    assert fact(prospect, MONDAY + HOUR).broke == ()


def test_suspended_is_from_the_first_instant_to_before_the_last_of_any_absence() -> None:
    first = (MONDAY + DAY, AutoReplyReceived(Channel("email"), MONDAY + 2 * DAY))
    second = (MONDAY + 3 * DAY, AutoReplyReceived(Channel("email"), MONDAY + 4 * DAY))
    prospect = after(added(), attempt(MONDAY), first, second)
    away = [
        hours
        for hours in (0, 23, 24, 25, 47, 48, 49, 71, 72, 95, 96)
        if "suspended" in fact(prospect, MONDAY + hours * HOUR).broke
    ]
    assert away == [24, 25, 47, 72, 95]


def test_business_hours_are_broken_whatever_the_touch_waits_for() -> None:
    prospect = after(added(), attempt(MONDAY))
    evening = MONDAY + 8 * HOUR
    # It waits for Thursday at 10:00, and today is closed too.
    assert fact(prospect, MONDAY + DAY + 8 * HOUR).broke == ("plan", "business_hours")
    assert fact(prospect, MONDAY + DAY).broke == ("plan",)
    late = after(added(), attempt(evening))
    # Planned for Thursday at 18:00, it waits for Friday morning.
    assert fact(late, evening + 3 * DAY).broke == ("business_hours",)
    assert fact(late, evening + 3 * DAY - MINUTE).broke == ("business_hours",)
    assert fact(late, evening + 3 * DAY + 15 * HOUR).broke == ()


def test_an_owners_own_attempt_keeps_business_hours_too() -> None:
    evening = MONDAY + 8 * HOUR
    assert place(fact(after(added()), MONDAY)) == ("spaced", "spaced#1", ())
    assert place(fact(after(added()), evening)) == ("spaced", "spaced#1", ("business_hours",))
    spoke = after(added(), attempt(MONDAY), (MONDAY + DAY, ReplyReceived(Channel("email"))))
    assert fact(spoke, MONDAY + DAY + HOUR).broke == ()
    assert fact(spoke, evening + DAY).broke == ("business_hours",)
    ended = after(added(), (MONDAY, FollowUpEnded(EndReason.DECLINED)))
    assert "business_hours" not in fact(ended, evening).broke


def test_the_agreed_hour_holds_for_each_part_of_a_step_and_for_no_other_day() -> None:
    both = policy("""
[[steps]]
id = "both"
stage = "ten_minutes"
after = { minutes = 10 }
parts = [{ channels = ["call"], script = "spaced" }, { channels = ["email"], script = "spaced" }]

[[steps]]
id = "again"
stage = "half_day"
after = { hours = 4 }
parts = [{ channels = ["call"], script = "spaced" }]
""")
    evening = MONDAY + 8 * HOUR
    appointed = (added(), (MONDAY, AppointmentSet(evening)))
    # The policy leaves the call at the appointment to its owner.
    assert "business_hours" not in fact(after(*appointed), evening, under=both).broke
    assert "business_hours" in fact(after(*appointed), evening + DAY, under=both).broke
    before = after(added(), (MONDAY, AppointmentSet(evening + DAY)))
    assert fact(before, evening).broke == ("appointment", "business_hours")
    called = (*appointed, attempt(evening, AttemptStage.ON_TIME))
    due = evening + 10 * MINUTE
    first = fact(after(*called), due, under=both)
    assert place(first) == ("ten_minutes", "both", ())
    email = fact(after(*called, (due, first)), due + 4 * MINUTE, SENT, under=both)
    assert place(email) == ("ten_minutes", "both", ())


def test_an_exit_outside_business_hours_is_an_extra() -> None:
    calls = [attempt(MONDAY + 7 * n * DAY, gap=Gap(5, 0) if n else None) for n in range(6)]
    prospect = after(added(), *calls)
    due = MONDAY + 42 * DAY
    assert place(fact(prospect, due)) == ("polite_exit", "polite_exit", ())
    assert place(fact(prospect, due + 8 * HOUR)) == (
        "extra",
        None,
        ("business_hours", "spaced_cap"),
    )


def test_without_an_address_a_channel_fails_once_all_its_known_points_failed() -> None:
    second = ContactPoint(Channel("call"), "+2")
    call = (Part(Channel("call"), Disposition.NO_ANSWER),)
    failed = (MONDAY, ContactPointFailed(Channel("call"), "+1"))
    other = (MONDAY, ContactPointFailed(Channel("call"), "+2"))
    one_left = fact(after(added(CALL, second, EMAIL), failed), MONDAY + HOUR, call)
    assert (one_left.broke, one_left.parts[0].address) == ((), "+2")
    none_left = fact(after(added(CALL, second, EMAIL), failed, other), MONDAY + HOUR, call)
    assert (none_left.broke, none_left.parts[0].address) == (("contact_point",), None)
    unknown = fact(after(added(EMAIL), failed), MONDAY + HOUR, call)
    assert (unknown.broke, unknown.parts[0].address) == ((), None)


def test_every_part_without_an_address_gets_the_one_that_was_used() -> None:
    bare = (Part(Channel("email"), Disposition.SENT), *NO_ANSWER)
    assert fact(after(added()), MONDAY, bare).parts == (*SENT, *NO_ANSWER)


def test_an_owners_attempt_is_the_first_spaced_step_that_is_left_or_the_next_number() -> None:
    twice = policy("""
[[steps]]
id = "again"
stage = "spaced"
after = { business_days = 3 }
times = 2
parts = [{ channels = ["call"], script = "spaced" }]
""")
    steps = []
    for calls in range(4):
        heard = (MONDAY - HOUR, MONDAY + 20 * DAY, ReplyReceived(Channel("email")))
        made = [attempt(MONDAY + 3 * n * DAY) for n in range(calls)]
        prospect = after((MONDAY - DAY, added()[1]), *made, heard)
        steps.append(fact(prospect, MONDAY + 21 * DAY, under=twice).step)
    assert steps == ["again#1", "again#2", "spaced#3", "spaced#4"]


def test_an_attempt_off_policy_says_why_only_if_it_broke_something() -> None:
    prospect = after(added(), attempt(MONDAY))
    for days, why in ((1, "told to"), (3, None)):
        (made,) = decide(prospect, MakeAttempt(NO_ANSWER, "told to"), TIP8, MONDAY + days * DAY)
        assert isinstance(made, AttemptMade)
        assert made.why == why


# Refusals, word for word --------------------------------------------------------------------------

MEETING = MONDAY + 9 * DAY
AWAY = (MONDAY + HOUR, AutoReplyReceived(Channel("email"), MONDAY + 2 * DAY))
NO_MORE = (MONDAY, OptOutRequested(Channel("call")))
BAD = (MONDAY, ContactPointFailed(Channel("call"), "+1"))
SET = (MONDAY, AppointmentSet(MEETING))
WEEK = (attempt(MONDAY), attempt(MONDAY + 7 * DAY, gap=Gap(5, 0)))
SAID_NO = (MONDAY, ReplyReceived(Channel("email"), Intent.NO))
OR_ELSE = "if it was made already, log it without --strict"


@pytest.mark.parametrize(
    ("happened", "parts", "at", "rule", "because", "until"),
    [
        (
            [attempt(MONDAY)],
            NO_ANSWER,
            MONDAY + DAY,
            "plan",
            "3 business days after the attempt of Mon 2026-11-02 10:00: Thu 2026-11-05 10:00",
            "2026-11-05T10:00:00Z",
        ),
        (
            [attempt(MONDAY), AWAY],
            NO_ANSWER,
            MONDAY + DAY,
            "plan (also suspended)",
            "3 business days after the attempt of Mon 2026-11-02 10:00: Thu 2026-11-05 10:00",
            "2026-11-09T10:00:00Z",
        ),
        (
            WEEK,
            NO_ANSWER,
            MONDAY + 12 * DAY,
            "gap (also business_hours)",
            "gaps never shrink, and the largest so far is 5 business days: "
            "+4 d to Mon 2026-11-16 10:00",
            "2026-11-16T10:00:00Z",
        ),
        (
            [attempt(MONDAY)],
            SENT,
            MONDAY + 3 * DAY,
            "plan",
            "the policy proposes spaced#2 by call now",
            None,
        ),
        ([NO_MORE], NO_ANSWER, MONDAY, "opt_out", "they opted out of this channel", None),
        (
            [attempt(MONDAY), NO_MORE],
            NO_ANSWER,
            MONDAY + DAY,
            "opt_out (also plan)",
            "they opted out of this channel",
            None,
        ),
        (
            [BAD],
            NO_ANSWER,
            MONDAY,
            "contact_point",
            "the contact point failed and must not be used again",
            None,
        ),
        (
            [attempt(MONDAY), attempt(MONDAY + 3 * DAY, EXIT, SENT)],
            NO_ANSWER,
            MONDAY + 4 * DAY,
            "polite_exit (also gap)",
            "2 business days to answer the polite exit of Thu 2026-11-05 10:00: "
            "until Mon 2026-11-09 10:00",
            None,
        ),
        (
            [(MONDAY, FollowUpEnded(EndReason.NO_RESPONSE))],
            NO_ANSWER,
            MONDAY + DAY,
            "polite_exit",
            "nothing comes after the polite exit",
            None,
        ),
        (
            [attempt(MONDAY + n * HOUR, EXTRA) for n in range(1, 7)],
            NO_ANSWER,
            MONDAY + 24 * DAY,
            "spaced_cap",
            "6 spaced calls were made in this silence",
            None,
        ),
        (
            [SET],
            NO_ANSWER,
            MONDAY + DAY,
            "appointment",
            "called at the time agreed, Wed 2026-11-11 10:00",
            "2026-11-11T10:00:00Z",
        ),
        ([SAID_NO], NO_ANSWER, MONDAY, "plan", "the policy proposes something else now", None),
        (
            [],
            NO_ANSWER,
            MONDAY + 13 * HOUR,
            "quiet_hours (also business_hours)",
            "quiet hours, 21:00 to 08:00 local",
            None,
        ),
        (
            [attempt(MONDAY + 8 * HOUR)],
            NO_ANSWER,
            MONDAY + 3 * DAY + 8 * HOUR,
            "business_hours",
            "outside business hours: +15 h to Fri 2026-11-06 09:00",
            "2026-11-06T09:00:00Z",
        ),
    ],
)
def test_a_refused_attempt_says_which_rules_why_until_when_and_how_to_mend(
    happened: list[Happened],
    parts: tuple[Part, ...],
    at: datetime,
    rule: str,
    because: str,
    until: str | None,
) -> None:
    refused = refusal(after(added(), *happened), MakeAttempt(parts, is_strict=True), at)
    assert refused.what == f"kim: attempt refused by {rule}: {because}"
    assert refused.hint == (OR_ELSE if until is None else f"wait until {until}, or {OR_ELSE}")
    assert refused.until == (None if until is None else datetime.fromisoformat(until))
    assert refused.rule == rule.partition(" ")[0]


def test_a_refusal_names_the_absence_in_the_way_and_not_one_that_is_over() -> None:
    evening = MONDAY + 8 * HOUR
    monday = (evening + HOUR, AutoReplyReceived(Channel("email"), MONDAY + DAY))
    # No business hours are missed, so the planned evening stands; but they are away that evening.
    friday = (
        evening,
        AutoReplyReceived(Channel("email"), MONDAY + 4 * DAY + 23 * HOUR - 2 * MINUTE),
    )
    held = (MONDAY + 4 * DAY + 7 * HOUR + 30 * MINUTE, friday[1])
    hours = (MONDAY, PreferenceStated(hours="18:00-20:00"))
    prospect = after(added(), hours, attempt(evening), monday, held)
    refused = refusal(prospect, MakeAttempt(NO_ANSWER, is_strict=True), evening + 4 * DAY)
    assert refused.rule == "suspended"
    assert "suspended until Sat 2026-11-07 08:58" in refused.what


@pytest.mark.parametrize(
    ("happened", "command", "rule", "what", "hint"),
    [
        (
            [],
            added()[1],
            "plan",
            "prospect 'kim' already exists (Kim)",
            "use another id, or record what changed as ProspectUpdated",
        ),
        (
            [(MONDAY, OptOutRequested())],
            SetAppointment(MEETING),
            "opt_out",
            "appointment refused by opt_out: they opted out of everything",
            "record an opt-in if they give one; only they can take an opt-out back",
        ),
        (
            [(MONDAY, FollowUpEnded(EndReason.BOUGHT))],
            SetAppointment(MEETING),
            "plan",
            "appointment refused by plan: the follow-up is won",
            "reopen it first",
        ),
        (
            [(MONDAY, FollowUpEnded(EndReason.DECLINED))],
            SetAppointment(MEETING, Channel("call")),
            "plan",
            "appointment refused by plan: the follow-up is lost",
            "reopen it first",
        ),
        (
            [],
            SetAppointment(MONDAY + HOUR),
            "appointment",
            "appointment refused by appointment: 2026-11-02T11:00:00Z is not after "
            "2026-11-02T11:00:00Z",
            "give a later time",
        ),
        (
            [],
            SetAppointment(MONDAY + 11 * HOUR),
            "quiet_hours",
            "appointment refused by quiet_hours: 2026-11-02T21:00:00Z lies between 21:00 and "
            "08:00 (21:00 UTC)",
            "give 2026-11-03T08:00:00Z (Tue 08:00 UTC) or later",
        ),
        (
            [attempt(MONDAY)],
            SetAppointment(MEETING),
            "plan",
            "appointment refused by plan: the prospect has not agreed to it since the silence "
            "began (stage spaced, 1 attempt)",
            "if they agreed just now, give the channel (agreed_by)",
        ),
        (
            [attempt(MONDAY, EXTRA)],
            SetAppointment(MEETING),
            "plan",
            "appointment refused by plan: the prospect has not agreed to it since the silence "
            "began (stage new, 1 attempt)",
            "if they agreed just now, give the channel (agreed_by)",
        ),
        (
            [(MONDAY, FollowUpEnded(EndReason.BOUGHT)), (MONDAY, FollowUpReopened("met"))],
            SetAppointment(MEETING),
            "plan",
            "appointment refused by plan: the prospect has not agreed to it since the silence "
            "began (stage engaged, 0 attempts)",
            "if they agreed just now, give the channel (agreed_by)",
        ),
        (
            [(MONDAY, FollowUpEnded(EndReason.NO_RESPONSE))],
            SetAppointment(MEETING),
            "plan",
            "appointment refused by plan: the prospect has not agreed to it since the silence "
            "began (stage closed, 0 attempts)",
            "if they agreed just now, give the channel (agreed_by)",
        ),
        (
            [],
            CancelAppointment(),
            "appointment",
            "no appointment stands (stage new)",
            "set one, or leave it; nothing needs to be cancelled",
        ),
        (
            [],
            ReopenFollowUp("why"),
            "plan",
            "reopening refused by plan: the follow-up has not ended (stage new)",
            "leave it; it is open",
        ),
        (
            [(MONDAY, OptOutRequested())],
            ReopenFollowUp("why"),
            "opt_out",
            "reopening refused by opt_out: they opted out of everything",
            "record an opt-in if they give one; only they can take an opt-out back",
        ),
        (
            [],
            EndFollowUp(EndReason.NO_RESPONSE),
            "polite_exit",
            "closing refused by polite_exit: no polite exit was delivered and left unanswered "
            "for its time (stage new)",
            "make the touches that are due, or end it with another reason",
        ),
        (
            [],
            EndFollowUp(EndReason.UNREACHABLE),
            "contact_point",
            "closing refused by contact_point: call +1 is left",
            "record it as failed if it is",
        ),
    ],
)
def test_a_refused_command_says_why_and_how_to_mend(
    happened: list[Happened], command: Command, rule: str, what: str, hint: str
) -> None:
    refused = refusal(after(added(), *happened), command, MONDAY + HOUR)
    assert refused.what.removeprefix("kim: ") == what
    assert (refused.rule, refused.hint) == (rule, hint)


def test_an_appointment_at_night_says_what_time_it_is_in_every_zone_they_may_be_in() -> None:
    prospect = after(added(zones=("Europe/Berlin", "America/New_York")))
    refused = refusal(prospect, SetAppointment(MONDAY + 26 * HOUR), MONDAY)
    assert "(13:00 Europe/Berlin, 07:00 America/New_York)" in refused.what
    assert refused.hint == (
        "give 2026-11-03T13:00:00Z (Tue 14:00 Europe/Berlin, Tue 08:00 America/New_York) or later"
    )
    assert refused.until == MONDAY + 27 * HOUR
    apart = after(added(zones=("UTC", "Asia/Tokyo", "America/Los_Angeles")))
    refused = refusal(apart, SetAppointment(MONDAY + 26 * HOUR), MONDAY)
    assert refused.until is None
    assert refused.hint == "find out which zone they are in; no hour is waking in all of these"


def test_an_appointment_one_minute_ahead_is_in_order() -> None:
    at = MONDAY + MINUTE
    assert decide(after(added()), SetAppointment(at), TIP8, MONDAY) == (AppointmentSet(at),)
    agreed = SetAppointment(at, Channel("call"))
    assert decide(after(added(), attempt(MONDAY)), agreed, TIP8, MONDAY) == (
        ReplyReceived(Channel("call"), Intent.YES),
        AppointmentSet(at),
    )


def test_only_while_their_answer_is_awaited_does_a_refused_close_name_a_time() -> None:
    close = EndFollowUp(EndReason.NO_RESPONSE)
    exit_ = attempt(MONDAY + 3 * DAY, EXIT, SENT)
    waiting = refusal(after(added(), attempt(MONDAY), exit_), close, MONDAY + 4 * DAY)
    assert waiting.until == MONDAY + 7 * DAY
    assert waiting.hint == "wait until 2026-11-09T10:00:00Z"
    hint = "make the touches that are due, or end it with another reason"
    bounced = (MONDAY + 3 * DAY + HOUR, ContactPointFailed(Channel("email"), "j@x"))
    tried_all = attempt(MONDAY + 3 * DAY, EXIT)
    for happened in (
        [attempt(MONDAY)],  # waits for the next call
        [attempt(MONDAY), exit_, bounced],  # waits for the exit on the next channel
        [attempt(MONDAY), tried_all, bounced],  # a task with a deadline
        [SET],
    ):
        refused = refusal(after(added(), *happened), close, MONDAY + 4 * DAY)
        assert (refused.until, refused.hint) == (None, hint)


def test_commands_are_values_that_can_be_compared() -> None:
    assert MakeAttempt(NO_ANSWER, is_strict=True) == msgspec.structs.replace(
        MakeAttempt(SENT, is_strict=True), parts=NO_ANSWER
    )
    assert Rule.PLAN == "plan"


@pytest.mark.parametrize(
    "lost",
    [
        OptOutRequested(),
        OptOutRequested(Channel("call")),
        ContactPointFailed(Channel("call"), "+1"),
    ],
    ids=["all", "channel", "failed"],
)
def test_a_call_recorded_after_the_opt_out_broke_nothing_but_is_not_made_again(
    lost: OptOutRequested | ContactPointFailed,
) -> None:
    """The dialler's file of the day comes in the evening; the opt-out came in between."""
    called, learnt = MONDAY + HOUR, MONDAY + 2 * HOUR
    happened = (added(), (MONDAY, AppointmentSet(called)), (learnt, lost))
    prospect = after(*happened)
    evening = fact(prospect, called)
    assert evening.broke == ()
    # And the audit, which judges by itself, agrees.
    assert Auditor(TIP8).audit(history(*happened, (called, learnt + HOUR, evening))) == []
    with pytest.raises(Refused, match=r"refused by (opt_out|contact_point)"):
        decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), TIP8, called)


@pytest.mark.parametrize(
    ("known", "rule"),
    [
        (OptOutRequested(), "opt_out"),
        (OptOutRequested(Channel("call")), "opt_out"),
        (ContactPointFailed(Channel("call"), "+1"), "contact_point"),
        (AppointmentSet(MONDAY + 3 * DAY), "appointment"),
    ],
    ids=["all", "channel", "failed", "appointment"],
)
def test_what_was_recorded_before_the_clock_was_set_back_is_known_to_every_command(
    known: OptOutRequested | ContactPointFailed | AppointmentSet, rule: str
) -> None:
    behind = MONDAY - MINUTE
    prospect = after(added(), (MONDAY, known), (behind, InterestNoted("prices")))
    # Before the silence began there is no plan; what lasts holds there too.
    begun = [MONDAY, MONDAY + HOUR]
    for at in begun if rule == "appointment" else [behind, *begun]:
        with pytest.raises(Refused, match=f"refused by {rule}"):
            decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), TIP8, at)
