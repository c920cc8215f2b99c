"""What a bad line is told, word for word, and the last values that are good."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cadence.domain import decode_line
from cadence.domain.codec import check_id
from cadence.errors import InputError

AT = "2026-12-01T14:00:00Z"
ID_MEND = "an id is 1 to 200 printable characters, not only spaces"
NAIVE = "write instants like 2026-12-01T14:00:00Z"
TABLE = "see the table of events in docs/events.md"


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
            "not a JSON object: Input data was truncated",
            "each line must be one whole JSON object, in UTF-8",
        ),
        (
            line(data="X").replace('"X"', "[" * 9999 + "]" * 9999),
            "not a JSON object: nested too deep",
            "each line must be one whole JSON object, in UTF-8",
        ),
        (line(prospect=...), "object missing required field 'prospect'", "add the field"),
        (line(data={}), "data: object missing required field 'text'", "add the field"),
        (
            line(extra=1),
            "object contains unknown field 'extra'",
            "remove or rename the field",
        ),
        (
            line(data={"text": "a", "extra": 1}),
            "data: object contains unknown field 'extra'",
            "remove or rename the field",
        ),
        (line(data={"text": 7}), "data.text: expected 'str', got 'int'", TABLE),
        (line(prospect=7), "prospect: expected 'str', got 'int'", TABLE),
        (
            line(occurred_at="2026-12-01T14:00:00"),
            "occurred_at: a naive time, without a zone",
            NAIVE,
        ),
        (
            line(type="AppointmentSet", data={"at": "2026-12-01T14:00:00"}),
            "data.at: a naive time, without a zone",
            NAIVE,
        ),
        (line(version=0), "version: out of range", "versions count 1, 2, 3 …"),
        (line(version=1_000_000_001), "version: out of range", "versions count 1, 2, 3 …"),
        (
            line(type="InterestNotd"),
            "type: unknown 'InterestNotd'",
            "use InterestNoted",
        ),
        (
            line(data={"text": "a", "type": "InterestNoted"}),
            "data.type: no such field",
            "the type stands beside data, not in it",
        ),
        (line(prospect=" "), "prospect: ' ' is no id", ID_MEND),
    ],
)
def test_a_bad_line_is_told_which_field_is_wrong_and_how_to_mend_it(
    text: str, what: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        decode_line(text)
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
    assert caught.value.what == f"prospect: '{'x' * 20}'… is no id"
    for bad in ("", "  ", "a\nb", "\x7f", "x" * 199 + "\n"):
        with pytest.raises(InputError) as caught:
            check_id(bad)
        assert (caught.value.what, caught.value.hint) == (f"prospect: {bad!r} is no id", ID_MEND)
