"""Stored events: stable names, exact round trips, and old shapes that load for ever."""

import hashlib
import json
import sqlite3
from datetime import UTC, datetime

import msgspec
import paths
import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given
from hypothesis import strategies as st
from strategies import data_strategies, event, instants, prospect_ids

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import (
    DATA_TYPES,
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    ContactPoint,
    Disposition,
    Event,
    Gap,
    InterestNoted,
    Part,
    PolicyRef,
    ProspectAdded,
    ReplyReceived,
    Unreadable,
    ValueKind,
    ValueNoted,
)
from cadence.domain.fold import fold
from cadence.domain.stored import (
    UPCASTERS,
    decode_rows,
    decode_stream,
    stored_type,
    upcast,
)
from cadence.engine.decision import Verdict
from cadence.store import Cadence
from cadence.store.serializer import EventMapper

GOLDEN = paths.GOLDEN

# What stands in databases out there. A name may be added; none may be changed or taken away.
STORED_TYPES = {
    "ProspectAdded": "ProspectAdded",
    "ProspectUpdated": "ProspectUpdated",
    "ContactPointAdded": "ContactPointAdded",
    "ContactPointFailed": "ContactPointFailed",
    "ContactPointRestored": "ContactPointRestored",
    "ContactPointRemoved": "ContactPointRemoved",
    "AddressesRead": "AddressesRead",
    "Noted": "Noted",
    "GuidelinesAgreed": "GuidelinesAgreed",
    "PreferenceStated": "PreferenceStated",
    "InterestNoted": "InterestNoted",
    "ValueNoted": "ValueNoted",
    "AppointmentSet": "AppointmentSet",
    "AppointmentCancelled": "AppointmentCancelled",
    "AttemptMade": "AttemptMade.2",
    "ReplyReceived": "ReplyReceived",
    "AutoReplyReceived": "AutoReplyReceived",
    "PauseRequested": "PauseRequested",
    "ReferralGiven": "ReferralGiven",
    "OptOutRequested": "OptOutRequested",
    "OptedBackIn": "OptedBackIn",
    "SamePersonDenied": "SamePersonDenied",
    "ProspectsMerged": "ProspectsMerged",
    "PolicyAdopted": "PolicyAdopted",
    "FollowUpEnded": "FollowUpEnded",
    "FollowUpReopened": "FollowUpReopened",
    "EventRetracted": "EventRetracted",
    "EventCorrected": "EventCorrected",
}
OLD_TYPES = {"AttemptMade": "AttemptMade.2"}

# Files are added here, with their hash; a hash that is here is never changed.
HASHES = {
    "attempt_shape_1.jsonl": "5240bed24c1fc9b7b08114bf560d4cc5874d06e30c603b7849b1b3dd680e2bb4",
}

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
ANY_EVENT = st.tuples(prospect_ids(), st.integers(1, 10**9)).flatmap(lambda key: event(*key))


# Names ------------------------------------------------------------------------------------------


def test_every_event_type_has_its_stable_stored_name():
    tags = {name: cls.__struct_config__.tag for name, cls in DATA_TYPES.items()}
    assert tags == STORED_TYPES
    assert {cls.__struct_config__.tag_field for cls in DATA_TYPES.values()} == {"type"}


def test_every_old_type_leads_to_a_type_of_today():
    assert {old: new for old, (new, _) in UPCASTERS.items()} == OLD_TYPES
    for old in OLD_TYPES:
        name = old
        for _ in UPCASTERS:
            name = UPCASTERS[name][0] if name in UPCASTERS else name
        assert name in STORED_TYPES.values()
    assert not set(UPCASTERS) & set(STORED_TYPES.values())


def test_the_data_that_a_correction_holds_is_upcast_too():
    old = {"channel": "call", "disposition": "no_answer", "type": "AttemptMade"}
    found = upcast({"type": "EventCorrected", "version": 2, "data": old})
    assert found["data"]["type"] == "AttemptMade.2"
    assert found["data"]["parts"] == [{"channel": "call", "disposition": "no_answer"}]


def test_the_history_that_a_merge_brings_is_upcast_too():
    old = {"channel": "call", "disposition": "no_answer", "type": "AttemptMade"}
    event = {"prospect": "kramer", "version": 1, "data": old}
    merge = {"type": "ProspectsMerged", "prospect": "kramer", "history": [event]}
    for found in (upcast(merge), upcast({"type": "EventCorrected", "data": merge})["data"]):
        assert found["history"][0]["data"]["type"] == "AttemptMade.2"


