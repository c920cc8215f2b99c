"""The errors of bad lines, word for word, and the last values that are good."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cadence.domain import decode_line
from cadence.domain.codec import check_id, parse_instant
from cadence.errors import InputError

AT = "2026-12-01T14:00:00Z"
ID_HINT = "use 1 to 200 printable characters, not only spaces"
NAIVE = "give instants like 2026-12-01T14:00:00Z"
TABLE = "use the table of events in the docs"


def line(**changed: Any) -> str:
    whole = {
        "prospect": "kim",
        "type": "InterestNoted",
        "occurred_at": AT,
        "data": {"text": "boats"},
        **changed,
    }
    return json.dumps({name: value for name, value in whole.items() if value is not ...})


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        (
            "{",
            "invalid JSON: Input data was truncated",
            "give one whole JSON object a line, in UTF-8",
        ),
        (
            line(data="X").replace('"X"', "[" * 9999 + "]" * 9999),
            "invalid JSON: nested too deep",
            "give one whole JSON object a line, in UTF-8",
        ),
        (line(prospect=...), "prospect: missing", "give this field"),
        (line(data={}), "data.text: missing", "give this field"),
        (
            line(extra=1),
            "extra: unknown field",
            "fix its name, or leave the field out",
        ),
        (
            line(data={"text": "a", "extra": 1}),
            "data.extra: unknown field",
            "fix its name, or leave the field out",
        ),
        (line(data={"text": 7}), "data.text: invalid, expected 'str', got 'int'", TABLE),
        (
            line(type="ReplyReceived", data={"channel": "Fax"}),
            "data.channel: invalid 'Fax'",
            "use one of call, email, sms, mail, video_email, or a name such as whatsapp in lower "
            "case",
        ),
        (line(prospect=7), "prospect: invalid, expected 'str', got 'int'", TABLE),
        (
            line(occurred_at="2026-12-01T14:00:00"),
            "occurred_at: missing zone, a naive time",
            NAIVE,
        ),
        (
            line(type="AppointmentSet", data={"at": "2026-12-01T14:00:00"}),
            "data.at: missing zone, a naive time",
            NAIVE,
        ),
        (line(version=0), "version: invalid 0", "use 1, 2, 3 …, in order"),
        (
            line(version=1_000_000_001),
            "version: invalid 1000000001",
            "use 1, 2, 3 …, in order",
        ),
        (
            line(type="InterestNotd"),
            "type: unknown 'InterestNotd'",
            "use InterestNoted",
        ),
        (
            line(data={"text": "a", "type": "InterestNoted"}),
            "data.type: unknown field",
            "give the type beside data, not in it",
        ),
        (line(prospect=" "), "prospect: invalid id ' '", ID_HINT),
    ],
)
def test_the_error_of_a_bad_line_names_the_field_and_how_to_fix_it(
    text: str, what: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        decode_line(text)
    assert (caught.value.what, caught.value.hint) == (what, hint)


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        (
            "tomorrow",
            "until: invalid instant 'tomorrow'",
            "give it like 2026-12-01T14:00:00Z or 2026-12-01T09:00:00-05:00",
        ),
        (
            "2026-12-01T14:00:00",
            "until: missing zone in '2026-12-01T14:00:00', a naive time",
            "give Z or an offset, like 2026-12-01T14:00:00Z",
        ),
        (
            "2200-01-01T00:00:00Z",
            "until: invalid 2200-01-01T00:00:00+00:00, out of range",
            "use an instant in the years 1970 to 2199",
        ),
    ],
)
def test_the_error_of_a_bad_instant_names_the_field_and_how_to_give_it(
    text: str, what: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        parse_instant(text, "until")
    assert (caught.value.what, caught.value.hint) == (what, hint)


def test_the_largest_version_is_read() -> None:
    found = decode_line(line(version=1_000_000_000))
    assert (found.version, found.occurred_at) == (
        1_000_000_000,
        datetime(2026, 12, 1, 14, tzinfo=UTC),
    )


def test_an_id_has_up_to_200_characters_and_a_longer_one_is_shown_by_its_beginning() -> None:
    check_id("x")
    check_id("x" * 200)
    with pytest.raises(InputError) as caught:
        check_id("x" * 201)
    assert caught.value.what == f"prospect: invalid id '{'x' * 20}'…"
    for bad in ("", "  ", "a\nb", "\x7f", "x" * 199 + "\n"):
        with pytest.raises(InputError) as caught:
            check_id(bad)
        assert (caught.value.what, caught.value.hint) == (f"prospect: invalid id {bad!r}", ID_HINT)
