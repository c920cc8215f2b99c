"""Entries of suppression lists and lines go out with an export and come into every store."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from clocks import ahead

from cadence.audit.runner import audit
from cadence.domain import (
    AttemptMade,
    ContactPoint,
    Disposition,
    InterestNoted,
    OptOutRequested,
    Part,
    ProspectAdded,
)
from cadence.domain.channels import CALL, EMAIL, SMS, Channel
from cadence.errors import Refused
from cadence.store import Cadence
from cadence.store.list_load import Suppression
from cadence.transfer import ImportRefused, export_csv, export_jsonl, export_xes, import_jsonl

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NUMBERS = [f"+1 212 555 01{number:02}" for number in range(4)]
MAILS = [f"jo{number}@example.com" for number in range(4)]


@pytest.fixture
def other(address: str | None) -> Iterator[Cadence]:
    """The store to import into."""
    with Cadence.open(address) as opened:
        yield opened


def a_random_store(seed: int) -> Cadence:
    """A store in memory with lists, lines, some taken back, and attempts between them."""
    random, app = Random(seed), Cadence.open()
    for number in range(6):
        points = [
            ContactPoint(CALL, random.choice(NUMBERS)),
            ContactPoint(EMAIL, MAILS[number % 4]),
        ]
        added = ProspectAdded(f"Jo {number % 4}", "America/New_York", "US", contact_points=points)
        app.execute(f"p{number}", added, at=NOW)
    at = NOW
    for _ in range(60):
        at += random.choice([timedelta(0), HOUR, DAY])  # also at one time
        address = random.choice([*NUMBERS, *MAILS])
        source = random.choice(["", "dnc", "news"])
        prospect = f"p{random.randrange(6)}"
        match random.randrange(9):
            case 0 | 1:
                on = random.choice([None, None, SMS, CALL]) if "@" not in address else None
                given = [Suppression(address, on)]
                app.addresses.suppress(given, by="ann", source=source, why="asked", at=at)
            case 2 | 3:
                app.addresses.unsuppress(address, by="kim", why="a typo", at=at)
            case 4:
                app.addresses.declare_line(random.choice(NUMBERS), by="kim", why="desk", at=at)
            case 5:
                app.addresses.withdraw_line(random.choice(NUMBERS), by="kim", why="not", at=at)
            case 6:
                app.addresses.date_list(
                    "dnc", date(2026, 2, 1), by="ann", most_days=31, at=at, force=True
                )
            case 7:
                part = Part(CALL, Disposition.NO_ANSWER)
                app.execute(prospect, AttemptMade((part,)), at=at)
            case _:
                what = (
                    OptOutRequested(random.choice([CALL, EMAIL]))
                    if random.randrange(3) == 0
                    else InterestNoted("x")
                )
                app.execute(prospect, what, at=at)
    return app


def exported(app: Cadence) -> list[bytes]:
    out = io.BytesIO()
    export_jsonl(app, out)
    return out.getvalue().splitlines(keepends=True)


def what_it_says(app: Cadence) -> dict[str, Any]:
    """What due, audit and the list of entries say."""
    now = NOW + 70 * DAY
    found: dict[str, Any] = {
        "due": [one.to_dict() for one in app.due(now)],
        "explained": [app.explain(one, now).to_dict() for one in sorted(app.prospects())],
        "may": [
            [app.may(one, on, now).to_dict() for on in (CALL, EMAIL)] for one in app.prospects()
        ],
        "entries": list(app.addresses.entries(ended=None)),
        "standing": list(app.addresses.entries()),
        "too old": app.addresses.lists_too_old(now),
    }
    for page in audit(app):
        found.setdefault("findings", []).extend(page.findings)
        found.setdefault("to review", []).extend(page.to_review)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_store_says_the_same_after_it_was_exported_and_imported(
    other: Cadence, seed: int
) -> None:
    with a_random_store(seed) as app:
        lines = exported(app)
        assert any(b'"ended_at"' in line for line in lines)
        done = import_jsonl(other, lines, at=ahead())
        assert done.entries == len(list(app.addresses.entries(ended=None)))
        assert what_it_says(other) == what_it_says(app)
        assert exported(other) == lines
        again = import_jsonl(other, lines, at=ahead())
        assert (again.events, again.entries, again.entries_known) == (0, 0, done.entries)
        assert exported(other) == lines


@pytest.mark.parametrize("seed", range(4))
def test_neither_order_nor_batches_of_entries_matter(other: Cadence, seed: int) -> None:
    with a_random_store(seed) as app:
        lines, expected = exported(app), what_it_says(app)
    random = Random(seed)
    entries = [line for line in lines if b'"AddressEntry"' in line]
    events = [line for line in lines if b'"AddressEntry"' not in line]
    random.shuffle(entries)
    middle = random.randrange(len(entries))
    for batch in (entries[:middle], [*events, *entries[middle:]], entries):
        import_jsonl(other, batch, at=ahead())
    found = what_it_says(other)
    for one in (found, expected):
        one["entries"] = set(one["entries"])
        one["standing"] = set(one["standing"])
    assert found["findings"] == expected["findings"]
    assert (found["entries"], found["standing"]) == (expected["entries"], expected["standing"])
    rules = [[(one["decision"], one["at"]) for one in found["due"]] for found in (found, expected)]
    assert rules[0] == rules[1]


def test_a_call_that_a_line_allowed_is_not_accused_after_an_import(other: Cadence) -> None:
    with Cadence.open() as app:
        desk = (ContactPoint(CALL, NUMBERS[0]),)
        for name in ("Ann", "Bob"):
            person = ProspectAdded(name, "America/New_York", "US", contact_points=desk)
            app.execute(name, person, at=NOW)
        app.addresses.declare_line(NUMBERS[0], by="kim", why="the front desk", at=NOW)
        app.execute("Ann", OptOutRequested(), at=NOW + HOUR)
        call = Part(CALL, Disposition.NO_ANSWER)
        app.execute("Bob", AttemptMade((call,)), at=NOW + DAY)
        import_jsonl(other, exported(app), at=ahead())
        for store in (app, other):
            found = [one for page in audit(store) for one in page.findings]
            assert found == []


def test_an_entry_that_was_taken_back_elsewhere_is_taken_back_here(other: Cadence) -> None:
    with Cadence.open() as app:
        app.addresses.suppress(MAILS[:1], by="ann", source="dnc", at=NOW)
        first = exported(app)
        app.addresses.unsuppress(MAILS[0], by="kim", why="a typo", at=NOW + DAY)
        second = exported(app)
    for lines, standing in ((first, 1), (second, 0), (first, 0)):  # an older file ends nothing
        import_jsonl(other, lines, at=ahead())
        assert len(list(other.addresses.entries())) == standing
    (entry,) = other.addresses.entries(ended=True)
    assert (entry.ended_by, entry.ended_why) == ("kim", "a typo")


def test_an_entry_of_one_address_at_one_time_as_another_is_told_from_it(other: Cadence) -> None:
    with Cadence.open() as app:
        for _ in range(3):
            app.addresses.suppress(MAILS[:1], by="ann", at=NOW)
            app.addresses.declare_line(NUMBERS[0], by="ann", why="desk", at=NOW)
            app.addresses.unsuppress(MAILS[0], by="kim", why="a typo", at=NOW)
            app.addresses.withdraw_line(NUMBERS[0], by="kim", why="not", at=NOW)
        app.addresses.suppress(MAILS[:1], by="ann", at=NOW)
        import_jsonl(other, exported(app), at=ahead())
        assert list(other.addresses.entries(ended=None)) == list(app.addresses.entries(ended=None))
        assert len(list(other.addresses.entries())) == 1


def test_entries_of_two_stores_stand_beside_each_other_and_end_together(other: Cadence) -> None:
    other.addresses.suppress(MAILS[:1], by="bob", source="dnc", at=NOW + DAY)
    with Cadence.open() as app:
        app.addresses.suppress(MAILS[:1], by="ann", source="dnc", at=NOW)
        import_jsonl(other, exported(app), at=ahead())
    assert {entry.by for entry in other.addresses.entries()} == {"ann", "bob"}
    assert other.addresses.unsuppress(MAILS[0], by="kim", why="a typo", at=NOW + 2 * DAY) == 2


def test_the_holders_of_an_imported_entry_are_looked_at_again(other: Cadence) -> None:
    other.execute(
        "jo", ProspectAdded("Jo", "UTC", contact_points=(ContactPoint(EMAIL, MAILS[0]),)), at=NOW
    )
    with Cadence.open() as app:
        app.addresses.suppress(MAILS[:1], by="ann", at=NOW)
        import_jsonl(other, exported(app), at=ahead())
    assert "suppressed" in {one.rule for one in other.may("jo", EMAIL, NOW + DAY).breaks}
    with pytest.raises(Refused):
        other.claim("jo", own=EMAIL, by="ann", at=NOW + DAY)


ENTRY: dict[str, Any] = {
    "key": "+12125550100",
    "kind": "suppressed",
    "at": "2026-03-02T15:00:00Z",
    "by": "ann",
}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"key": "2125550100"}, "data.key: invalid '2125550100'"),
        ({"key": "+1 212 555 0100"}, "data.key: invalid"),
        ({"key": "Jo@example.com"}, "data.key: invalid"),
        ({"key": ""}, "data.key: invalid"),
        ({"kind": "stopped"}, "$.data.kind"),
        ({"at": "2026-03-02T15:00:00"}, "data.at: missing zone"),
        ({"at": "2600-03-02T15:00:00Z"}, "data.at: invalid"),
        ({"at": "2026-04-02T15:00:00Z"}, "data.at: invalid 2026-04-02T15:00:00Z, after the clock"),
        ({"by": " "}, "data.by: missing"),
        ({"channel": "Two Words"}, "data.channel: invalid"),
        ({"why": "x" * 30_000}, "data.why"),
        ({"ended_by": "kim"}, "data.ended_at, ended_by, ended_why: missing one"),
        ({"kind": "list", "key": "list:dnc"}, "data.dated, most_days: missing"),
        ({"kind": "list", "dated": "2026-03-01", "most_days": 31}, "data.key: invalid"),
        ({"extra": 1}, "extra"),
        ({"by": None}, "$.data.by"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_line_that_is_no_entry_is_a_bad_line(change: dict[str, Any], named: str) -> None:
    good = json.dumps({"type": "AddressEntry", "data": ENTRY}).encode()
    bad = json.dumps({"type": "AddressEntry", "data": {**ENTRY, **change}}).encode()
    with Cadence.open() as app:
        with pytest.raises(ImportRefused) as refused:
            import_jsonl(app, [good, bad], at=NOW + DAY)
        (line,) = refused.value.lines
        assert line.number == 2
        assert named in line.what
        assert list(app.addresses.entries()) == []  # nothing of the file was taken in


def test_a_handle_and_a_postal_address_are_keys() -> None:
    with Cadence.open() as app:
        keys = ["telegram:jo", "1 main st", "+12125550100;ext=5", "jo@example.com"]
        lines = [
            json.dumps({"type": "AddressEntry", "data": {**ENTRY, "key": key}}).encode()
            for key in keys
        ]
        assert import_jsonl(app, lines, at=ahead()).entries == 4
        assert [entry.key for entry in app.addresses.entries()] == keys


def test_what_is_here_already_may_lie_after_the_time_of_the_import() -> None:
    with Cadence.open() as app:
        app.addresses.suppress(MAILS[:1], by="ann", at=NOW)
        done = import_jsonl(app, exported(app), at=NOW - DAY)
        assert (done.entries, done.entries_known) == (0, 1)


def test_a_format_without_a_place_for_entries_says_how_many_are_missing() -> None:
    with Cadence.open() as app:
        app.addresses.suppress([*MAILS, *NUMBERS], by="ann", at=NOW)
        for export in (export_csv, export_xes):
            assert export(app, io.BytesIO()).entries == 8


def test_a_store_without_entries_is_exported_as_before() -> None:
    with Cadence.open() as app:
        app.execute("jo", ProspectAdded("Jo", "UTC"), at=NOW)
        (line,) = exported(app)
        assert json.loads(line)["type"] == "ProspectAdded"
        assert "entries" not in import_jsonl(app, [line], at=ahead()).to_dict()


def test_a_channel_of_a_policy_that_comes_later_is_kept() -> None:
    line = json.dumps({"type": "AddressEntry", "data": {**ENTRY, "channel": "whatsapp"}}).encode()
    with Cadence.open() as app:
        import_jsonl(app, [line], at=ahead())
        (entry,) = app.addresses.entries()
        assert entry.channel == Channel("whatsapp")
