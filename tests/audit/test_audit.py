"""The audit: nothing on what the engine did; on one planted breach exactly that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import paths
import pytest
from audit_cases import CARING, SHORT, TIP8, attempt, found, later, places, plant, rules
from clocks import ahead
from engine_lives import CALL, DAY, EMAIL, HOUR, MAIL, PLACES, Place, live

from cadence.audit import Auditor, Noticed
from cadence.audit.runner import auditor
from cadence.domain.channels import Channel
from cadence.domain.events import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    ContactPointFailed,
    Disposition,
    EndReason,
    Event,
    FollowUpEnded,
    FollowUpReopened,
    Gap,
    Intent,
    OptOutRequested,
    PauseRequested,
    PolicyRef,
    ReplyReceived,
)
from cadence.domain.fold import fold
from cadence.domain.stages import Stage
from cadence.engine import complete_attempt
from cadence.policy import Policy, Rule
from cadence.store import Cadence
from cadence.transfer import import_jsonl

MINUTE = timedelta(minutes=1)


# Nothing on what the engine did -------------------------------------------------------------------


@places
@pytest.mark.parametrize("policy", [TIP8, CARING, SHORT], ids=lambda policy: policy.id)
@pytest.mark.parametrize(
    "late", [(), (3 * MINUTE,), (0 * DAY, 40 * MINUTE), (2 * HOUR, DAY, 5 * DAY, HOUR, 9 * DAY)]
)
def test_what_the_engine_did_breaks_nothing(
    place: Place, policy: Policy, late: tuple[timedelta, ...]
) -> None:
    history = live(place, policy=policy, late=late, close=True)
    assert Auditor(policy).audit(history) == []


@places
@pytest.mark.parametrize("reach", [(CALL,), (EMAIL,), (CALL, MAIL), (CALL, EMAIL, MAIL), (MAIL,)])
def test_whatever_channels_are_left_the_engine_breaks_nothing(
    place: Place, reach: tuple[object, ...]
) -> None:
    history = live(place, reach=reach, close=True)  # type: ignore[arg-type]
    assert Auditor(TIP8).audit(history) == []


# One planted breach -------------------------------------------------------------------------------


@places
@pytest.mark.parametrize("channel", [None, Channel("call")])
def test_a_call_after_an_opt_out(place: Place, channel: Channel | None) -> None:
    history = live(place, attempts=4)
    history = plant(history, OptOutRequested(channel), history[-1].occurred_at + HOUR)
    history = plant(history, attempt(step="spaced#2"), later(place, history[:-1], 3))
    assert rules(history) == [(history[-1].version, Rule.OPT_OUT)]


@places
@pytest.mark.parametrize("stage", [AttemptStage.SPACED, AttemptStage.EXTRA, None])
def test_a_seventh_spaced_call(place: Place, stage: AttemptStage | None) -> None:
    history = live(place, attempts=9)
    history = plant(history, attempt(stage), later(place, history, 3))
    assert rules(history) == [(history[-1].version, Rule.SPACED_CAP)]


@places
@pytest.mark.parametrize("days", [1, 2, 3, 4])
def test_a_gap_that_shrinks(place: Place, days: int) -> None:
    history = live(place, attempts=5, late=(0 * DAY,) * 4 + (7 * DAY,))
    history = plant(history, attempt(step="spaced#3"), later(place, history, days))
    assert rules(history) == [(history[-1].version, Rule.GAP)]


@places
def test_a_gap_that_shrinks_although_the_event_says_it_did_not(place: Place) -> None:
    history = live(place, attempts=5)
    made = attempt(step="spaced#3", gap=Gap(3, 0))
    history = plant(history, made, later(place, history, 1))
    assert rules(history) == [(history[-1].version, Rule.GAP)]
    assert "which no holidays explain" in found(history)[0].because


@places
@pytest.mark.parametrize("stage", [AttemptStage.EXTRA, AttemptStage.POLITE_EXIT, None])
def test_outreach_after_a_delivered_exit(place: Place, stage: AttemptStage | None) -> None:
    history = live(place, until=Stage.POLITE_EXIT)
    history = plant(history, attempt(stage), later(place, history, 1))
    assert rules(history) == [(history[-1].version, Rule.POLITE_EXIT)]


@places
def test_outreach_after_the_close(place: Place) -> None:
    history = live(place, close=True)
    history = plant(history, attempt(), later(place, history, 5))
    assert rules(history) == [(history[-1].version, Rule.POLITE_EXIT)]


@places
@pytest.mark.parametrize("attempts", [0, 3, 9])
def test_a_close_for_silence_without_an_exit(place: Place, attempts: int) -> None:
    history = live(place, attempts=attempts)
    close = FollowUpEnded(EndReason.NO_RESPONSE)
    history = plant(history, close, later(place, history, 20))
    assert rules(history) == [(history[-1].version, Rule.POLITE_EXIT)]


@places
def test_a_close_before_the_answer_time_has_passed(place: Place) -> None:
    history = live(place, until=Stage.POLITE_EXIT)
    close = FollowUpEnded(EndReason.NO_RESPONSE)
    history = plant(history, close, later(place, history, 2) - HOUR)
    assert rules(history) == [(history[-1].version, Rule.POLITE_EXIT)]


@places
def test_a_close_too_soon_after_an_exit_by_mail_alone(place: Place) -> None:
    history = live(place, reach=(CALL, MAIL), attempts=9)
    exit_ = attempt(AttemptStage.POLITE_EXIT, "polite_exit", Channel("mail"))
    history = plant(history, exit_, later(place, history, 3))
    assert rules(history) == []
    close = FollowUpEnded(EndReason.NO_RESPONSE)
    early = plant(history, close, later(place, history, 9))
    assert rules(early) == [(early[-1].version, Rule.POLITE_EXIT)]
    assert rules(plant(history, close, later(place, history, 10))) == []


@places
def test_a_close_for_silence_after_an_exit_that_bounced(place: Place) -> None:
    history = live(place, until=Stage.POLITE_EXIT)
    bounced = ContactPointFailed(Channel("email"), EMAIL.address)
    history = plant(history, bounced, history[-1].occurred_at + HOUR)
    history = plant(history, FollowUpEnded(EndReason.NO_RESPONSE), later(place, history, 5))
    assert rules(history) == [(history[-1].version, Rule.POLITE_EXIT)]


@places
@pytest.mark.parametrize(("attempts", "days"), [(2, 30), (4, 30), (5, 1), (5, 8)])
def test_a_concern_message_too_soon(place: Place, attempts: int, days: int) -> None:
    history = live(place, policy=CARING, attempts=attempts)
    concern = attempt(AttemptStage.CONCERN, "concern", Channel("email"), policy=CARING)
    history = plant(history, concern, later(place, history, days))
    assert rules(history, CARING) == [(history[-1].version, Rule.CONCERN)]


@places
def test_a_second_concern_message(place: Place) -> None:
    history = live(place, policy=CARING, attempts=6)
    concern = attempt(AttemptStage.CONCERN, "concern", Channel("email"), policy=CARING)
    history = plant(history, concern, later(place, history, 15))
    assert rules(history, CARING) == [(history[-1].version, Rule.CONCERN)]


@places
@pytest.mark.parametrize("bounced", [False, True])
def test_a_failed_contact_point_is_used_again(place: Place, bounced: bool) -> None:
    history = live(place, attempts=4)
    if bounced:
        wrong = attempt(step="spaced#2", disposition=Disposition.WRONG_NUMBER)
        history = plant(history, wrong, later(place, history, 3))
        assert rules(history) == []
    else:
        failed = ContactPointFailed(Channel("call"), CALL.address)
        history = plant(history, failed, history[-1].occurred_at)
    history = plant(history, attempt(step="spaced#3"), later(place, history, 3))
    assert rules(history) == [(history[-1].version, Rule.CONTACT_POINT)]


@places
def test_a_close_as_unreachable_while_a_contact_point_is_left(place: Place) -> None:
    history = live(place, attempts=5)
    close = FollowUpEnded(EndReason.UNREACHABLE)
    history = plant(history, close, later(place, history, 5))
    assert rules(history) == [(history[-1].version, Rule.CONTACT_POINT)]


@places
@pytest.mark.parametrize(
    "stage", [AttemptStage.ON_TIME, AttemptStage.TEN_MINUTES, AttemptStage.HALF_DAY]
)
def test_outreach_that_goes_back(place: Place, stage: AttemptStage) -> None:
    history = live(place, attempts=5)
    back = attempt(stage, stage.value)
    history = plant(history, back, later(place, history, 3))
    assert rules(history) == [(history[-1].version, Rule.ORDER)]


@places
@pytest.mark.parametrize(("made", "stage"), [(3, AttemptStage.SPACED), (5, AttemptStage.NURTURE)])
def test_more_touches_than_the_policy_has(place: Place, made: int, stage: AttemptStage) -> None:
    history = live(place, policy=SHORT, attempts=made)
    channel = Channel("call") if stage is AttemptStage.SPACED else Channel("email")
    more = attempt(stage, "one_more", channel, policy=SHORT)
    history = plant(history, more, later(place, history, 6))
    assert rules(history, SHORT) == [(history[-1].version, Rule.BOUNDED)]


def before_the_appointment(place: Place) -> list[Event]:
    history = live(place, attempts=0)
    return plant(history, attempt(AttemptStage.EXTRA), history[-1].occurred_at + HOUR)


def in_the_night(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    at = (later(place, history, 3) + DAY).replace(hour=(place.noon + 11) % 24)
    return plant(history, attempt(step="spaced#2"), at + DAY)


def while_away(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    at = history[-1].occurred_at
    away = plant(history, AutoReplyReceived(Channel("email"), at + 40 * DAY), at + HOUR)
    return plant(away, attempt(step="spaced#2"), later(place, history, 8))


def on_a_sunday(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    at = later(place, history, 6)
    return plant(history, attempt(step="spaced#2"), at + (6 - at.weekday()) * DAY)


def too_early(place: Place) -> list[Event]:
    history = live(place, attempts=3)
    return plant(history, attempt(step="spaced#1"), later(place, history, 2))


def by_another_channel(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    made = attempt(step="spaced#2", channel=Channel("email"))
    return plant(history, made, later(place, history, 3))


def with_steps_left_out(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    made = attempt(AttemptStage.POLITE_EXIT, "polite_exit", Channel("email"))
    return plant(history, made, later(place, history, 3))


def after_they_said_no(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    no = ReplyReceived(Channel("email"), Intent.NO)
    history = plant(history, no, history[-1].occurred_at + HOUR)
    return plant(history, attempt(), later(place, history, 3))


def as_if_they_had_not_replied(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    reply = ReplyReceived(Channel("email"), Intent.YES)
    history = plant(history, reply, history[-1].occurred_at + HOUR)
    return plant(history, attempt(step="spaced#2"), later(place, history, 3))


def in_a_reopened_file(place: Place) -> list[Event]:
    history = live(place, close=True)
    at = later(place, history, 20)
    history = plant(history, FollowUpReopened("a new budget"), at)
    return plant(history, attempt(), later(place, history, 3))


def after_they_bought(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    history = plant(history, FollowUpEnded(EndReason.BOUGHT), history[-1].occurred_at + HOUR)
    return plant(history, attempt(), later(place, history, 3))


def behind_the_horizon(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    return plant(history, attempt(step="spaced#2"), later(place, history, 60))


def an_exact_step_too_late(place: Place) -> list[Event]:
    history = live(place, attempts=1)
    late = attempt(AttemptStage.TEN_MINUTES, "ten_minutes")
    return plant(history, late, history[-1].occurred_at + 26 * MINUTE)


def a_call_at_an_appointment_that_was_never_made(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    reply = ReplyReceived(Channel("email"))
    history = plant(history, reply, history[-1].occurred_at + HOUR)
    made = attempt(AttemptStage.ON_TIME, "on_time")
    return plant(history, made, later(place, history, 1))


def an_owners_extra_on_a_sunday(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    reply = ReplyReceived(Channel("email"))
    history = plant(history, reply, history[-1].occurred_at + HOUR)
    sunday = later(place, history, 1)
    while sunday.weekday() != 6:
        sunday += DAY
    return plant(history, attempt(AttemptStage.EXTRA), sunday)


PLANTED: dict[Callable[[Place], list[Event]], str] = {
    before_the_appointment: Rule.APPOINTMENT,
    in_the_night: Rule.QUIET_HOURS,
    while_away: Rule.SUSPENDED,
    on_a_sunday: Rule.BUSINESS_HOURS,
    an_owners_extra_on_a_sunday: Rule.BUSINESS_HOURS,
    too_early: Rule.PLAN,
    by_another_channel: Rule.PLAN,
    with_steps_left_out: Rule.PLAN,
    after_they_said_no: Rule.PLAN,
    as_if_they_had_not_replied: Rule.PLAN,
    in_a_reopened_file: Rule.PLAN,
    after_they_bought: Rule.PLAN,
    behind_the_horizon: Rule.HORIZON,
    an_exact_step_too_late: Rule.LAPSED,
    a_call_at_an_appointment_that_was_never_made: Rule.APPOINTMENT,
}


@places
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.__name__)
def test_an_attempt_that_breaks_one_other_rule(
    place: Place, planted: Callable[[Place], list[Event]]
) -> None:
    history = planted(place)
    assert rules(history) == [(history[-1].version, PLANTED[planted])]
    assert rules(history[:-1]) == []


# What the engine has no part in -------------------------------------------------------------------


def after_an_opt_out(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    history = plant(history, OptOutRequested(), history[-1].occurred_at + HOUR)
    return plant(history, attempt(step="spaced#2"), later(place, history[:-1], 3))


def on_a_failed_number(place: Place) -> list[Event]:
    history = live(place, attempts=4)
    failed = ContactPointFailed(Channel("call"), CALL.address)
    history = plant(history, failed, history[-1].occurred_at)
    return plant(history, attempt(step="spaced#2"), later(place, history, 3))


def a_seventh_spaced_call(place: Place) -> list[Event]:
    history = live(place, attempts=9)
    return plant(history, attempt(), later(place, history, 3))


def with_a_smaller_gap(place: Place) -> list[Event]:
    history = live(place, attempts=5)
    return plant(history, attempt(step="spaced#3"), later(place, history, 1))


def after_the_exit(place: Place) -> list[Event]:
    history = live(place, until=Stage.POLITE_EXIT)
    return plant(history, attempt(), later(place, history, 1))


def back_to_an_earlier_stage(place: Place) -> list[Event]:
    history = live(place, attempts=5)
    back = attempt(AttemptStage.HALF_DAY, "half_day")
    return plant(history, back, later(place, history, 3))


INDEPENDENT: dict[Callable[[Place], list[Event]], str] = {
    after_an_opt_out: Rule.OPT_OUT,
    on_a_failed_number: Rule.CONTACT_POINT,
    a_seventh_spaced_call: Rule.SPACED_CAP,
    with_a_smaller_gap: Rule.GAP,
    after_the_exit: Rule.POLITE_EXIT,
    back_to_an_earlier_stage: Rule.ORDER,
    before_the_appointment: Rule.APPOINTMENT,
    in_the_night: Rule.QUIET_HOURS,
    while_away: Rule.SUSPENDED,
}


@pytest.mark.parametrize("planted", INDEPENDENT, ids=lambda planted: planted.__name__)
def test_an_engine_that_passes_everything_hides_no_broken_invariant(
    planted: Callable[[Place], list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cadence.audit.auditor.check_plan", lambda attempt: None)
    monkeypatch.setattr("cadence.audit.auditor.check_guards", lambda attempt: [])
    history = planted(PLACES[0])
    assert rules(history) == [(history[-1].version, INDEPENDENT[planted])]


# What the history knows of it ---------------------------------------------------------------------


def test_off_policy_said_so_is_told_from_off_policy_unnoticed() -> None:
    history = live(PLACES[0], attempts=9)
    at = later(PLACES[0], history, 3)
    said = attempt(broke=(Rule.SPACED_CAP,), why="they asked for it at the fair")
    recorded = attempt(broke=(Rule.SPACED_CAP,))
    for made, noticed in (
        (said, Noticed.DECLARED),
        (recorded, Noticed.RECORDED),
        (attempt(), Noticed.UNDECLARED),
        (attempt(broke=(Rule.PLAN,), why="no idea"), Noticed.UNDECLARED),
    ):
        (one,) = found(plant(history, made, at))
        assert (one.rule, one.noticed) == (Rule.SPACED_CAP, noticed)
        assert noticed in one.because
    assert "they asked for it at the fair" in found(plant(history, said, at))[0].because


def test_a_breach_that_only_the_attempt_itself_names_is_a_finding() -> None:
    history = live(PLACES[0], attempts=4)
    made = attempt(step="spaced#2", broke=("no_fridays",), why="it was urgent")
    (one,) = found(plant(history, made, later(PLACES[0], history, 3)))
    assert (one.rule, one.noticed) == ("no_fridays", Noticed.DECLARED)


@places
def test_sent_after_the_reply_is_told_from_sent_before_we_knew_of_it(place: Place) -> None:
    history = live(place, attempts=4)
    replied, made = later(place, history, 2), later(place, history, 3)
    reply = ReplyReceived(Channel("email"), Intent.YES)
    knew = plant(history, reply, replied)
    knew = plant(knew, attempt(step="spaced#2"), made)
    (after,) = Auditor(TIP8).audit(knew)
    assert (after.version, after.rule, after.noticed) == (8, Rule.PLAN, Noticed.UNDECLARED)
    assert "sent after the reply of" in after.because
    # The same call, and a reply that was read only afterwards.
    learnt = plant(history, attempt(step="spaced#2"), made)
    learnt = plant(learnt, reply, replied, recorded_at=made + HOUR)
    # The call written down only after the reply was, though it was made before we knew.
    noted = plant(history, reply, replied, recorded_at=made + HOUR)
    noted = plant(noted, attempt(step="spaced#2"), made, recorded_at=made + 2 * HOUR)
    # The same as the engine writes it down, and as an older one did, which called it a breach.
    last, whole = noted[-1], fold(None, noted[:-1])
    assert whole is not None
    assert isinstance(last.data, AttemptMade)
    done = complete_attempt(whole, AttemptMade(last.data.parts), TIP8, made)
    assert done.broke == ()
    engine = [*noted[:-1], msgspec.structs.replace(last, data=done)]
    said = msgspec.structs.replace(done, broke=(str(Rule.PLAN),))
    older = [*noted[:-1], msgspec.structs.replace(last, data=said)]
    for late in (learnt, noted, engine, older):
        (before,) = Auditor(TIP8).audit(late)
        assert (before.rule, before.noticed) == (Rule.PLAN, Noticed.HINDSIGHT)
        assert isinstance(late[before.version - 1].data, AttemptMade)
        assert "before we knew of it" in before.because


@places
def test_what_we_learn_of_later_is_no_breach(place: Place) -> None:
    history = live(place, attempts=5)
    at = history[-2].occurred_at + HOUR  # before the last attempt
    now = history[-1].recorded_at + HOUR
    for late, rule in (
        (OptOutRequested(None), Rule.OPT_OUT),
        (OptOutRequested(Channel("call")), Rule.OPT_OUT),
        (AutoReplyReceived(Channel("email"), now + 9 * DAY), Rule.SUSPENDED),
        (PauseRequested(now + 9 * DAY), Rule.PLAN),
        (ContactPointFailed(Channel("call"), CALL.address), Rule.CONTACT_POINT),
    ):
        planted = plant(history, late, at, recorded_at=now)
        (one,) = Auditor(TIP8).audit(planted)
        assert (one.version, one.rule) == (history[-1].version, rule)
        assert one.noticed is Noticed.HINDSIGHT


def test_an_opt_out_holds_from_its_recording() -> None:
    history = live(PLACES[0], attempts=4)
    at = later(PLACES[0], history, 3)
    out = plant(history, OptOutRequested(None), at - 2 * HOUR, recorded_at=at + HOUR)
    planted = plant(out, attempt(step="spaced#2"), at, recorded_at=at + 2 * HOUR)
    assert [one.noticed for one in Auditor(TIP8).audit(planted)] == [Noticed.HINDSIGHT]
    (one,) = Auditor(TIP8).audit(plant(out, attempt(), at + 2 * HOUR))
    assert (one.rule, one.noticed) == (Rule.OPT_OUT, Noticed.UNDECLARED)


# Policies -----------------------------------------------------------------------------------------


def test_under_a_policy_not_at_hand_only_the_invariants_are_checked() -> None:
    unknown = PolicyRef("theirs", 3, "0" * 64)
    history = live(PLACES[0], attempts=4)
    early = attempt(step="theirs#9", channel=Channel("email"))
    early = msgspec.structs.replace(early, policy=unknown)
    planted = plant(history, early, later(PLACES[0], history, 4))
    one = auditor()
    assert one.audit(planted) == []
    assert one.unknown == {unknown: 1}
    shrinking = plant(history, early, later(PLACES[0], history, 1))
    assert rules(shrinking) == [(len(shrinking), Rule.GAP)]


def test_a_history_under_another_policy_is_held_against_that() -> None:
    history = live(PLACES[0], policy=SHORT, close=True)
    assert Auditor(TIP8, [SHORT]).audit(history) == []
    assert Auditor(TIP8).audit(history) == []  # it names a policy, so tip8 is not held against it


def test_an_appointment_set_again_and_kept_is_in_order() -> None:
    history = live(PLACES[0], attempts=0)
    moved = history[-1].occurred_at + 2 * DAY
    history = plant(history, AppointmentSet(moved), history[-1].occurred_at + HOUR)
    on_time = attempt(AttemptStage.ON_TIME, "on_time")
    assert rules(plant(history, on_time, moved)) == []
    early = plant(history, on_time, moved - MINUTE)
    assert rules(early) == [(early[-1].version, Rule.APPOINTMENT)]


@pytest.mark.parametrize(
    "path",
    # One of them shows how a rule is broken.
    sorted(p for p in (paths.GOLDEN / "histories").glob("*.jsonl") if p.stem != "frequency"),
    ids=lambda p: p.stem,
)
def test_histories_made_under_the_catalogue_break_nothing(path: Path) -> None:
    with Cadence.open() as store:
        import_jsonl(store, path.read_bytes().splitlines(keepends=True), at=ahead())
        for name in store.prospects():
            if name != "nora":  # what was recorded of her is every shape of event, in no order
                assert auditor().audit(store.history(name)) == []
