"""Taking back: the fold of a history is that of what stands of it (design, section 4b)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from strategies import histories, histories_with_taking_back

from cadence.domain import (
    Channel,
    ContactPoint,
    Disposition,
    Event,
    EventCorrected,
    EventRetracted,
    InterestNoted,
    OptOutRequested,
    Part,
    PolicyAdopted,
    ProspectAdded,
    ReplyReceived,
    evolve,
    fold,
    standing_events,
)
from cadence.domain.events import AddressesRead, AttemptMade, AttemptStage, Gap
from cadence.domain.stages import Stage
from cadence.domain.standing import standing, taken_back_by

NINE = datetime(2026, 11, 30, 14, tzinfo=UTC)
CALL = Channel("call")
ADDED = ProspectAdded("Jerry", "UTC", contact_points=(ContactPoint(CALL, "+1"),))
NO_ANSWER = AttemptMade((Part(CALL, Disposition.NO_ANSWER, "+1"),), AttemptStage.SPACED, "s#1")
TALKED = msgspec.structs.replace(NO_ANSWER, parts=(Part(CALL, Disposition.CONNECTED, "+1"),))
TAKING_BACK = (EventRetracted, EventCorrected)
LASTING = (ProspectAdded, PolicyAdopted, AddressesRead)


def history(*data, step=timedelta(days=1)):
    times = (NINE + number * step for number in range(len(data)))
    return [
        Event("p", number, at, at, one)
        for number, (one, at) in enumerate(zip(data, times, strict=True), 1)
    ]


def naive_standing(events):
    """What stands, written anew, without the gaps between attempts whose times are others now."""
    kept = []
    for event in naive_kept(events):
        data = event.data
        if isinstance(data, AttemptMade) and data.gap is not None and data.gap_from:
            # A correction that counts says its gap; the event itself otherwise.
            said = [
                one.version for one in naive_counting(events) if one.data.version == event.version
            ]
            measured = max([event.version, *said])
            then = naive_times(naive_kept([one for one in events if one.version <= measured]))
            now = naive_times(naive_kept(events))
            pair = {data.gap_from, event.version} & then.keys()
            if any(then[one] != now.get(one) for one in pair):
                data = msgspec.structs.replace(data, gap=None, gap_from=None)
                event = msgspec.structs.replace(event, data=data)
        kept.append(event)
    return kept


def naive_times(events):
    times = {}
    for event in events:
        before = max(times.values(), default=event.occurred_at)
        is_behind = before > event.recorded_at + timedelta(minutes=5)
        times[event.version] = max(before, event.occurred_at) if is_behind else event.occurred_at
    return times


def naive_counting(events):
    """The corrections that are not taken back themselves."""
    found = []
    for event in reversed(events):
        taken_back = any(
            one.data.version == event.version and one.version > event.version for one in found
        )
        if (
            isinstance(event.data, TAKING_BACK)
            and not taken_back
            and event.data.version < event.version
        ):
            found.append(event)
    return [one for one in found if isinstance(one.data, EventCorrected)]


def naive_kept(events):
    """Event by event from the last, as the design says it."""
    dropped, replaced, kept = set(), {}, []
    lasting = {event.version for event in events if isinstance(event.data, LASTING)}
    for event in sorted(events, key=lambda one: -one.version):
        data = event.data
        earlier = isinstance(data, TAKING_BACK) and data.version < event.version
        counts = event.version not in dropped
        if isinstance(data, EventRetracted) and earlier and counts and data.version not in lasting:
            dropped.add(data.version)
        elif isinstance(data, EventCorrected) and earlier and counts:
            replaced.setdefault(data.version, event)
        elif not isinstance(data, TAKING_BACK) and (counts or event.version in lasting):
            by = replaced.get(event.version)
            if by is not None and event.version not in lasting:
                event = Event(
                    event.prospect,
                    event.version,
                    by.data.occurred_at or event.occurred_at,
                    by.recorded_at,
                    by.data.data,
                    event.by,
                    event.correlation,
                    event.command_id,
                    event.uncertain,
                    event.meta,
                )
            kept.insert(0, event)
    return kept


@given(histories_with_taking_back())
def test_what_stands_lacks_what_was_retracted_and_has_what_was_corrected(events):
    assert list(standing_events(events)) == naive_standing(events)


@given(histories_with_taking_back())
def test_the_fold_of_a_history_is_that_of_what_stands_of_it(events):
    cleaned = naive_standing(events)
    if not cleaned:
        return
    expected, last = fold(None, cleaned), events[-1]
    found = fold(None, events)
    told = found.response.version
    if told != expected.response.version:  # a conversation that a correction told us of
        assert isinstance(events[told - 1].data, EventCorrected)
        assert events[told - 1].data.version == expected.response.version
    if any(learnt != event.version for event, learnt in standing(events)):
        return  # what was tried before the correction was tried before we knew
    silence = msgspec.structs.replace(expected.silence, is_joined=found.silence.is_joined)
    assert found == msgspec.structs.replace(
        expected, version=last.version, recorded_at=last.recorded_at, silence=silence
    )


@given(histories(), histories())
def test_a_fold_goes_on_where_it_stopped_if_nothing_is_taken_back(before, after):
    after = [msgspec.structs.replace(event, version=len(before) + event.version) for event in after]
    whole = fold(None, [*before, *after])
    if before:
        assert whole == fold(fold(None, before), after)


@given(histories_with_taking_back())
def test_a_fold_that_goes_on_decides_nothing_after_a_retraction(events):
    split = next((n for n, one in enumerate(events) if isinstance(one.data, TAKING_BACK)), 0)
    if split:
        found = fold(fold(None, events[:split]), events[split:])
        assert found.unreadable is not None
        assert found.unreadable.version <= split + 1


def test_a_retracted_opt_out_keeps_nobody_from_calling():
    events = history(ADDED, NO_ANSWER, OptOutRequested(), EventRetracted(3, "another Jerry"))
    assert fold(None, events[:3]).stage is Stage.OPTED_OUT
    prospect = fold(None, events)
    assert prospect.stage is Stage.SPACED
    assert not prospect.reach.opted_out
    assert (prospect.version, prospect.recorded_at) == (4, events[3].recorded_at)


def test_a_retraction_that_is_taken_back_counts_no_more():
    events = history(ADDED, OptOutRequested(), EventRetracted(2), EventRetracted(3))
    assert fold(None, events).stage is Stage.OPTED_OUT
    assert set(taken_back_by(events)) == {3}
    again = history(*(event.data for event in events), EventRetracted(4))
    assert fold(None, again).stage is Stage.NEW


def test_of_several_corrections_the_last_counts():
    events = history(
        ADDED,
        InterestNoted("price"),
        EventCorrected(2, InterestNoted("the price")),
        EventCorrected(2, InterestNoted("the lots")),
    )
    assert fold(None, events).interests == ("the lots",)
    undone = history(*(event.data for event in events), EventRetracted(4))
    assert fold(None, undone).interests == ("the price",)


def test_what_is_retracted_is_not_brought_back_by_a_correction():
    events = history(
        ADDED, InterestNoted("a"), EventRetracted(2), EventCorrected(2, InterestNoted("b"))
    )
    assert fold(None, events).interests == ()


def test_the_start_of_a_history_can_not_be_taken_back():
    assert fold(None, history(ADDED, EventRetracted(1))).identity.name == "Jerry"


def test_a_correction_to_a_conversation_ends_the_silence_when_they_talked():
    events = history(ADDED, NO_ANSWER, NO_ANSWER, EventCorrected(2, TALKED))
    prospect = fold(None, events)
    assert prospect.stage is Stage.SPACED
    assert prospect.response.at == events[1].occurred_at
    # The attempt after it was made before we knew: it counts in no gap and no frequency.
    assert prospect.response.version == 4
    assert [one.version for one in prospect.silence.attempts] == [3]
    assert prospect.silence.known == ()


def test_a_conversation_corrected_away_joins_the_silences():
    events = history(
        ADDED, NO_ANSWER, TALKED, NO_ANSWER, EventCorrected(3, NO_ANSWER, events_at(2, hours=1))
    )
    prospect = fold(None, events)
    assert [one.version for one in prospect.silence.attempts] == [2, 3, 4]
    assert prospect.silence.attempts[1].at == events_at(2, hours=1)


def events_at(day, hours=0):
    return NINE + timedelta(days=day, hours=hours)


def test_an_exit_stays_delivered_where_a_retraction_joins_silences():
    sent = AttemptMade(
        (Part(CALL, Disposition.VOICEMAIL_LEFT, "+1"),), AttemptStage.POLITE_EXIT, "exit"
    )
    events = history(ADDED, sent, ReplyReceived(CALL), NO_ANSWER, EventRetracted(3))
    prospect = fold(None, events)
    assert prospect.stage is Stage.POLITE_EXIT
    delivered = prospect.exit_delivered()
    assert delivered is not None
    assert delivered[0].version == 2


def test_evolve_alone_takes_nothing_back():
    events = history(ADDED, OptOutRequested(), EventRetracted(2))
    prospect = evolve(fold(None, events[:2]), events[2])
    assert prospect.stage is Stage.OPTED_OUT
    assert prospect.unreadable is not None
    assert prospect.unreadable.is_damaged


def with_gap(days, version):
    return msgspec.structs.replace(NO_ANSWER, gap=Gap(days, 0), gap_from=version)


def gaps(events):
    silence = fold(None, events).silence
    return silence.largest_gap.business_days, [
        silence.attempts[n].version for n in silence.unmeasured
    ]


def test_a_gap_is_measured_anew_once_the_attempt_before_it_is_moved():
    events = history(ADDED, NO_ANSWER, with_gap(1, 2), with_gap(9, 3))
    assert gaps(events) == (9, [])
    moved = EventCorrected(3, with_gap(2, 2), events_at(2, hours=3))
    corrected = [*events, Event("p", 5, events_at(5), events_at(5), moved)]
    assert gaps(corrected) == (2, [4])
    # What is measured after the correction stands, and so does all of it once that is undone.
    later = Event("p", 6, events_at(6), events_at(6), with_gap(3, 4))
    assert gaps([*corrected, later]) == (3, [4])
    undone = Event("p", 6, events_at(6), events_at(6), EventRetracted(5))
    assert gaps([*corrected, undone]) == (9, [])


def test_a_gap_measured_to_a_clock_ahead_is_measured_anew_once_that_is_undone():
    events = history(ADDED, NO_ANSWER, InterestNoted("lots"), with_gap(20, 2), with_gap(3, 4))
    ahead = msgspec.structs.replace(events[2], occurred_at=events_at(30))
    events[2] = msgspec.structs.replace(ahead, recorded_at=events_at(30))
    assert gaps(events) == (20, [])
    undone = Event("p", 6, events_at(6), events_at(6), EventRetracted(3))
    assert gaps([*events, undone]) == (0, [4, 5])


def test_a_gap_stands_where_what_is_taken_back_moves_neither_of_its_attempts():
    events = history(ADDED, NO_ANSWER, InterestNoted("lots"), with_gap(20, 2))
    undone = Event("p", 5, events_at(5), events_at(5), EventRetracted(3))
    assert gaps([*events, undone]) == (20, [])
