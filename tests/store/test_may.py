"""What the service says that may be done is what it then records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cadence.domain.channels import CALL, EMAIL, Channel
from cadence.domain.events import (
    ContactPoint,
    ContactPointFailed,
    Disposition,
    FailureReason,
    OptOutRequested,
    Part,
    ProspectAdded,
)
from cadence.engine import MakeAttempt, Precheck, SetAppointment
from cadence.errors import InputError, Refused, UnknownProspect
from cadence.store import Cadence

NINE = datetime(2026, 12, 1, 14, tzinfo=UTC)  # 9:00 in New York
FRIDAY = datetime(2026, 11, 27, 15, tzinfo=UTC)
FIRST, SECOND = "+1 212 555 0101", "+1 212 555 0102"


@pytest.fixture
def app() -> Iterator[Cadence]:
    with Cadence.open(clock=lambda: NINE) as app:
        points = (ContactPoint(CALL, FIRST), ContactPoint(CALL, SECOND))
        added = ProspectAdded("Jo", "America/New_York", "US", contact_points=points)
        app.execute("jo", added, at=FRIDAY)
        app.execute("jo", SetAppointment(NINE), at=FRIDAY)
        yield app


def rules(answer: Precheck) -> list[str]:
    return [one.rule for one in answer.breaks]


def call(address: str | None = None) -> MakeAttempt:
    return MakeAttempt((Part(CALL, Disposition.NO_ANSWER, address),), is_strict=True)


def test_it_says_until_when_a_rule_forbids_it_and_records_nothing(app: Cadence) -> None:
    assert app.may("jo").breaks == ()
    app.execute("jo", call(), at=NINE)
    version = app.load("jo").version
    (broken,) = app.may("jo", CALL, NINE + timedelta(minutes=4)).breaks
    assert (broken.rule, broken.until) == ("plan", NINE + timedelta(minutes=10))
    with pytest.raises(Refused) as refused:
        app.execute("jo", call(), at=NINE + timedelta(minutes=4))
    assert (refused.value.rule, refused.value.until) == (broken.rule, broken.until)
    assert app.load("jo").version == version


def test_it_asks_about_the_address_that_is_named(app: Cadence) -> None:
    app.execute("jo", ContactPointFailed(CALL, SECOND, FailureReason.WRONG_NUMBER), at=FRIDAY)
    assert app.may("jo", address=FIRST).breaks == ()
    answer = app.may("jo", address="212 555 0102")  # as they spell it in the country of Jo
    assert answer.address == "212 555 0102"
    assert rules(answer) == ["contact_point"]


def test_what_another_record_says_of_an_address_that_is_not_theirs_counts(app: Cadence) -> None:
    third = "+1 212 555 0103"
    kim = ProspectAdded("Kim", "America/New_York", contact_points=(ContactPoint(CALL, third),))
    app.execute("kim", kim, at=FRIDAY)
    before = rules(app.may("jo", address=third))
    app.execute("kim", OptOutRequested(), at=FRIDAY)
    assert "suppressed" not in before
    assert "suppressed" in rules(app.may("jo", address=third))
    with pytest.raises(Refused) as refused:
        app.execute("jo", call(third), at=NINE)
    assert refused.value.rule in rules(app.may("jo", address=third))


def test_a_claim_forbids_it_to_all_but_its_holder(app: Cadence) -> None:
    app.claim("jo", by="ann", at=NINE)
    assert rules(app.may("jo")) == ["claimed"]
    assert rules(app.may("jo", by="bob")) == ["claimed"]
    assert rules(app.may("jo", by="ann")) == []


def test_a_value_that_can_not_be_one_is_invalid(app: Cadence) -> None:
    with pytest.raises(InputError, match="channel: invalid"):
        app.may("jo", Channel("Phone call"))
    with pytest.raises(InputError):
        app.may("jo", EMAIL, address="no address")
    with pytest.raises(UnknownProspect):
        app.may("kim")


def test_the_answer_is_a_json_object(app: Cadence) -> None:
    plain = json.loads(json.dumps(app.may("jo").to_dict()))
    assert (plain["prospect"], plain["channel"], plain["breaks"]) == ("jo", "call", [])
