"""The shapes of values: immutable, strict about what they read, and empty until something is said.

Histories are shared between threads and kept for ever, so no value of the pure rooms may change
after it was made; and a field that is misspelt in a stored or imported event is an error, never
silently dropped.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

import cadence.domain
import cadence.engine
import cadence.policy
import cadence.prover
from cadence.domain import (
    Attempt,
    AttemptMade,
    AttemptStage,
    ContactPoint,
    ContactPointAdded,
    Disposition,
    Event,
    Gap,
    GuidelinesAgreed,
    Noted,
    Part,
    PolicyAdopted,
    PolicyRef,
    Prospect,
    ProspectAdded,
    ProspectUpdated,
    Silence,
    Stage,
    decode_line,
    fold,
)
from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import DATA_TYPES, type_name
from cadence.domain.prospect import NO_GAP, Response, ResponseKind
from cadence.engine import MakeAttempt

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
PART = Part(CALL, Disposition.NO_ANSWER)


def structs() -> Iterator[type[msgspec.Struct]]:
    for room in (cadence.domain, cadence.policy, cadence.engine, cadence.prover):
        for found in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            module = importlib.import_module(found.name)
            for one in vars(module).values():
                if (
                    inspect.isclass(one)
                    and issubclass(one, msgspec.Struct)
                    and one.__module__ == module.__name__
                ):
                    yield one


STRUCTS = sorted(set(structs()), key=lambda one: (one.__module__, one.__qualname__))
READ = [
    one for one in STRUCTS if one.__module__ in ("cadence.domain.events", "cadence.policy.model")
]


def test_there_are_structs_to_look_at() -> None:
    assert {Event, Prospect, MakeAttempt, *DATA_TYPES.values()} <= set(STRUCTS)
    assert {Event, Part, ContactPoint, Gap, PolicyRef} <= set(READ)


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__qualname__)
def test_no_value_of_the_pure_rooms_can_be_changed(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen


READ_OUTSIDE = [
    one
    for one in READ
    if one.__struct_fields__ and one.__qualname__ not in ("PlannedTouch",)  # made, never read
]


@pytest.mark.parametrize("kind", READ_OUTSIDE, ids=lambda kind: kind.__qualname__)
def test_whatever_is_read_from_outside_takes_no_field_that_nobody_knows(
    kind: type[msgspec.Struct],
) -> None:
    assert kind.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (ContactPoint, {"channel": "call", "address": "+1"}),
        (Part, {"channel": "call", "disposition": "sent"}),
        (Gap, {"business_days": 1, "minutes": 0}),
        (PolicyRef, {"name": "tip8", "version": 1, "digest": "d"}),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_field_misspelt_inside_an_event_is_an_error(
    kind: type[msgspec.Struct], plain: dict[str, Any]
) -> None:
    msgspec.convert(plain, kind)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**plain, "adress": "+1"}, kind)


def test_what_was_not_given_is_left_out_of_the_json() -> None:
    assert msgspec.to_builtins(PART) == {"channel": "call", "disposition": "no_answer"}
    assert msgspec.to_builtins(AttemptMade((PART,))).keys() == {"type", "parts"}
    event = Event("kim", 1, NOON, NOON, GuidelinesAgreed())
    assert msgspec.to_builtins(event).keys() == {
        "prospect",
        "version",
        "occurred_at",
        "recorded_at",
        "data",
    }


def read(name: str, data: dict[str, Any]) -> Any:
    line = {"prospect": "kim", "type": name, "occurred_at": "2026-12-01T14:00:00Z", "data": data}
    return decode_line(msgspec.json.encode(line)).data


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("ContactPointAdded", {"channel": "call", "address": ""}),
        ("ProspectAdded", {"name": "Kim", "timezone": []}),
        ("ProspectUpdated", {"timezone": []}),
        ("PolicyAdopted", {"name": "tip8", "version": 0, "digest": "d"}),
        ("PolicyAdopted", {"name": "tip8", "version": 1_000_000_001, "digest": "d"}),
        ("AttemptMade", {"parts": []}),
    ],
)
def test_a_value_just_out_of_range_is_an_error(name: str, data: dict[str, Any]) -> None:
    with pytest.raises(cadence.InputError):
        read(name, data)


def test_the_smallest_and_largest_values_are_read() -> None:
    added = read("ContactPointAdded", {"channel": "call", "address": "1"})
    assert added == ContactPointAdded(CALL, "1")
    assert read("ProspectUpdated", {"timezone": ["UTC"]}) == ProspectUpdated(timezone=("UTC",))
    for version in (1, 1_000_000_000):
        adopted = read("PolicyAdopted", {"name": "n", "version": version, "digest": "d"})
        assert adopted == PolicyAdopted("n", version, "d")


def test_an_attempt_has_a_call_or_a_conversation_if_any_part_is_one() -> None:
    email = Part(EMAIL, Disposition.SENT)
    spoken = Part(CALL, Disposition.CONNECTED)
    assert [AttemptMade(parts).has_call for parts in ((email,), (email, PART))] == [False, True]
    assert [AttemptMade(parts).connected for parts in ((PART,), (PART, spoken))] == [False, True]


def test_an_event_is_known_to_the_store_by_its_prospect_and_version() -> None:
    event = Event("kim", 7, NOON, NOON, GuidelinesAgreed())
    assert (event.originator_id, event.originator_version) == ("kim", 7)
    assert type_name(event.data) == "GuidelinesAgreed"


# Before anything was said -------------------------------------------------------------------------


def test_a_prospect_of_whom_nothing_is_known_has_the_defaults() -> None:
    # A team's own event says nothing about the prospect.
    folded = fold(None, [Event("kim", 1, NOON, NOON, Noted("demo"))])
    response = Response(ResponseKind.ADDED, NOON, NOON, 1)
    assert folded == Prospect("kim", 1, NOON, Stage.NEW, NOON, Silence(response), NOON, NOON)


def test_in_a_new_silence_nothing_has_been_counted() -> None:
    silence = Silence(Response(ResponseKind.ADDED, NOON, NOON, 1))
    assert (silence.spaced_calls, silence.largest_gap) == (0, Gap(0, 0))
    assert (silence.attempts, silence.suspensions, silence.unmeasured) == ((), (), ())
    assert Gap(0, 0) == NO_GAP


def test_a_first_attempt_by_email_is_no_spaced_call_and_is_measured_from_none() -> None:
    parts = (Part(EMAIL, Disposition.SENT, "j@x"),)
    added = ProspectAdded("Kim", "UTC")
    made = AttemptMade(parts, AttemptStage.SPACED, "spaced#1")
    folded = fold(None, [Event("kim", 1, NOON, NOON, added), Event("kim", 2, NOON, NOON, made)])
    assert folded is not None
    assert folded.silence.attempts == (
        Attempt(NOON, 2, AttemptStage.SPACED, "spaced#1", None, parts),
    )