# Round trips ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATA_TYPES)
def test_every_event_type_comes_back_from_the_mapper_as_it_was(name):
    @given(data_strategies()[DATA_TYPES[name]], instants(), instants())
    def check(data, occurred, recorded):
        made = Event("jerry", 3, occurred, recorded, data)
        row = EventMapper().to_stored_event(made)
        assert (row.originator_id, row.originator_version) == ("jerry", 3)
        assert row.topic == STORED_TYPES[name] == stored_type(made)
        assert json.loads(row.state)["data"]["type"] == row.topic
        assert EventMapper().to_domain_event(row) == made

    check()


@given(ANY_EVENT)
def test_any_event_comes_back_from_the_mapper_as_it_was(made):
    row = EventMapper().to_stored_event(made)
    assert EventMapper().to_domain_event(row) == made
    assert b"\n" not in row.state  # or rows could not be joined by line breaks


@given(st.lists(event("p", 1), max_size=6))
def test_a_stream_comes_back_whole_joined_or_row_by_row(found):
    events = [msgspec.structs.replace(made, version=number) for number, made in enumerate(found, 1)]
    states = [EventMapper().to_stored_event(made).state for made in events]
    assert decode_rows("p", enumerate(states, 1)) == events
    assert decode_stream("p", b"\n".join(states).decode(), len(states)) == events


def test_rows_are_readable():
    made = Event("jerry", 1, NOW, NOW, InterestNoted("the pain"), by="ann")
    assert json.loads(EventMapper().to_stored_event(made).state) == {
        "prospect": "jerry",
        "version": 1,
        "occurred_at": "2026-11-02T09:00:00Z",
        "recorded_at": "2026-11-02T09:00:00Z",
        "data": {"type": "InterestNoted", "text": "the pain"},
        "by": "ann",
    }


def test_an_unknown_type_and_a_broken_row_are_read_as_unreadable_events():
    def read(state):
        event = EventMapper().to_domain_event(StoredEvent("kramer", 7, "x", state))
        assert (event.prospect, event.version) == ("kramer", 7)
        return event.data

    made = Event("kramer", 7, NOW, NOW, InterestNoted("x"))
    state = EventMapper().to_stored_event(made).state
    assert read(state.replace(b"InterestNoted", b"HologramSent")) == Unreadable(
        "unknown event type 'HologramSent'"
    )
    assert not read(state.replace(b"text", b"txet")).is_damaged
    for broken in (b"{", b"", b"[1]", b"\xff", b'{"data": 1}', state.replace(b"7", b"8")):
        assert read(broken).is_damaged


# Old shapes -------------------------------------------------------------------------------------


def golden_rows(name="attempt_shape_1.jsonl"):
    lines = (GOLDEN / name).read_text(encoding="utf-8").splitlines()
    return [
        StoredEvent(row["originator_id"], row["originator_version"], row["topic"], state.encode())
        for row in map(json.loads, lines)
        for state in [row["state"]]
    ]


def test_golden_files_are_only_ever_added_to():
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in GOLDEN.glob("*_shape_*")
    }
    assert found == HASHES


def attempt(version, at, part, *, recorded=None, envelope=(), **data):
    return Event(
        "elaine", version, at, recorded or at, AttemptMade((part,), **data), **dict(envelope)
    )


# The golden history as it would be stored today, written down by hand.
EXPECTED = [
    Event(
        "elaine",
        1,
        datetime(2026, 3, 2, 9, tzinfo=UTC),
        datetime(2026, 3, 2, 9, tzinfo=UTC),
        ProspectAdded(
            "Elaine Benes",
            "America/New_York",
            country="US",
            contact_points=(
                ContactPoint(CALL, "+12125550100"),
                ContactPoint(EMAIL, "elaine@example.com"),
            ),
            owner="ann",
        ),
    ),
    Event(
        "elaine",
        2,
        datetime(2026, 3, 2, 9, 5, tzinfo=UTC),
        datetime(2026, 3, 2, 9, 5, tzinfo=UTC),
        AppointmentSet(datetime(2026, 3, 3, 15, tzinfo=UTC)),
        by="ann",
        command_id="c-1",
    ),
    attempt(
        3,
        datetime(2026, 3, 3, 15, tzinfo=UTC),
        Part(CALL, Disposition.NO_ANSWER, "+12125550100"),
        recorded=datetime(2026, 3, 3, 15, 0, 30, 500000, tzinfo=UTC),
        envelope={"by": "ann", "correlation": "campaign-7", "command_id": "c-2"},
        stage=AttemptStage.ON_TIME,
        step="on_time",
        touch="elaine:1:1:on_time",
    ),
    attempt(
        4,
        datetime(2026, 3, 3, 15, 10, tzinfo=UTC),
        Part(CALL, Disposition.VOICEMAIL_LEFT),
        stage=AttemptStage.TEN_MINUTES,
        step="ten_minutes",
        gap=Gap(0, 10),
    ),
    attempt(
        5,
        datetime(2026, 3, 3, 19, 10, tzinfo=UTC),
        Part(EMAIL, Disposition.SENT, "elaine@example.com"),
        stage=AttemptStage.HALF_DAY,
        step="half_day",
        gap=Gap(0, 240),
        policy=PolicyRef("tip8", 1, "00112233445566778899aabbccddeeff" * 2),
    ),
    Event(
        "elaine",
        6,
        datetime(2026, 3, 4, 10, tzinfo=UTC),
        datetime(2026, 3, 4, 10, tzinfo=UTC),
        ValueNoted("v1", 'likes "big salads" 🥗', ValueKind.PERSONAL),
    ),
    attempt(
        7,
        datetime(2026, 3, 5, 15, tzinfo=UTC),
        Part(CALL, Disposition.BUSY, "+12125550100"),
        stage=AttemptStage.SPACED,
        step="spaced#1",
        gap=Gap(2, 0),
        value="v1",
        broke=("quiet_hours", "gap"),
        why="she asked for it",
    ),
    attempt(
        8,
        datetime(2026, 3, 9, 15, tzinfo=UTC),
        Part(CALL, Disposition.WRONG_NUMBER, "+12125550100"),
        stage=AttemptStage.SPACED,
        step="spaced#2",
    ),
]


