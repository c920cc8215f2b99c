"""The stored form is public: it comes back as it was, from every shape, and its errors name it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import paths
import pytest
from clocks import ahead
from hypothesis import given
from hypothesis import strategies as st
from strategies import event, prospect_ids

from cadence.domain import (
    AppointmentSet,
    AttemptMade,
    Channel,
    Disposition,
    Event,
    Intent,
    InterestNoted,
    Part,
    ReplyReceived,
    Unreadable,
    decode_event,
    encode_event,
    fold,
    parse_fact,
)
from cadence.domain.codec import InvalidJson, data_fields
from cadence.domain.events import type_name
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.transfer import import_jsonl

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
FOLDERS = (
    paths.ROOT / "examples/histories",
    paths.GOLDEN / "histories",
    paths.GOLDEN / "former_examples",
)
HISTORIES = [path for folder in FOLDERS for path in sorted(folder.glob("*.jsonl"))]
ANY_EVENT = st.tuples(prospect_ids(), st.integers(1, 10**9)).flatmap(lambda key: event(*key))
NOTED = (
    b'{"prospect":"jo","version":2,"occurred_at":"2026-11-02T09:00:00Z",'
    b'"recorded_at":"2026-11-02T09:00:00Z","data":{"type":"InterestNoted","text":"less paper"},'
    b'"by":"ann"}'
)


# Events -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_every_golden_event_comes_back_as_it_was(path: Path) -> None:
    with Cadence.open() as app, path.open("rb") as lines:
        import_jsonl(app, lines, at=ahead())
        events = [one for history in app.histories.all() for one in history]
    assert events
    for one in events:
        stored = encode_event(one)
        assert decode_event(stored) == decode_event(stored.decode()) == one
        assert parse_fact(type_name(one.data), data_fields(one.data)) == one.data


@given(ANY_EVENT)
def test_any_event_comes_back_in_one_line(made: Event) -> None:
    assert decode_event(encode_event(made)) == made
    assert b"\n" not in encode_event(made)


def test_the_form_never_changes() -> None:
    noted = Event("jo", 2, NOW, NOW, InterestNoted("less paper"), "ann")
    assert encode_event(noted) == NOTED
    assert decode_event(NOTED) == noted


def test_an_event_of_an_older_shape_is_read_in_that_of_today() -> None:
    lines = (paths.GOLDEN / "attempt_shape_1.jsonl").read_text(encoding="utf-8").splitlines()
    states = [json.loads(line)["state"] for line in lines]
    events = [decode_event(state) for state in states]
    assert all(not isinstance(one.data, Unreadable) for one in events)
    assert any('"type":"AttemptMade"' in state for state in states)
    for one in events:
        assert decode_event(encode_event(one)) == one
        if isinstance(one.data, AttemptMade):
            assert b'"type":"AttemptMade.2"' in encode_event(one)


def test_an_event_of_a_newer_version_marks_its_prospect_and_is_not_encoded() -> None:
    newer = decode_event(NOTED.replace(b'"InterestNoted"', b'"InterestNoted.9"'))
    assert (newer.prospect, newer.version, newer.by) == ("jo", 2, "ann")
    assert isinstance(newer.data, Unreadable)
    added = Event("jo", 1, NOW, NOW, parse_fact("ProspectAdded", {"name": "Jo", "timezone": "UTC"}))
    prospect = fold(None, [added, newer])
    assert prospect is not None
    assert prospect.unreadable is not None
    with pytest.raises(InputError, match="jo: event 2 can't be read"):
        encode_event(newer)


@pytest.mark.parametrize(
    ("stored", "kind", "what"),
    [
        (b"{", InvalidJson, "invalid JSON: "),
        (b"\xff", InvalidJson, "invalid JSON: "),
        (b'{"x":' + b"[" * 100_000, InvalidJson, "invalid JSON: nested too deep"),
        (b"[]", InputError, "invalid, expected 'object', got 'array'"),
        (b"{}", InputError, "prospect: missing"),
        (NOTED.replace(b'"version":2', b'"version":"2"'), InputError, "version: invalid"),
        (NOTED.replace(b"09:00:00Z", b"09:00:00", 1), InputError, "occurred_at: missing zone"),
    ],
    ids=["syntax", "letters", "depth", "array", "empty", "version", "naive"],
)
def test_what_is_no_event_at_all_is_an_error_that_names_the_field(
    stored: bytes, kind: type[InputError], what: str
) -> None:
    with pytest.raises(kind) as caught:
        decode_event(stored)
    assert caught.value.what.startswith(what)


# Facts --------------------------------------------------------------------------------------------


def test_a_fact_is_read_from_plain_values() -> None:
    reply = parse_fact("ReplyReceived", {"channel": "email", "intent": "question"})
    assert reply == ReplyReceived(Channel("email"), Intent.QUESTION)
    parts = [{"channel": "call", "disposition": "no_answer"}]
    made = parse_fact("AttemptMade", {"parts": parts})
    assert made == AttemptMade((Part(Channel("call"), Disposition.NO_ANSWER),))
    with Cadence.open() as app:
        app.execute("jo", parse_fact("ProspectAdded", {"name": "Jo", "timezone": "UTC"}), at=NOW)
        assert app.execute("jo", reply, at=NOW).events[0].data == reply


def test_an_instant_of_a_fact_may_be_a_text_or_a_datetime_of_any_zone() -> None:
    berlin = NOW.astimezone(timezone(timedelta(hours=1)))
    for at in ("2026-11-02T09:00:00Z", "2026-11-02T10:00:00+01:00", NOW, berlin):
        fact = parse_fact("AppointmentSet", {"at": at})
        assert isinstance(fact, AppointmentSet)
        assert (fact.at, fact.at.tzinfo) == (NOW, UTC)


@pytest.mark.parametrize(
    ("kind", "data", "what"),
    [
        ("ReplyRecieved", {}, "type: unknown 'ReplyRecieved'"),
        ("Unreadable", {"what": "x"}, "type: unknown 'Unreadable'"),
        ("ReplyReceived", {}, "data.channel: missing"),
        ("ReplyReceived", {"channel": 5}, "data.channel: invalid, expected 'str', got 'int'"),
        ("ReplyReceived", {"channel": "E-Mail"}, "data.channel: invalid 'E-Mail'"),
        ("ReplyReceived", {"channel": "email", "intent": "x"}, "data.intent: invalid 'x'"),
        ("ReplyReceived", {"channel": "email", "text": "x"}, "data.text: unknown field"),
        (
            "ReplyReceived",
            {"channel": "email", "type": "ReplyReceived"},
            "data.type: unknown field",
        ),
        ("ReplyReceived", {"channel": object()}, "data: invalid, "),
        ("AppointmentSet", {"at": "2026-11-02T09:00:00"}, "data.at: missing zone, a naive time"),
        ("AppointmentSet", {"at": datetime(2026, 11, 2, 9)}, "data.at: missing zone"),  # noqa: DTZ001
        ("AttemptMade", {"parts": [{"channel": "call"}]}, "data.parts[0].disposition: missing"),
    ],
)
def test_an_error_names_the_field_of_a_fact(kind: str, data: dict[str, object], what: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_fact(kind, data)
    assert caught.value.what.startswith(what)
    assert caught.value.hint
