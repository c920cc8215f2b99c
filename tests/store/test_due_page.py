"""Pages of the due list: whose, on which channel, how many, and where the next one begins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cadence.domain.channels import CALL, EMAIL, Channel
from cadence.domain.events import ContactPoint, Disposition, Part, ProspectAdded, ProspectUpdated
from cadence.engine import MakeAttempt
from cadence.engine.decision import Verdict
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.store.due_list import DueQuery, DueRow

MONDAY = datetime(2026, 11, 16, 15, tzinfo=UTC)
LATER = MONDAY + timedelta(days=8)
OWNERS = ("ann", "bob", None)


@pytest.fixture
def store() -> Iterator[Cadence]:
    """Nine prospects, every third of an owner; those with a phone were called."""
    with Cadence.open() as app:
        for number in range(9):
            phone = ContactPoint(CALL, f"+1 212 555 01{number:02}")
            mail = ContactPoint(EMAIL, f"p{number}@example.com")
            added = ProspectAdded(
                f"P {number}",
                "America/New_York",
                "US",
                contact_points=(phone, mail) if number % 2 else (mail,),
                owner=OWNERS[number % 3],
            )
            name, at = f"p{number}", MONDAY + timedelta(minutes=7 * (number % 4))
            app.execute(name, added, at=at)
            if number % 2:
                made = (Part(CALL, Disposition.NO_ANSWER, phone.address),)
                app.execute(name, MakeAttempt(made), at=at)
        yield app


def ids(decisions: object) -> list[str]:
    return [one.prospect for one in decisions]  # type: ignore[attr-defined]


def test_pages_one_after_the_other_are_the_whole_list(store: Cadence) -> None:
    whole = store.due(LATER)
    assert len(whole.items) == 9
    assert whole.after is None
    assert list(whole) == list(whole) == whole.items
    for limit in (1, 2, 4, 8, 9, 10):
        found: list[str] = []
        after: str | None = None
        while True:
            page = store.due(LATER, limit=limit, after=after)
            assert len(page.items) <= limit
            found += ids(page)
            after = page.after
            if after is None:
                break
        assert found == ids(whole)


def test_a_page_goes_on_behind_one_that_was_called_meanwhile(store: Cadence) -> None:
    first = store.due(LATER, limit=3)
    rest = ids(store.due(LATER))[3:]
    for one in first:
        if one.touch is not None:
            made = (Part(CALL, Disposition.NO_ANSWER),)
            store.execute(one.prospect, MakeAttempt(made), at=LATER)
    assert ids(store.due(LATER, after=first.after)) == rest


@pytest.mark.parametrize("owner", ["ann", "bob", "nobody"])
def test_an_owner_gets_their_own_prospects_in_the_same_order(store: Cadence, owner: str) -> None:
    theirs = [one for one in ids(store.due(LATER)) if OWNERS[int(one[1]) % 3] == owner]
    assert ids(store.due(LATER, owner=owner)) == theirs
    assert ids(store.due(LATER, owner=owner, limit=2)) == theirs[:2]


def test_a_new_owner_gets_the_prospect_and_the_old_one_has_it_no_more(store: Cadence) -> None:
    store.execute("p0", ProspectUpdated(owner="zoe"), at=LATER)
    assert ids(store.due(LATER, owner="zoe")) == ["p0"]
    assert "p0" not in ids(store.due(LATER, owner="ann"))


def test_a_channel_is_that_of_the_touch_not_of_a_task(store: Cadence) -> None:
    """Those who were not called yet are tasks of their owner."""
    assert ids(store.due(LATER, channel="call")) == [
        one.prospect
        for one in store.due(LATER)
        if one.touch is not None and any(part.channel == "call" for part in one.touch.parts)
    ]
    assert len(store.due(LATER, channel="call").items) == 4
    assert store.due(LATER, channel=Channel("sms")).items == []


@pytest.mark.parametrize(
    "after", ["", "p1", "2026-12-01T14:00:00Z", "2026-12-01T14:00:00Z/", "x/p"]
)
def test_what_is_no_place_in_the_list_is_refused(store: Cadence, after: str) -> None:
    with pytest.raises(InputError, match="after: invalid"):
        store.due(LATER, after=after)


def test_a_page_has_at_least_one_decision(store: Cadence) -> None:
    with pytest.raises(InputError, match="limit: invalid 0"):
        store.due(LATER, limit=0)


def test_only_the_rows_of_the_owner_are_read(
    store: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    select = store._recorder.select_streams
    monkeypatch.setattr(
        store._recorder, "select_streams", lambda names: read.extend(names) or select(names)
    )
    assert store.due(LATER, owner="ann").items
    assert {OWNERS[int(one[1]) % 3] for one in read} == {"ann"}


def test_a_prospect_that_another_writer_moves_on_meanwhile_is_listed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page that was read has them; the pages after it have them again, further down."""
    names = [f"p{number:03}" for number in range(200)]
    made = MakeAttempt((Part(CALL, Disposition.NO_ANSWER),))
    first: list[DueRow] = []

    with Cadence.open() as app:
        for name in names:
            phone = ContactPoint(CALL, f"+1 212 555 0{name[1:]}")
            added = ProspectAdded(name, "America/New_York", "US", contact_points=(phone,))
            app.execute(name, added, at=MONDAY)
        select = app._recorder.select_due

        def moving(query: DueQuery, after: tuple[int, str] | None, limit: int) -> list[DueRow]:
            while first:
                app.execute(first.pop().prospect, made, at=LATER)
            page = select(query, after, limit)
            first.extend([] if after else page)
            return page

        monkeypatch.setattr(app._recorder, "select_due", moving)
        assert sorted(ids(app.due(LATER, verdicts=[*Verdict]))) == names