def test_the_golden_rows_hold_shape_1():
    attempts = [row for row in golden_rows() if row.topic == "AttemptMade"]
    assert len(attempts) == 5
    for row in attempts:
        assert b'"parts"' not in row.state
        assert b'"channel"' in row.state


def test_a_row_of_shape_1_is_read_as_the_attempt_it_was():
    for row, wanted in zip(golden_rows(), EXPECTED, strict=True):
        assert EventMapper().to_domain_event(row) == wanted


def test_data_of_today_is_not_touched_by_the_upcasters():
    today = {"type": "AttemptMade.2", "parts": [{"channel": "call", "disposition": "busy"}]}
    assert upcast(today) is today
    old = {"type": "AttemptMade", "channel": "call", "disposition": "busy"}
    assert upcast(dict(old)) == today


def test_a_database_of_old_rows_loads_to_the_right_prospect_and_goes_on(tmp_path):
    path = tmp_path / "cadence.db"
    with Cadence.open(str(path)):
        pass
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state) "
            "VALUES (?, ?, ?, ?)",
            [
                (row.originator_id, row.originator_version, row.topic, row.state)
                for row in golden_rows()
            ],
        )
        # A cadence of before the due list.
        connection.execute("DELETE FROM meta")
    connection.close()
    with Cadence.open(str(path)) as app:
        assert app.history("elaine") == EXPECTED
        prospect = app.load("elaine")
        # Its addresses are read, which the stored rows are from before.
        assert prospect == app._addresses.read(fold(None, EXPECTED))
        assert prospect.stage == "spaced"
        assert prospect.silence.spaced_calls == 2
        assert len(prospect.silence.attempts) == 5
        assert "+12125550100" in prospect.reach.failed
        # Its list is made when somebody says so; listings are right all the same.
        assert app.due_rows.are_stale()
        assert [one.prospect for one in app.due(NOW, verdicts=[*Verdict])] == ["elaine"]
        app.due_rows.rebuild()
        assert not app.due_rows.are_stale()
        [row] = app.due_rows.stored()
        assert row.prospect == "elaine"
        # What comes now is stored as today; what was stored is not rewritten.
        app.execute("elaine", ReplyReceived(EMAIL), at=NOW)
        tried = AttemptMade((Part(EMAIL, Disposition.SENT),))
        app.execute("elaine", tried, at=NOW)
        assert app.history("elaine")[:8] == EXPECTED
        assert app.load("elaine").version == 11
        keyed = app.load("elaine").reach.contact_points
        assert [point.key for point in keyed] == ["+12125550100", "elaine@example.com"]
    connection = sqlite3.connect(path)
    stored = connection.execute(
        "SELECT topic, state FROM stored_events ORDER BY originator_version"
    ).fetchall()
    connection.close()
    assert stored[:8] == [(row.topic, row.state) for row in golden_rows()]
    assert [topic for topic, _ in stored[8:]] == [
        *("AddressesRead", "ReplyReceived", "AttemptMade.2")
    ]


def test_old_rows_load_in_memory_too():
    with Cadence.open() as app:
        app._recorder.insert_events(golden_rows())
        assert app.history("elaine") == EXPECTED
