"""What the fold keeps, at the edges: same instants, and what a later event leaves of an earlier."""

import pytest
from histories import DAY, HOUR, MONDAY, TIP8, Happened, added, after, attempt

from cadence.domain import (
    AppointmentCancelled,
    AppointmentSet,
    AttemptStage,
    AutoReplyReceived,
    EndReason,
    FollowUpEnded,
    Gap,
    OptedBackIn,
    OptOutRequested,
    PauseRequested,
    ProspectAdded,
    ProspectUpdated,
    ReplyReceived,
    Stage,
)
from cadence.domain.channels import EMAIL, SMS
from cadence.domain.prospect import ResponseKind
from cadence.engine import Verdict, next_touch

EXTRA = AttemptStage.EXTRA
WON = (MONDAY, FollowUpEnded(EndReason.BOUGHT))
WROTE = (MONDAY + DAY, ReplyReceived(EMAIL))


@pytest.mark.parametrize(
    ("minutes", "largest"),
    [((240, 10), 240), ((10, 240), 240), ((10, 10), 10), ((10, 240, 10), 240)],
)
def test_the_largest_of_gaps_in_minutes_is_the_longest(
    minutes: tuple[int, ...], largest: int
) -> None:
    calls: list[Happened] = [attempt(MONDAY)]
    for number, length in enumerate(minutes, 1):
        calls.append(attempt(MONDAY + number * HOUR, EXTRA, gap=Gap(0, length)))
    assert after(added(), *calls).silence.largest_gap == Gap(0, largest)


def test_a_longer_gap_in_business_days_counts_whatever_its_minutes() -> None:
    gaps = [Gap(2, 0), Gap(1, 900), Gap(2, 5)]
    calls = [attempt(MONDAY + n * DAY, EXTRA, gap=gap) for n, gap in enumerate(gaps, 1)]
    assert after(added(), attempt(MONDAY), *calls).silence.largest_gap == Gap(2, 5)


def test_a_contact_in_an_open_file_waits_for_nobody() -> None:
    prospect = after(added(), WROTE)
    assert (prospect.ending.pending_response, prospect.ending.pending_response_at) == (0, None)


def test_a_subdivision_goes_with_its_country() -> None:
    bavarian = (MONDAY, ProspectAdded("Kim", "UTC", "DE", "BY"))

    def place(*updates: ProspectUpdated) -> tuple[str | None, str | None]:
        prospect = after(bavarian, *((MONDAY, one) for one in updates))
        return prospect.identity.country, prospect.identity.subdivision

    assert place() == ("DE", "BY")
    assert place(ProspectUpdated(subdivision="BE")) == ("DE", "BE")
    assert place(ProspectUpdated(country="DE")) == ("DE", "BY")
    assert place(ProspectUpdated(country="AT")) == ("AT", None)
    assert place(ProspectUpdated(country="AT", subdivision="9")) == ("AT", "9")
    assert place(ProspectUpdated(country="AT"), ProspectUpdated(country="DE")) == ("DE", None)


def test_an_appointment_agreed_in_a_pause_replaces_it_and_one_moved_does_not() -> None:
    pause = (MONDAY + HOUR, PauseRequested(MONDAY + 7 * DAY))
    off = (MONDAY + 3 * HOUR, AppointmentCancelled())
    meeting = AppointmentSet(MONDAY + 9 * DAY)
    now = MONDAY + 3 * HOUR
    agreed_in_it = after(added(), pause, (MONDAY + 2 * HOUR, meeting), off)
    assert next_touch(agreed_in_it, TIP8, now).task == "agree the next step"
    moved_in_it = after(added(), (MONDAY, meeting), pause, (MONDAY + 2 * HOUR, meeting), off)
    waiting = next_touch(moved_in_it, TIP8, now)
    assert (waiting.verdict, waiting.at) == (Verdict.WAIT, MONDAY + 7 * DAY)


def test_a_pause_that_is_over_at_once_suspends_nothing() -> None:
    for until, suspended in ((MONDAY, 0), (MONDAY + HOUR, 0), (MONDAY + 2 * HOUR, 1)):
        prospect = after(added(), (MONDAY + HOUR, PauseRequested(until)))
        assert len(prospect.silence.suspensions) == suspended


def test_the_latest_opt_out_counts_in_whatever_order_they_are_learnt_of() -> None:
    early, late = OptOutRequested(SMS), OptOutRequested(EMAIL)
    for history in (
        [(MONDAY + DAY, early), (MONDAY + 2 * DAY, late)],
        [(MONDAY + 2 * DAY, late), (MONDAY + DAY, MONDAY + 3 * DAY, early)],
    ):
        assert after(added(), *history).reach.opted_out_at == MONDAY + 2 * DAY


def test_an_opt_out_answers_whatever_they_wrote_before() -> None:
    waiting = after(added(), WON, WROTE)
    assert next_touch(waiting, TIP8, MONDAY + 2 * DAY).verdict is Verdict.TASK
    gone = after(added(), WON, WROTE, (MONDAY + 2 * DAY, OptOutRequested()))
    assert gone.ending.pending_response == 0
    assert next_touch(gone, TIP8, MONDAY + 2 * DAY).verdict is Verdict.STOP


def test_an_opt_in_at_the_very_time_of_the_opt_out_but_learnt_of_after_it_lifts_it() -> None:
    prospect = after(added(), (MONDAY, OptOutRequested()), (MONDAY, OptedBackIn()))
    assert (prospect.stage, bool(prospect.reach.opted_out)) == (Stage.ENGAGED, False)


def test_an_opt_in_that_was_said_before_the_opt_out_is_still_a_contact() -> None:
    said = (MONDAY + DAY, MONDAY + 3 * DAY, OptedBackIn(EMAIL))
    some = (MONDAY + 2 * DAY, OptOutRequested(EMAIL))
    prospect = after(added(), attempt(MONDAY), some, said)
    assert set(prospect.reach.opted_out.channels) == {EMAIL}
    assert (prospect.response.kind, prospect.response.at) == (ResponseKind.OPT_IN, MONDAY + DAY)
    assert prospect.stage is Stage.ENGAGED


@pytest.mark.parametrize(
    ("reason", "stage"), [(EndReason.BOUGHT, Stage.WON), (EndReason.DECLINED, Stage.LOST)]
)
def test_who_opts_back_in_to_a_file_that_has_ended_waits_for_nothing(
    reason: EndReason, stage: Stage
) -> None:
    ended = (MONDAY, FollowUpEnded(reason))
    gone, back = (MONDAY + DAY, OptOutRequested()), (MONDAY + 2 * DAY, OptedBackIn())
    prospect = after(added(), ended, gone, back)
    assert (prospect.stage, prospect.ending.pending_response) == (stage, 0)
    assert next_touch(prospect, TIP8, MONDAY + 2 * DAY).verdict is Verdict.STOP


def test_an_automatic_reply_of_the_same_instant_as_another_keeps_both() -> None:
    away = AutoReplyReceived(EMAIL, MONDAY + 2 * DAY)
    late = (MONDAY + HOUR, MONDAY + DAY, away)
    prospect = after(added(), (MONDAY + DAY, away), (MONDAY + DAY, away), late)
    assert [one.version for one in prospect.silence.suspensions] == [4, 2, 3]
