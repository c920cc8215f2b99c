"""Rows of a record that was merged count in the record that goes on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cadence.domain.channels import EMAIL
from cadence.domain.codec import encode_line
from cadence.domain.events import (
    MERGED_FROM,
    AttemptMade,
    ContactPointAdded,
    Event,
    EventRetracted,
    OptOutRequested,
    ReplyReceived,
)
from cadence.domain.stages import Stage
from cadence.store import Cadence
from cadence.transfer.importer import ImportResult, import_all
from cadence.transfer.jsonl import import_jsonl
from cadence.transfer.mapped_csv import MappedCsvSource
from cadence.transfer.mapping_loader import read_mapping

MAPPING = """
name = "ours"
format = "csv"
[prospect]
id = { from = "id" }
timezone = { from = "timezone" }
name = { from = "name" }
owner = { from = "owner" }
contact_points = [{ channel = "call", address = { from = "phone" } }]
[record]
id = { from = "no" }
at = { from = "at", formats = ["iso"] }
[[rules]]
event = "attempt"
channel = "call"
disposition = "no_answer"
"""
COLUMNS = ("no", "at", "id", "timezone", "name", "owner", "phone")
LATER = datetime(2026, 6, 1, tzinfo=UTC)
MERGED_AT = datetime(2026, 4, 1, tzinfo=UTC)


def row(prospect: str, number: int, day: int, **said: str) -> dict[str, str]:
    at = f"2026-03-{day:02}T14:05:00Z"
    return {"no": str(number), "at": at, "id": prospect, "timezone": "America/New_York", **said}


def imported(app: Cadence, *rows: dict[str, str]) -> ImportResult:
    lines = [",".join(COLUMNS)]
    lines += [",".join(one.get(name, "") for name in COLUMNS) for one in rows]
    content = io.BytesIO("\n".join(lines).encode())
    mapping = read_mapping(MAPPING, "ours.toml")
    return import_all(app, MappedCsvSource(mapping, content, "file.csv"), at=LATER)


FIRST = (row("one", 1, 2, name="Ada Brook"), row("two", 2, 3, name="Ada B."))


@pytest.fixture
def app() -> Iterator[Cadence]:
    with Cadence.open() as opened:
        imported(opened, *FIRST)
        opened.merges.merge("two", "one", why="one person", at=MERGED_AT)
        yield opened


def attempts(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event.data, AttemptMade)]


def test_the_same_file_once_more_changes_nothing(app: Cadence) -> None:
    before = list(app.histories.all())
    result = imported(app, *FIRST)
    assert (result.events, result.skipped) == (0, 3)
    assert list(app.histories.all()) == before


def test_a_new_row_of_the_merged_record_is_one_of_the_survivor(app: Cadence) -> None:
    assert imported(app, *FIRST, row("two", 3, 9)).events == 1
    made = attempts(app.history("one"))[-1]
    assert made.command_id is not None
    assert made.meta is not None
    assert made.meta[MERGED_FROM] == "two"
    assert len(app.load("one").silence.attempts) == 3
    assert imported(app, *FIRST, row("two", 3, 9)).events == 0


def test_what_rows_say_of_who_the_merged_record_is_changes_no_one(app: Cadence) -> None:
    result = imported(app, row("two", 2, 3, name="Ada Lane", owner="kim"))
    assert result.events == 0
    assert app.load("one").identity.name == "Ada Brook"
    assert app.load("one").identity.owner is None


def test_what_came_by_import_goes_back_when_the_merge_is_taken_back(app: Cadence) -> None:
    imported(app, *FIRST, row("two", 3, 9))
    app.merges.unmerge("two", why="two people", at=LATER)
    assert len(attempts(app.history("two"))) == 2
    assert app.load("two").stage is Stage.SPACED
    assert imported(app, *FIRST, row("two", 3, 9)).events == 0


def lines(*events: Event, versions: bool = False) -> list[bytes]:
    made = [(encode_line(event), f'"version":{event.version},'.encode()) for event in events]
    return [line if versions else line.replace(version, b"") for line, version in made]


def test_lines_without_a_version_go_to_the_survivor_and_others_stay(app: Cadence) -> None:
    reply = Event("two", 9, MERGED_AT, LATER, ReplyReceived(EMAIL))
    old = app.history("two")
    result = import_jsonl(app, [*lines(*old, versions=True), *lines(reply)], at=LATER)
    assert result.events == 1
    assert app.load("one").stage is Stage.ENGAGED
    assert app.history("two") == old
    assert import_jsonl(app, lines(reply), at=LATER).events == 0


def test_an_opt_out_in_the_old_stream_still_stops_the_address(app: Cadence) -> None:
    app.execute("one", ContactPointAdded(EMAIL, "ada@example.com"), at=MERGED_AT)
    app.merges.unmerge("two", why="wrong", at=MERGED_AT)
    app.execute("two", ContactPointAdded(EMAIL, "ada@example.com"), at=MERGED_AT)
    app.merges.merge("two", "one", why="one person", at=MERGED_AT)
    version = app.load("two").version + 1
    word = Event("two", version, MERGED_AT, LATER, OptOutRequested())
    assert import_jsonl(app, lines(word, versions=True), at=LATER).events == 1
    assert [one.prospect for one in app.load("one").elsewhere.words] == ["two"]


def test_a_whole_export_with_a_merge_comes_back_as_it_was(app: Cadence) -> None:
    app.execute("two", EventRetracted(2, "wrong"), at=MERGED_AT + timedelta(days=1), by="ann")
    app.execute("two", ReplyReceived(EMAIL), at=MERGED_AT + timedelta(days=2))
    exported = [line for history in app.histories.all() for line in lines(*history, versions=True)]
    with Cadence.open() as other:
        import_jsonl(other, exported, at=LATER)
        assert list(other.histories.all()) == list(app.histories.all())
        assert other.load("one") == app.load("one")
        assert other._recorder.address_rows(None, "~") == app._recorder.address_rows(None, "~")
        assert import_jsonl(other, exported, at=LATER).events == 0
