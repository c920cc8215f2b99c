"""Every text that comes in has a limit; no stored text is held against it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec
import pytest
from clocks import ahead
from msgspec import inspect

from cadence.domain.codec import Line, encode_line
from cadence.domain.events import (
    DATA_TYPES,
    ContactPoint,
    Event,
    GuidelinesAgreed,
    InterestNoted,
    Noted,
    OptOutRequested,
    ProspectAdded,
)
from cadence.domain.fold import fold
from cadence.domain.limits import ADDRESS, ITEMS, NAME, NOTE, TEXTS, check_texts
from cadence.engine.commands import Command
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.transfer.importer import ImportRefused
from cadence.transfer.jsonl import import_jsonl

NOW = datetime(2026, 12, 1, 15, tzinfo=UTC)
ADDED = ProspectAdded("Jo", "UTC")


def text_fields(kind: inspect.Type, name: str, inside: tuple[Any, ...] = ()) -> Iterator[str]:
    """The names of the fields that hold a text, in a type and all that it holds."""
    if isinstance(kind, inspect.StrType):
        yield name
    elif isinstance(kind, inspect.CustomType) and issubclass(kind.cls, str | Enum):
        raise AssertionError(f"{name}: {kind.cls} is unknown to this test")
    elif isinstance(kind, inspect.StructType):
        if kind.cls not in inside:  # a correction holds the data of any event
            for field in kind.fields:
                yield from text_fields(field.type, field.name, (*inside, kind.cls))
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from text_fields(one, name, inside)
    elif isinstance(kind, inspect.VarTupleType | inspect.ListType | inspect.SetType):
        yield from text_fields(kind.item_type, name, inside)
    elif isinstance(kind, inspect.DictType):
        yield from text_fields(kind.value_type, name, inside)


COMMANDS: list[Any] = [Event, Line, *Command.__args__]


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda one: one.__name__)
def test_every_text_of_every_event_and_command_has_a_limit(kind: Any) -> None:
    fields = set(text_fields(inspect.type_info(kind), kind.__name__)) - {"given"}
    assert fields - TEXTS.keys() == set()


def unbounded_numbers(kind: inspect.Type, name: str, inside: tuple[Any, ...] = ()) -> Iterator[str]:
    if isinstance(kind, inspect.FloatType) or (isinstance(kind, inspect.IntType) and not kind.le):
        yield name
    for one in (*getattr(kind, "types", ()), getattr(kind, "item_type", None)):
        if one is not None:
            yield from unbounded_numbers(one, name, inside)
    if getattr(kind, "cls", None) not in inside:
        for field in getattr(kind, "fields", ()):
            yield from unbounded_numbers(field.type, field.name, (*inside, kind.cls))


@pytest.mark.parametrize("kind", DATA_TYPES.values(), ids=lambda one: one.__name__)
def test_every_number_of_every_event_has_a_limit(kind: Any) -> None:
    """JSON has numbers of any size, and the database has not."""
    assert list(unbounded_numbers(inspect.type_info(kind), kind.__name__)) == []


def test_the_table_of_limits_names_no_field_that_there_is_not() -> None:
    fields = {name for kind in COMMANDS for name in text_fields(inspect.type_info(kind), "")}
    assert TEXTS.keys() - fields == set()
    assert {*DATA_TYPES.values()} <= {*COMMANDS}


def test_the_limits_are_those_of_the_docs() -> None:
    assert (TEXTS["name"], TEXTS["address"], TEXTS["note"]) == (500, 500, 20_000)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (ProspectAdded("x" * (NAME + 1), "UTC"), "data.name"),
        (ProspectAdded("Jo", ("UTC", "x" * 501)), r"data.timezone\[1\]"),
        (
            ProspectAdded("Jo", "UTC", contact_points=(ContactPoint("call", "1" * 501),)),
            r"data.contact_points\[0\].address",
        ),
        (InterestNoted("x" * (NOTE + 1)), "data.text"),
        (GuidelinesAgreed("x" * (NOTE + 1)), "data.note"),
        (Noted("demo", {"outcome": "x" * (NOTE + 1)}), "data.data.outcome"),
        (Noted("demo", {"x" * (NAME + 1): ""}), "data.data.xxxxxxxxxxxxxxxxxxxx…"),
        (OptOutRequested(except_channels=("sms",) * (ITEMS + 1)), "data.except_channels"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_command_and_a_line_with_a_text_that_is_too_long_name_its_field(
    data: Any, field: str
) -> None:
    with Cadence.open(None) as app:
        if not isinstance(data, ProspectAdded):
            app.execute("jo", ADDED, at=NOW)
        with pytest.raises(InputError, match=f"^{field}: invalid, "):
            app.execute("jo", data, at=NOW)
        stored = [encode_line(event) for event in app.history("jo")] if app.count() else []
        bad = encode_line(Event("jo", len(stored) + 1, NOW, NOW, data))
        with pytest.raises(ImportRefused) as caught:
            import_jsonl(app, [*stored, bad, bad], at=ahead())
        if stored:
            assert len(app.history("jo")) == len(stored)
        else:
            assert app.count() == 0
    numbers = [line.number for line in caught.value.lines]
    assert numbers == [len(stored) + 1, len(stored) + 2]
    assert field.replace("\\", "") in caught.value.lines[0].what


@pytest.mark.parametrize("field", ["by", "correlation", "command_id"])
def test_who_and_why_a_command_came_has_a_limit(field: str) -> None:
    with Cadence.open(None) as app:
        app.execute("jo", ADDED, at=NOW, **{field: "x" * NAME})
        with pytest.raises(InputError, match=f"^{field}: invalid, 501 characters"):
            app.execute("jo", InterestNoted("x"), at=NOW, **{field: "x" * (NAME + 1)})


def test_a_text_of_just_the_limit_is_taken() -> None:
    check_texts(ProspectAdded("x" * NAME, "UTC", owner="x" * NAME))
    check_texts(ContactPoint("email", "x" * ADDRESS))
    check_texts(InterestNoted("é" * NOTE))
    check_texts(Noted("demo", {str(number): "" for number in range(ITEMS)}))


def test_folding_takes_any_text_that_is_stored() -> None:
    long = "x" * 1_000_000
    events = [
        Event("jo", 1, NOW, NOW, msgspec.structs.replace(ADDED, name=long)),
        Event("jo", 2, NOW, NOW, InterestNoted(long), by=long, meta={long: long}),
    ]
    prospect = fold(None, events)
    assert prospect is not None
    assert prospect.identity.name == long
