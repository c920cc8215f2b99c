"""One event, one line of JSON: the contract of section 8, and nothing else gets in."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import data_strategies, event, events_data, filled, instants, prospect_ids, texts

from cadence.domain.channels import CALL
from cadence.domain.codec import decode_line, encode_line, parse_instant, to_builtins
from cadence.domain.events import (
    DATA_TYPES,
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    Disposition,
    Event,
    Gap,
    InterestNoted,
    Part,
    PolicyRef,
    ProspectAdded,
    type_name,
)
from cadence.errors import InputError

AT = "2026-12-01T14:00:00Z"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
VALID = {
    "ProspectAdded": {"name": "Jerry", "timezone": "Europe/Berlin"},
    "ProspectUpdated": {"owner": "ann"},
    "ContactPointAdded": {"channel": "call", "address": "+491"},
    "ContactPointFailed": {"channel": "call", "address": "+491"},
    "ContactPointRestored": {"channel": "call", "address": "+491", "why": "they rang back"},
    "ContactPointRemoved": {"channel": "call", "address": "+491", "why": "never theirs"},
    "AddressesRead": {"contact_points": []},
    "Noted": {"kind": "demo"},
    "GuidelinesAgreed": {},
    "PreferenceStated": {"hours": "18:00-20:00"},
    "InterestNoted": {"text": "the pain"},
    "ValueNoted": {"id": "v", "text": "a reason", "kind": "personal"},
    "AppointmentSet": {"at": AT},
    "AppointmentCancelled": {},
    "AttemptMade": {"parts": [{"channel": "call", "disposition": "no_answer"}]},
    "ReplyReceived": {"channel": "email"},
    "AutoReplyReceived": {"channel": "email"},
    "PauseRequested": {"until": AT},
    "ReferralGiven": {"name": "Elaine"},
    "OptOutRequested": {},
    "OptedBackIn": {},
    "SamePersonDenied": {"prospect": "jerry-2", "why": "two people of one house"},
    "ProspectsMerged": {
        "prospect": "jerry-2",
        "history": [
            {
                "prospect": "jerry-2",
                "version": 1,
                "type": "AttemptMade",
                "occurred_at": AT,
                "recorded_at": AT,
                "data": {"parts": [{"channel": "call", "disposition": "no_answer"}]},
            }
        ],
        "why": "one email address",
    },
    "PolicyAdopted": {"name": "tip8", "version": 1, "digest": "00"},
    "FollowUpEnded": {"reason": "bought"},
    "FollowUpReopened": {"why": "they came back"},
    "EventRetracted": {"version": 2},
    "EventCorrected": {"version": 2, "data": {"type": "InterestNoted", "text": "the price"}},
}
# The table of section 4, field by field.
FIELDS = {
    "ProspectAdded": "name timezone country subdivision contact_points source owner given_name "
    "family_name salutation language company policy",
    "ProspectUpdated": "name timezone country subdivision owner given_name family_name salutation "
    "language company",
    "ContactPointAdded": "channel address reason key",
    "ContactPointFailed": "channel address reason key why",
    "ContactPointRestored": "channel address why key",
    "ContactPointRemoved": "channel address why key",
    "AddressesRead": "contact_points",
    "Noted": "kind data",
    "GuidelinesAgreed": "note",
    "PreferenceStated": "channel hours",
    "InterestNoted": "text",
    "ValueNoted": "id text kind",
    "AppointmentSet": "at",
    "AppointmentCancelled": "",
    "AttemptMade": "parts stage step touch gap value policy broke why gap_from note",
    "ReplyReceived": "channel intent",
    "AutoReplyReceived": "channel until",
    "PauseRequested": "until",
    "ReferralGiven": "name contact_points",
    "OptOutRequested": "channel except_channels address key",
    "OptedBackIn": "channel address key why lifts",
    "SamePersonDenied": "prospect why",
    "ProspectsMerged": "prospect history why keep gap",
    "PolicyAdopted": "name version digest not_before",
    "FollowUpEnded": "reason into",
    "FollowUpReopened": "why",
    "EventRetracted": "version why",
    "EventCorrected": "version data occurred_at why",
}
ANY_EVENT = st.tuples(prospect_ids(), st.integers(1, 10**9)).flatmap(lambda key: event(*key))


SMALLEST = object()


def line(kind="InterestNoted", data=SMALLEST, **envelope):
    found = {
        "prospect": "jerry",
        "version": 3,
        "type": kind,
        "occurred_at": AT,
        "recorded_at": AT,
        "data": VALID.get(kind, {}) if data is SMALLEST else data,
        **envelope,
    }
    return json.dumps({key: value for key, value in found.items() if value is not ...})


def error_of(text):
    with pytest.raises(InputError) as caught:
        decode_line(text)
    assert "\n" not in caught.value.what
    assert caught.value.hint
    assert caught.value.exit_code == 2
    return caught.value


def test_there_are_the_types_of_the_design_under_their_stable_names():
    assert set(DATA_TYPES) == set(FIELDS) == set(VALID)
    for name, cls in DATA_TYPES.items():
        assert [field.name for field in msgspec.structs.fields(cls)] == FIELDS[name].split()


@pytest.mark.parametrize("name", DATA_TYPES)
def test_the_smallest_data_of_every_type_is_read_and_written_as_it_stands(name):
    found = decode_line(line(name))
    assert type(found.data) is DATA_TYPES[name]
    made = Event(found.prospect, 3, found.occurred_at, found.recorded_at, found.data)
    assert json.loads(encode_line(made)) == json.loads(line(name))


@pytest.mark.parametrize("name", DATA_TYPES)
def test_every_type_survives_a_round_trip(name):
    @given(data_strategies()[DATA_TYPES[name]], instants(), instants())
    def check(data, occurred, recorded):
        made = Event("p", 1, occurred, recorded, data)
        found = decode_line(encode_line(made))
        assert found.data == data
        assert type(found.data) is type(data)
        assert found.given == filled(data)

    check()


@given(ANY_EVENT)
def test_a_whole_event_survives_a_round_trip(made):
    encoded = encode_line(made)
    found = decode_line(encoded)
    assert (
        Event(
            found.prospect,
            found.version,
            found.occurred_at,
            found.recorded_at,
            found.data,
            found.by,
            found.correlation,
            found.command_id,
            found.uncertain,
            found.meta,
        )
        == made
    )
    assert decode_line(encoded.decode()) == found


@given(ANY_EVENT)
def test_a_line_is_one_line_of_utf8_with_exactly_the_keys_of_the_contract(made):
    encoded = encode_line(made)
    assert b"\n" not in encoded
    assert b"\r" not in encoded
    found = json.loads(encoded.decode("utf-8"))
    keys = ["prospect", "version", "type", "occurred_at", "recorded_at", "data"]
    maybe = ("by", "correlation", "command_id", "uncertain", "meta")
    keys += [key for key in maybe if getattr(made, key) is not None]
    assert list(found) == keys
    assert found["type"] == type_name(made.data) == type(made.data).__name__
    assert set(found["data"]) == filled(made.data)
    assert found == json.loads(json.dumps(to_builtins(made)))


@given(instants(), instants(), instants())
def test_instants_are_written_in_utc_with_z_and_keep_their_microseconds(occurred, recorded, at):
    found = json.loads(encode_line(Event("p", 1, occurred, recorded, AppointmentSet(at))))
    written = (found["occurred_at"], found["recorded_at"], found["data"]["at"])
    for text, instant in zip(written, (occurred, recorded, at), strict=True):
        assert text.endswith("Z")
        assert "+" not in text
        assert datetime.fromisoformat(text) == instant


@given(instants(), st.integers(-23 * 60, 23 * 60))
def test_an_instant_with_any_offset_is_read_as_the_same_instant_in_utc(instant, minutes):
    tz = timezone(timedelta(minutes=minutes))
    if not 1971 <= instant.year <= 2198:
        return
    text = instant.astimezone(tz).isoformat()
    found = decode_line(line("AppointmentSet", {"at": text}, occurred_at=text, recorded_at=text))
    for read in (found.occurred_at, found.recorded_at, found.data.at, parse_instant(text, "at")):
        assert read == instant
        assert read.tzinfo is UTC


@given(texts())
def test_any_text_is_kept_to_the_letter(text):
    made = Event("p", 1, NOON, NOON, InterestNoted(text))
    assert decode_line(encode_line(made)).data == InterestNoted(text)


def test_version_and_recorded_at_may_be_missing():
    found = decode_line(line(version=..., recorded_at=...))
    assert found.version is None
    assert found.recorded_at is None


def test_a_line_says_which_data_fields_it_gave_itself():
    data = {"parts": VALID["AttemptMade"]["parts"], "stage": "spaced"}
    assert decode_line(line("AttemptMade", data)).given == {"parts", "stage"}


@pytest.mark.parametrize("name", DATA_TYPES)
def test_a_type_misspelt_is_named_with_the_nearest_spelling(name):
    error = error_of(line(name[:-1] + name[-1].upper(), {}))
    assert error.what.startswith("type: ")
    assert name in error.hint


def test_a_type_unlike_any_is_told_all_of_them():
    error = error_of(line("zzz", {}))
    assert all(name in error.hint for name in DATA_TYPES)


@pytest.mark.parametrize(
    "name",
    ["AttemptMade.1", "AttemptMade.2", "attemptmade", "", "cadence.domain.events.AttemptMade"],
)
def test_only_the_stable_names_are_types(name):
    assert error_of(line(name, VALID["AttemptMade"])).what.startswith("type: ")


@pytest.mark.parametrize("name", ["prospect", "type", "occurred_at", "data"])
def test_a_missing_envelope_field_is_named(name):
    assert error_of(line(**{name: ...})).what == f"{name}: missing"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field.name)
        for name, cls in DATA_TYPES.items()
        for field in msgspec.structs.fields(cls)
        if field.required
    ],
)
def test_a_missing_data_field_is_named(name, field):
    data = {key: value for key, value in VALID[name].items() if key != field}
    assert error_of(line(name, data)).what == f"data.{field}: missing"


@pytest.mark.parametrize("name", DATA_TYPES)
def test_an_unknown_data_field_is_named(name):
    error = error_of(line(name, {**VALID[name], "colour": "red"}))
    assert error.what == "data.colour: unknown field"


@pytest.mark.parametrize("name", DATA_TYPES)
def test_the_type_does_not_stand_inside_the_data(name):
    assert error_of(line(name, {**VALID[name], "type": name})).what.startswith("data.type: ")


def test_an_unknown_envelope_field_is_named():
    assert error_of(line(colour="red")).what == "colour: unknown field"


@pytest.mark.parametrize(
    ("field", "inner"),
    [
        ("data.parts[0]", {"parts": [{"channel": "call", "disposition": "busy", "colour": 1}]}),
        ("data.gap", {"gap": {"business_days": 1, "minutes": 0, "colour": 1}}),
        ("data.policy", {"policy": {"name": "a", "version": 1, "digest": "0", "colour": 1}}),
    ],
)
def test_an_unknown_field_deep_in_the_data_is_named_with_its_place(field, inner):
    error = error_of(line("AttemptMade", {**VALID["AttemptMade"], **inner}))
    assert error.what == f"{field}.colour: unknown field"


@pytest.mark.parametrize(
    ("name", "data", "field"),
    [
        ("InterestNoted", {"text": 4}, "data.text"),
        ("InterestNoted", {"text": None}, "data.text"),
        ("InterestNoted", [], "data"),
        ("InterestNoted", "text", "data"),
        ("ProspectAdded", {"name": "J", "timezone": 4}, "data.timezone"),
        ("ProspectAdded", {"name": "J", "timezone": ["UTC", 4]}, "data.timezone[1]"),
        ("ReplyReceived", {"channel": "Fax"}, "data.channel"),
        ("ReplyReceived", {"channel": "by fax"}, "data.channel"),
        ("ReplyReceived", {"channel": "call", "intent": "perhaps"}, "data.intent"),
        ("FollowUpEnded", {"reason": "bored"}, "data.reason"),
        ("ContactPointAdded", {"channel": "call", "address": ""}, "data.address"),
        ("AttemptMade", {"parts": []}, "data.parts"),
        ("AttemptMade", {"parts": [{"channel": "call"}]}, "data.parts[0].disposition"),
        (
            "AttemptMade",
            {"parts": [{"channel": "call", "disposition": "asleep"}]},
            "data.parts[0].disposition",
        ),
        (
            "AttemptMade",
            {**VALID["AttemptMade"], "gap": {"business_days": "1", "minutes": 0}},
            "data.gap.business_days",
        ),
        ("AttemptMade", {**VALID["AttemptMade"], "stage": "engaged"}, "data.stage"),
        ("AppointmentSet", {"at": "tomorrow"}, "data.at"),
        ("AppointmentSet", {"at": 1700000000}, "data.at"),
        ("AppointmentSet", {"at": "2026-12-01"}, "data.at"),
        ("AppointmentSet", {"at": "2026-02-30T10:00:00Z"}, "data.at"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_by_its_path(name, data, field):
    assert error_of(line(name, data)).what.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prospect", 4),
        ("prospect", ""),
        ("prospect", "  "),
        ("prospect", "a\nb"),
        ("prospect", "\u202ejerry"),
        ("version", 0),
        ("version", -1),
        ("version", 1.5),
        ("version", "3"),
        ("version", True),
        ("occurred_at", 1700000000),
        ("occurred_at", None),
        ("data", None),
        ("recorded_at", "yesterday"),
        ("by", 4),
        ("correlation", []),
        ("command_id", {}),
        ("uncertain", True),
        ("meta", True),
    ],
)
def test_an_envelope_value_of_the_wrong_kind_is_named(field, value):
    assert error_of(line(**{field: value})).what.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("name", "data", "envelope", "field"),
    [
        ("GuidelinesAgreed", {}, {"occurred_at": "2026-12-01T14:00:00"}, "occurred_at"),
        ("GuidelinesAgreed", {}, {"recorded_at": "2026-12-01T14:00:00"}, "recorded_at"),
        ("AppointmentSet", {"at": "2026-12-01T14:00:00"}, {}, "data.at"),
        ("PauseRequested", {"until": "2026-12-01T14:00:00"}, {}, "data.until"),
        ("AutoReplyReceived", {"channel": "sms", "until": "2026-12-01T14:00:00"}, {}, "data.until"),
        (
            "PolicyAdopted",
            {**VALID["PolicyAdopted"], "not_before": "2026-12-01T14:00:00"},
            {},
            "data.not_before",
        ),
    ],
)
def test_a_naive_time_is_an_error_that_says_so(name, data, envelope, field):
    error = error_of(line(name, data, **envelope))
    assert error.what.startswith(f"{field}: ")
    assert "naive" in error.what
    assert "Z" in error.hint


OUT_OF_RANGE = [
    "1969-12-31T23:59:59Z",
    "2200-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2199-12-31T23:30:00-05:00",
    "1970-01-01T00:30:00+05:00",
]


@pytest.mark.parametrize("text", OUT_OF_RANGE)
def test_an_instant_outside_1970_to_2199_utc_is_an_error(text):
    assert error_of(line(occurred_at=text)).what.startswith("occurred_at: ")
    assert error_of(line(recorded_at=text)).what.startswith("recorded_at: ")
    assert error_of(line("AppointmentSet", {"at": text})).what.startswith("data.at: ")
    with pytest.raises(InputError, match=r"^at: "):
        parse_instant(text, "at")


@pytest.mark.parametrize(
    "text",
    ["1970-01-01T00:00:00Z", "2199-12-31T23:59:59.999999Z", "2199-12-31T23:30:00+00:00"],
)
def test_the_first_and_last_instants_are_in_range(text):
    found = decode_line(line(occurred_at=text))
    again = Event("p", 1, found.occurred_at, found.recorded_at, AppointmentCancelled())
    assert decode_line(encode_line(again)).occurred_at == found.occurred_at


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "[]",
        "[1]",
        "3",
        "1e999",
        "null",
        "true",
        '"text"',
        "{",
        "{}",
        "not json",
        "{'prospect': 'jerry'}",
        '{"prospect": NaN}',
        line() + line(),
        line()[:-1],
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 5000,
        '{"prospect": "\ud800"}',
        '{"prospect": "\\ud800"}',
        b"\xff\xfe\x00{",
        line().encode("utf-16"),
        line().encode().replace(b"the pain", b"\xff"),
        line().encode().replace(b"jerry", b"\xc3\x28"),
    ],
    ids=lambda text: repr(text[:12]).replace("\\", "/"),
)
def test_what_is_no_json_object_in_utf8_is_an_input_error(text):
    error_of(text)


@pytest.mark.parametrize("name", ["InterestNoted", "zzz"])
@pytest.mark.parametrize(
    "deep",
    ["[" * 50_000 + "]" * 50_000, '{"a":' * 50_000 + "1" + "}" * 50_000],
    ids=["arrays", "objects"],
)
def test_deep_nesting_is_an_input_error(name, deep):
    error_of(line(name, {"text": "X"}).replace('"X"', deep))


@pytest.mark.parametrize("digits", [20, 30, 400, 5000])
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_huge_number_is_an_input_error_that_names_the_field(sign, digits):
    number = sign + "9" * digits
    version = line().replace('"version": 3', f'"version": {number}')
    assert error_of(version).what.startswith("version: ")
    adopted = line("PolicyAdopted").replace('"version": 1', f'"version": {number}')
    assert error_of(adopted).what.startswith("data.version: ")
    gap = {**VALID["AttemptMade"], "gap": {"business_days": 7, "minutes": 0}}
    huge = line("AttemptMade", gap).replace('"business_days": 7', f'"business_days": {number}')
    assert error_of(huge).what.startswith("data.gap.business_days: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(DATA_TYPES)), st.data())
def test_any_value_at_any_field_is_read_or_is_an_input_error(name, draw):
    made = json.loads(line(name))
    value = draw.draw(JSON)
    where = draw.draw(st.sampled_from([*made, *(f"data.{f}" for f in FIELDS[name].split())]))
    if where.startswith("data."):
        made["data"] = {**VALID[name], where.removeprefix("data."): value}
    else:
        made[where] = value
    try:
        found = decode_line(json.dumps(made))
    except InputError:
        return
    again = Event(
        found.prospect,
        found.version or 1,
        found.occurred_at,
        found.recorded_at or found.occurred_at,
        found.data,
    )
    assert decode_line(encode_line(again)).data == found.data


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_or_text_are_an_input_error(text):
    error_of(text)


@given(events_data(), st.integers(0, 400), st.integers(0, 255))
def test_a_line_with_one_byte_changed_is_read_or_is_an_input_error(data, position, byte):
    made = bytearray(encode_line(Event("p", 1, NOON, NOON, data)))
    made[position % len(made)] = byte
    with suppress(InputError):
        decode_line(bytes(made))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-12-01T14:00:00Z", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        ("2026-12-01T09:00:00-05:00", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        ("2026-12-01T14:00Z", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        ("2026-12-01T14:00:00.123456Z", datetime(2026, 12, 1, 14, 0, 0, 123456, UTC)),
    ],
)
def test_an_instant_is_read_into_utc(text, instant):
    assert parse_instant(text, "at") == instant
    assert parse_instant(text, "at").tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "now", "2026-12-01T14:00:00", "2026-12-01 14:00", "2026-12-01", "14:00Z", "\x00"]
)
def test_a_text_that_is_no_instant_is_an_error_that_names_what_it_is_for(text):
    with pytest.raises(InputError) as caught:
        parse_instant(text, "until")
    assert caught.value.what.startswith("until: ")


@pytest.mark.parametrize("text", ["2026-12-01T14:00:00", "2026-12-01 14:00", "2026-12-01"])
def test_the_mend_of_a_naive_time_shows_an_instant_that_can_be_read(text):
    with pytest.raises(InputError, match="naive") as caught:
        parse_instant(text, "at")
    shown = caught.value.hint.rpartition("like ")[2]
    assert parse_instant(shown, "at").year == 2026


@given(st.text(max_size=40))
def test_any_text_is_an_instant_or_an_input_error(text):
    with suppress(InputError):
        assert parse_instant(text, "at").tzinfo is UTC


def test_a_gap_is_compared_as_the_pair():
    assert Gap(1, 0) > Gap(0, 10**6)
    assert Gap(3, 0) == Gap(3, 0)
    assert Gap(0, 11) > Gap(0, 10)


def test_events_are_immutable():
    made = Event("p", 1, NOON, NOON, AttemptMade((Part(CALL, Disposition.BUSY),)))
    with pytest.raises(AttributeError):
        made.version = 2
    with pytest.raises(AttributeError):
        made.data.parts = ()
    with pytest.raises(AttributeError):
        PolicyRef("a", 1, "0").name = "b"
    with pytest.raises(AttributeError):
        ProspectAdded("J", "UTC").name = "K"
