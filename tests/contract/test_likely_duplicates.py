"""Who may be another record: found after an import, of a new prospect, and in a whole store."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cadence.domain import ContactPoint, ContactPointRemoved, ProspectAdded, SamePersonDenied
from cadence.domain.channels import CALL, EMAIL, MAIL
from cadence.errors import StoreError
from cadence.store import Cadence
from cadence.store.duplicates import Duplicate, duplicates, duplicates_by_address, first_duplicate
from cadence.transfer import ImportResult, import_jsonl
from cadence.transfer.staging import StagingArea

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
NUMBER = "+1 212 555 0101"


@pytest.fixture
def app(address: str | None) -> Iterator[Cadence]:
    with Cadence.open(address) as opened:
        yield opened


def person(name: str, *points: ContactPoint, company: str | None = None) -> ProspectAdded:
    return ProspectAdded(name, "America/New_York", "US", contact_points=points, company=company)


def call(number: str = NUMBER) -> ContactPoint:
    return ContactPoint(CALL, number)


def email(address: str) -> ContactPoint:
    return ContactPoint(EMAIL, address)


def imported(app: Cadence, *people: tuple[str, str, dict[str, str]]) -> ImportResult:
    """Import people: id, name, and an address for each channel."""
    lines = [
        json.dumps(
            {
                "prospect": prospect,
                "type": "ProspectAdded",
                "occurred_at": "2026-03-02T15:00:00Z",
                "data": {
                    "name": name,
                    "timezone": "America/New_York",
                    "country": "US",
                    "contact_points": [
                        {"channel": channel, "address": address}
                        for channel, address in addresses.items()
                    ],
                },
            }
        )
        for prospect, name, addresses in people
    ]
    return import_jsonl(app, io.BytesIO("\n".join(lines).encode()))


def test_an_import_names_who_has_an_address_of_a_stored_record(app: Cadence) -> None:
    app.execute("jerry", person("Jerry Doe", call(), email("jerry@example.com")), at=NOW)
    done = imported(
        app,
        ("a-new", "Jerry Doe", {"call": "(212) 555-0101", "email": "JERRY@example.com"}),
        ("kim", "Kim Lee", {"email": "kim@example.com"}),
    )
    keys = ("+12125550101", "jerry@example.com")
    assert done.duplicates == (1, (Duplicate("a-new", "jerry", keys, True),))
    assert done.to_dict()["duplicates"] == {
        "people": 1,
        "first": [
            {"prospect": "a-new", "other": "jerry", "keys": list(keys), "has_same_name": True}
        ],
    }


def test_an_import_names_who_is_twice_in_the_file_once(app: Cadence) -> None:
    done = imported(
        app,
        ("one", "Kim Lee", {"email": "kim@example.com"}),
        ("two", "K. Lee", {"email": "kim@example.com"}),
    )
    assert done.duplicates == (1, (Duplicate("two", "one", ("kim@example.com",), False),))


def test_an_import_that_changes_no_record_names_none(app: Cadence) -> None:
    both = (
        ("one", "Kim Lee", {"email": "kim@example.com"}),
        ("two", "Kim Lee", {"email": "kim@example.com"}),
    )
    assert imported(app, *both).duplicates.people == 1
    again = imported(app, *both)
    assert again.duplicates == (0, ())
    assert "duplicates" not in again.to_dict()


def test_five_people_are_named_and_all_are_counted(app: Cadence) -> None:
    people = [(f"p{number}", "Kim", {"email": "kim@example.com"}) for number in range(9)]
    done = imported(app, *people)
    assert done.duplicates.people == 8
    assert [one.prospect for one in done.duplicates.first] == ["p1", "p2", "p3", "p4", "p5"]


def test_one_of_the_same_name_is_named_before_others(app: Cadence) -> None:
    app.execute("ann", person("Ann Doe", call(), email("doe@example.com")), at=NOW)
    app.execute("jerry", person("Jerry Doe", call()), at=NOW)
    done = imported(app, ("new", "Jerry Doe", {"call": NUMBER, "email": "doe@example.com"}))
    assert done.duplicates.first == (Duplicate("new", "jerry", ("+12125550101",), True),)
    found = first_duplicate(app, app.load("new"))
    assert found == done.duplicates.first[0]


@pytest.mark.parametrize("how", ["line", "street", "house", "told apart", "merged", "removed"])
def test_who_may_not_be_the_same_person_is_not_named(app: Cadence, how: str) -> None:
    app.execute("jerry", person("Jerry Doe", call(), ContactPoint(MAIL, "1 Main St")), at=NOW)
    new = {"call": NUMBER}
    if how == "line":
        app.addresses.declare_line(NUMBER, by="kim", why="a desk", at=NOW)
    elif how == "street":
        new = {"mail": "1 Main St"}
    elif how == "house":
        for number in range(3):
            app.execute(f"desk{number}", person(f"Person {number}", call()), at=NOW)
    elif how == "told apart":
        app.execute("jerry", SamePersonDenied("new", "a couple"), at=NOW)
    elif how == "merged":
        app.execute("other", person("Jerry Doe", email("j@example.com")), at=NOW)
        app.merges.merge("jerry", "other", why="they said so", at=NOW)
        app.execute("other", ContactPointRemoved(CALL, NUMBER, "typo"), at=NOW)
    else:
        app.execute("jerry", ContactPointRemoved(CALL, NUMBER, "typo"), at=NOW)
    assert imported(app, ("new", "Kim Lee", new)).duplicates.people == 0
    assert first_duplicate(app, app.load("new")) is None


def test_a_new_prospect_without_addresses_may_be_anyone(app: Cadence) -> None:
    app.execute("jerry", person("Jerry Doe", call()), at=NOW)
    app.execute("new", person("Jerry Doe"), at=NOW)
    assert first_duplicate(app, app.load("new")) is None


def test_each_record_is_paired_once_however_many_have_the_address(app: Cadence) -> None:
    names = [f"p{number:04}" for number in range(300)]
    imported(app, *((one, "Kim", {"email": "none@example.com"}) for one in names))
    found = duplicates_by_address(app)
    assert [one.other for one in found] == names[1:]
    assert {one.prospect for one in found} == {"p0000"}


def test_who_was_told_apart_from_one_is_paired_with_the_next(app: Cadence) -> None:
    for name in ("a", "b", "c"):
        app.execute(name, person("Kim", email("kim@example.com")), at=NOW)
    app.execute("c", SamePersonDenied("a", "father and son"), at=NOW)
    assert [one[:2] for one in duplicates(app)] == [("a", "b"), ("b", "c")]


def test_what_was_said_of_a_record_holds_after_it_was_merged(app: Cadence) -> None:
    app.execute("b", person("Kim", email("kim@example.com")), at=NOW)
    app.execute("c", person("Kim", email("kim@example.com")), at=NOW)
    app.execute("c", SamePersonDenied("b", "father and son"), at=NOW)
    app.execute("a", person("Kim", email("k@example.com")), at=NOW)
    app.merges.merge("b", "a", why="they said so", at=NOW)
    assert list(duplicates(app)) == []


def test_a_merged_record_is_no_duplicate_by_name_and_company(app: Cadence) -> None:
    for name in ("a", "b", "c"):
        added = person("Kim Lee", email(f"{name}@example.com"), company="Vandelay")
        app.execute(name, added, at=NOW)
    assert [one[:2] for one in duplicates(app)] == [("a", "b"), ("a", "c")]
    app.merges.merge("b", "a", why="they said so", at=NOW)
    assert [one[:2] for one in duplicates(app)] == [("a", "c")]
    app.merges.merge("c", "a", why="they said so", at=NOW)
    assert list(duplicates(app)) == []


def test_who_is_joined_by_an_address_is_not_listed_by_name_again(app: Cadence) -> None:
    point = email("kim@example.com")
    for name in ("a", "b"):
        app.execute(name, person("Kim Lee", point, company="Vandelay"), at=NOW)
    added = person("Kim Lee", email("k@example.com"), company="Vandelay")
    app.execute("c", added, at=NOW)
    assert list(duplicates(app)) == [
        ("a", "b", ("kim@example.com",), True),
        ("a", "c", (), True),
    ]


def test_an_address_of_more_than_a_thousand_is_left_out_of_an_import(app: Cadence) -> None:
    many = ((f"p{one:04}", f"P {one}", {"email": "none@example.com"}) for one in range(1001))
    assert imported(app, *many).duplicates.people == 0
    assert len(duplicates_by_address(app)) == 1000


def test_an_import_that_can_not_look_says_that_all_was_imported(
    app: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(area: StagingArea, store: Cadence) -> None:
        raise StoreError("no space is left", "free some")

    monkeypatch.setattr(StagingArea, "find_duplicates", broken)
    with pytest.raises(StoreError, match="everything was imported") as raised:
        imported(app, ("kim", "Kim", {"email": "kim@example.com"}))
    assert raised.value.hint == "list them with: cadence duplicates"
    assert app.count() == 1
