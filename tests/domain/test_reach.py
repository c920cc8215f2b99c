"""What can still be reached: failures by key, restored and removed addresses, opt-outs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadence.domain.channels import BUILT_IN, CALL, CHANNELS, EMAIL, MAIL, SMS, Channel
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    Data,
    Disposition,
    Event,
    FailureReason,
    Intent,
    OptedBackIn,
    OptOutRequested,
    Part,
    ProspectAdded,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
)
from cadence.domain.fold import fold
from cadence.domain.keys import KeyReader, addresses_read, read_again
from cadence.domain.prospect import Prospect, ResponseKind
from cadence.domain.stages import Stage
from cadence.engine.invariants import contact_points_left

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
NUMBER, MAILBOX = "+12125550100", "jo@example.com"
POINTS = (
    ContactPoint(CALL, "+1 212 555 0100", NUMBER),
    ContactPoint(SMS, "(212) 555-0100", NUMBER),
    ContactPoint(EMAIL, "Jo@Example.com", MAILBOX),
)
WHATSAPP = Channel("whatsapp")


def after(*facts: Data, points: tuple[ContactPoint, ...] = POINTS) -> Prospect:
    data = (ProspectAdded("Jo", "UTC", contact_points=points), *facts)
    moments = [NOON + timedelta(hours=number) for number in range(len(data))]
    events = [
        Event("jo", number, at, at, one)
        for number, (at, one) in enumerate(zip(moments, data, strict=True), 1)
    ]
    folded = fold(None, events)
    assert folded is not None
    return folded


def left(prospect: Prospect) -> list[str]:
    return [point.channel for point in contact_points_left(prospect)]


def attempt(channel: Channel, disposition: Disposition, key: str | None = None) -> AttemptMade:
    return AttemptMade((Part(channel, disposition, key, key),), AttemptStage.EXTRA)


@pytest.mark.parametrize(
    "failed",
    [
        ContactPointFailed(CALL, "+1-212-555-0100", FailureReason.WRONG_NUMBER, NUMBER),
        ContactPointFailed(SMS, NUMBER, FailureReason.DISCONNECTED, NUMBER),
        attempt(CALL, Disposition.WRONG_NUMBER, NUMBER),
        attempt(CALL, Disposition.WRONG_NUMBER),
    ],
)
def test_a_number_that_failed_is_used_on_no_channel_however_it_is_spelled(failed: Data) -> None:
    assert left(after(failed)) == [EMAIL]


@pytest.mark.parametrize("reason", [FailureReason.MAILBOX_FULL, FailureReason.TEMPORARY])
def test_a_failure_for_now_takes_nothing_away(reason: FailureReason) -> None:
    prospect = after(ContactPointFailed(EMAIL, MAILBOX, reason, MAILBOX))
    assert left(prospect) == [CALL, SMS, EMAIL]


def test_a_restored_address_is_used_again() -> None:
    failed = ContactPointFailed(EMAIL, MAILBOX, FailureReason.BOUNCED, MAILBOX)
    restored = ContactPointRestored(EMAIL, "JO@example.com", "they wrote from it", MAILBOX)
    assert left(after(failed)) == [CALL, SMS]
    assert left(after(failed, restored)) == [CALL, SMS, EMAIL]


def test_adding_an_address_that_failed_does_not_bring_it_back() -> None:
    failed = ContactPointFailed(EMAIL, MAILBOX, FailureReason.BOUNCED, MAILBOX)
    added = ContactPointAdded(EMAIL, "JO@EXAMPLE.COM", key=MAILBOX)
    assert left(after(failed, added)) == [CALL, SMS]


def test_a_removed_address_is_theirs_on_no_channel_and_may_be_added_again() -> None:
    removed = ContactPointRemoved(CALL, NUMBER, "never theirs", NUMBER)
    assert left(after(removed)) == [EMAIL]
    assert left(after(removed, ContactPointAdded(SMS, NUMBER, key=NUMBER))) == [EMAIL, SMS]


def test_an_address_that_can_not_be_read_is_kept_and_never_used() -> None:
    prospect = after(points=(ContactPoint(CALL, "call me", ""), POINTS[2]))
    assert len(prospect.reach.contact_points) == 2
    assert left(prospect) == [EMAIL]
    failed = after(
        ContactPointFailed(CALL, "call me", FailureReason.WRONG_NUMBER, ""),
        points=(ContactPoint(CALL, "call me", ""), ContactPoint(CALL, "or me", ""), POINTS[2]),
    )
    assert left(failed) == [EMAIL]
    gone = after(
        ContactPointRemoved(CALL, "call me", "no number", ""),
        points=(ContactPoint(CALL, "call me", ""), ContactPoint(CALL, "or me", "")),
    )
    assert [point.address for point in gone.reach.contact_points] == ["or me"]


def test_a_number_that_failed_has_failed_with_its_extensions() -> None:
    desk = ContactPoint(CALL, f"{NUMBER} x12", f"{NUMBER};ext=12")
    other = ContactPoint(CALL, f"{NUMBER} x13", f"{NUMBER};ext=13")
    failed = ContactPointFailed(CALL, NUMBER, FailureReason.WRONG_NUMBER, NUMBER)
    assert left(after(failed, points=(desk, other))) == []
    only = ContactPointFailed(CALL, desk.address, FailureReason.WRONG_NUMBER, desk.key)
    assert contact_points_left(after(only, points=(desk, other))) == (other,)


# Opt-outs ----------------------------------------------------------------------------------------


def test_an_opt_out_of_everything_holds_for_channels_that_are_declared_later() -> None:
    opted_out = after(OptOutRequested()).reach.opted_out
    assert WHATSAPP in opted_out
    assert all(channel in opted_out for channel in CHANNELS)


def test_an_opt_out_of_all_but_some_leaves_these() -> None:
    prospect = after(OptOutRequested(except_channels=(EMAIL,)))
    assert left(prospect) == [EMAIL]
    assert prospect.stage is Stage.NEW
    assert WHATSAPP in prospect.reach.opted_out


def test_a_channel_that_they_left_open_stays_open_before_its_address_is_known() -> None:
    word = OptOutRequested(except_channels=(MAIL,))
    assert (after(word).stage, left(after(word))) == (Stage.NEW, [])
    assert left(after(word, ContactPointAdded(MAIL, "1 Main St", "1 main st"))) == [MAIL]
    assert after(word, OptOutRequested(MAIL)).stage is Stage.OPTED_OUT


def test_a_channel_that_no_policy_knows_can_be_opted_out_of() -> None:
    prospect = after(OptOutRequested(WHATSAPP))
    assert left(prospect) == [CALL, SMS, EMAIL]
    assert WHATSAPP in prospect.reach.opted_out


WORDS = st.lists(
    st.one_of(
        st.builds(
            OptOutRequested,
            st.none() | st.sampled_from([*CHANNELS, WHATSAPP]),
            st.lists(st.sampled_from([*CHANNELS, WHATSAPP]), max_size=3).map(tuple),
        ),
        st.builds(OptedBackIn, st.none() | st.sampled_from([*CHANNELS, WHATSAPP])),
    ),
    max_size=6,
)


@given(WORDS)
def test_the_last_word_about_each_channel_counts(
    words: list[OptOutRequested | OptedBackIn],
) -> None:
    opted_out = after(*words).reach.opted_out
    for channel in (*CHANNELS, WHATSAPP, Channel("pigeon")):
        is_out = False
        for word in words:
            if isinstance(word, OptedBackIn):
                is_out = is_out and word.channel not in (None, channel)
            elif word.channel is None:
                is_out = is_out or channel not in word.except_channels
            else:
                is_out = is_out or word.channel == channel
        assert (channel in opted_out) is is_out
        assert opted_out.known_by(channel, NOON + timedelta(days=9)) is is_out
        assert not opted_out.known_by(channel, NOON)


# Responses ---------------------------------------------------------------------------------------


def test_a_referral_is_a_response_and_names_the_new_person() -> None:
    tried = attempt(CALL, Disposition.NO_ANSWER, NUMBER)
    prospect = after(tried, ReferralGiven("Ann Lee"))
    assert (prospect.stage, prospect.response.kind) == (Stage.ENGAGED, ResponseKind.REFERRAL)
    assert prospect.referral == ReferralGiven("Ann Lee")
    assert prospect.silence.attempts == ()
    assert after(ReferralGiven("Ann Lee"), ReplyReceived(EMAIL)).referral is None


def test_a_no_in_a_conversation_is_a_no() -> None:
    talked = AttemptMade((Part(CALL, Disposition.CONNECTED, NUMBER, NUMBER, intent=Intent.NO),))
    assert after(talked).response.intent is Intent.NO


# Keys --------------------------------------------------------------------------------------------


def reader(country: str | None = "US", *, is_strict: bool = False) -> KeyReader:
    return KeyReader(BUILT_IN, lambda: country, is_strict=is_strict)


def test_a_history_from_before_gets_the_keys_of_all_its_addresses() -> None:
    old = after(
        attempt(CALL, Disposition.NO_ANSWER),
        AttemptMade((Part(SMS, Disposition.SENT, "212 555 0100"),), AttemptStage.EXTRA),
        ContactPointFailed(EMAIL, "Old@Example.com"),
        points=(ContactPoint(CALL, "(212) 555-0100"), ContactPoint(EMAIL, "who knows")),
    )
    read = addresses_read(old, reader())
    assert read is not None
    now = fold(old, [Event("jo", old.version + 1, NOON, NOON, read)])
    assert now is not None
    assert [point.key for point in now.reach.contact_points] == [NUMBER, ""]
    assert set(now.reach.failed) == {"old@example.com"}
    assert now.silence.attempts[1].parts[0].key == NUMBER
    assert addresses_read(now, reader()) is None
    assert addresses_read(after(), reader()) is None


def test_a_corrected_country_reads_national_numbers_again() -> None:
    point = ContactPoint(CALL, "020 7946 0100", "")
    prospect = after(points=(point, POINTS[2]))
    changes = read_again(prospect, ProspectUpdated(country="GB"), BUILT_IN)
    assert [type(one) for one in changes] == [ContactPointRemoved, ContactPointAdded]
    moved = after(*changes, points=(point, POINTS[2]))
    assert [one.key for one in moved.reach.contact_points] == [MAILBOX, "+442079460100"]
    assert read_again(moved, ProspectUpdated(owner="kim"), BUILT_IN) == ()


def test_a_known_spelling_keeps_its_key_and_reads_nothing() -> None:
    known = [ContactPoint(CALL, "call me", "")]
    strict = KeyReader(BUILT_IN, lambda: None, known)
    assert strict.key(CALL, "call me") == ""
