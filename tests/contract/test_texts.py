"""A text that some store can't keep is refused by all of them, where it comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from cadence.domain import Channel, ContactPoint, Noted, ProspectAdded
from cadence.domain.events import InterestNoted
from cadence.engine import NoteValue
from cadence.errors import InputError, UnknownProspect
from cadence.store import Cadence

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
BAD = ["nul \0", "half \ud800", "half \udfff of a pair"]

WRITES: dict[str, Callable[[Cadence, str], object]] = {
    "data.name": lambda app, bad: app.execute("kim", ProspectAdded(bad, "UTC"), at=NOW),
    "data.owner": lambda app, bad: app.execute("kim", ProspectAdded("K", "UTC", owner=bad)),
    "data.contact_points[0].address": lambda app, bad: app.execute(
        "kim", ProspectAdded("K", "UTC", contact_points=(ContactPoint(Channel("mail"), bad),))
    ),
    "data.text": lambda app, bad: app.execute("jo", InterestNoted(bad), at=NOW),
    "data.more[0]": lambda app, bad: app.execute("jo", NoteValue("x", more=(bad,)), at=NOW),
    "data.data.x": lambda app, bad: app.execute("jo", Noted("demo", {"x": bad}), at=NOW),
    "by": lambda app, bad: app.execute("jo", InterestNoted("x"), at=NOW, by=bad),
    "command_id": lambda app, bad: app.execute("jo", InterestNoted("x"), command_id=bad),
    "meta.tenant": lambda app, bad: app.execute("jo", InterestNoted("x"), meta={"tenant": bad}),
    "source": lambda app, bad: app.addresses.suppress(["x@example.com"], by="kim", source=bad),
    "team.company": lambda app, bad: app.change_settings({"team.company": bad}, by="kim"),
}

READS: dict[str, Callable[[Cadence, str], object]] = {
    "owner": lambda app, bad: app.due(owner=bad),
    "channel": lambda app, bad: app.due(channel=bad),
    "after": lambda app, bad: app.due(after=f"2026-12-01T14:00:00Z/{bad}"),
    "after of prospects": lambda app, bad: list(app.prospects(bad)),
    "owner of a review": lambda app, bad: app.next_review(owner=bad),
    "owner of claims": lambda app, bad: app.claim_next(1, by="kim", owner=bad),
    "by of a claim": lambda app, bad: app.claim("jo", by=bad),
    "token": lambda app, bad: app.release(bad),
    "token to complete": lambda app, bad: app.complete(bad, not_made=True),
    "address": lambda app, bad: app.find(bad),
    "text": lambda app, bad: app.histories.mentioning(bad),
}

OF_A_PROSPECT: dict[str, Callable[[Cadence, str], object]] = {
    "history": lambda app, bad: app.history(bad),
    "load": lambda app, bad: app.load(bad),
    "explain": lambda app, bad: app.explain(bad),
    "may": lambda app, bad: app.may(bad),
}


@pytest.fixture
def app(address: str | None) -> Iterator[Cadence]:
    with Cadence.open(address) as app:
        app.execute("jo", ProspectAdded("Jo", "Europe/Berlin"), at=NOW)
        yield app


def told(call: Callable[[Cadence, str], object], app: Cadence, bad: str) -> str:
    """What the error says."""
    with pytest.raises(InputError) as caught:
        call(app, bad)
    return caught.value.what


@pytest.mark.parametrize("bad", BAD)
def test_a_text_that_no_store_can_keep_is_never_recorded(app: Cadence, bad: str) -> None:
    for field, call in WRITES.items():
        what = told(call, app, bad)
        assert what.startswith(f"{field}: invalid")
        assert what.isprintable()
    assert len(app.history("jo")) == app.count() == 1


@pytest.mark.parametrize("bad", BAD)
def test_a_question_with_such_a_text_is_invalid(app: Cadence, bad: str) -> None:
    for call in READS.values():
        assert "invalid" in (what := told(call, app, bad)) or "unknown" in what


@pytest.mark.parametrize("bad", BAD)
def test_no_prospect_has_such_an_id(app: Cadence, bad: str) -> None:
    for call in OF_A_PROSPECT.values():
        with pytest.raises(UnknownProspect):
            call(app, bad)
    with pytest.raises(InputError, match="prospect: invalid id"):
        app.execute(bad, ProspectAdded("Kim", "UTC"), at=NOW)


def test_every_other_text_is_kept_as_it_is(app: Cadence) -> None:
    text = "\x01\x7f\u2028\ufffe\uffff\U0010ffff é 😀"
    app.execute("jo", InterestNoted(text), at=NOW, by="kim", command_id=text)
    app.execute("kim", ProspectAdded(text, "UTC", owner=text), at=NOW)
    (_, noted), (added,) = app.history("jo"), app.history("kim")
    assert (noted.data, noted.command_id) == (InterestNoted(text), text)
    assert isinstance(added.data, ProspectAdded)
    assert (added.data.name, added.data.owner) == (text, text)
    assert [one.prospect for one in app.due(owner=text)] == ["kim"]
