"""The audit judges what records say to each other, and holds the address index to the events."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cadence.audit import Finding
from cadence.audit.runner import audit
from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    ContactPointFailed,
    Disposition,
    EventRetracted,
    FailureReason,
    OptedBackIn,
    OptOutRequested,
    Part,
    ProspectAdded,
    SamePersonDenied,
)
from cadence.domain.others import PastHoldings
from cadence.domain.stages import Stage
from cadence.store import Cadence

NOW = datetime(2026, 11, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)
NUMBER = "+1 212 555 0101"
CALLED = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))


def person(name: str, *points: ContactPoint) -> ProspectAdded:
    return ProspectAdded(
        name,
        "America/New_York",
        "US",
        contact_points=points or (ContactPoint(CALL, NUMBER),),
    )


@pytest.fixture
def app(tmp_path: Path) -> Cadence:
    app = Cadence.open(str(tmp_path / "a.db"))
    app.execute("ann", person("Ann Lee"), at=NOW)
    app.execute("bob", person("Bob Ray"), at=NOW)
    return app


def findings(app: Cadence) -> list[Finding]:
    return [one for page in audit(app) for one in page.findings]


def to_review(app: Cadence) -> list[Finding]:
    return [one for page in audit(app) for one in page.to_review]


def test_an_attempt_after_another_holders_opt_out_is_a_finding(app: Cadence) -> None:
    app.execute("ann", OptOutRequested(), at=NOW + DAY)
    app.execute("bob", CALLED, at=NOW + 2 * DAY)
    (found,) = findings(app)
    assert (found.prospect, found.version, found.rule) == ("bob", 2, "suppressed")
    assert "ann, who has +12125550101 too, had opted out" in found.because
    assert "event 2 of ann" in found.because


def test_an_attempt_before_the_word_was_known_is_none(app: Cadence) -> None:
    app.execute("bob", CALLED, at=NOW + DAY)
    app.execute("ann", OptOutRequested(), at=NOW + 2 * DAY, occurred_at=NOW)
    assert findings(app) == []


def test_an_attempt_while_a_word_stood_stays_a_finding_when_it_is_taken_back(
    app: Cadence,
) -> None:
    app.execute("ann", OptOutRequested(), at=NOW + DAY)
    app.execute("bob", CALLED, at=NOW + 2 * DAY)
    app.execute("ann", EventRetracted(2, "a mistake"), at=NOW + 3 * DAY, by="kim")
    app.execute("bob", CALLED, at=NOW + 10 * DAY)
    assert [(one.version, one.rule) for one in findings(app)] == [(2, "suppressed")]


def test_an_attempt_at_a_listed_address_is_a_finding_until_it_is_taken_off(app: Cadence) -> None:
    app.addresses.suppress([NUMBER], by="kim", source="dnc", at=NOW + DAY)
    app.execute("bob", CALLED, at=NOW + 2 * DAY)
    app.addresses.unsuppress(NUMBER, by="kim", why="they asked", at=NOW + 3 * DAY)
    app.execute("bob", CALLED, at=NOW + 10 * DAY)
    (found,) = findings(app)
    assert (found.version, found.rule) == (2, "suppressed")
    assert "was suppressed on 2026-11-03" in found.because
    assert "(dnc)" in found.because
    (review,) = to_review(app)
    assert (review.prospect, review.rule) == ("+12125550101", "suppressed")
    assert review.because == "may be used again (list dnc) by kim: they asked"


def test_a_call_to_a_line_that_is_dead_for_another_is_a_finding(app: Cadence) -> None:
    dead = ContactPointFailed(CALL, NUMBER, FailureReason.DISCONNECTED)
    app.execute("ann", dead, at=NOW + DAY)
    app.execute("bob", CALLED, at=NOW + 2 * DAY)
    (found,) = findings(app)
    assert (found.prospect, found.rule) == ("bob", "contact_point")
    # In the audit's own words: the attempt names the rule too, as the engine saw it.
    assert "had failed for ann (event 2 of ann)" in found.because


@pytest.mark.parametrize("into", ["bob", "cy"])
def test_what_a_record_said_before_it_was_merged_counts_for_that_time(
    app: Cadence, into: str
) -> None:
    app.execute("cy", person("Cy Orr", ContactPoint(EMAIL, "cy@example.com")), at=NOW)
    app.execute("ann", OptOutRequested(), at=NOW + DAY)
    app.execute("bob", CALLED, at=NOW + 2 * DAY)
    before = findings(app)
    assert [(one.prospect, one.version, one.rule) for one in before] == [("bob", 2, "suppressed")]
    app.merges.merge("ann", into, why="one person", at=NOW + 3 * DAY)
    assert findings(app) == before
    app.merges.unmerge("ann", why="two people", at=NOW + 4 * DAY)
    assert findings(app) == before


def test_what_a_record_said_while_another_was_merged_into_it_counts_for_that_time(
    app: Cadence,
) -> None:
    app.execute("cy", person("Cy Orr", ContactPoint(EMAIL, "cy@example.com")), at=NOW)
    app.merges.merge("ann", "cy", why="one person", at=NOW)
    app.execute("cy", OptOutRequested(), at=NOW + DAY)
    app.execute("bob", CALLED, at=NOW + 2 * DAY)
    before = findings(app)
    assert "cy, who has +12125550101 too, had opted out" in before[0].because
    app.merges.unmerge("ann", why="two people", at=NOW + 3 * DAY)
    assert findings(app) == before


def test_a_history_without_some_of_its_events_says_something_else(app: Cadence) -> None:
    app.execute("ann", OptOutRequested(), at=NOW + DAY)
    app.execute("ann", OptedBackIn(why="they called"), at=NOW + 2 * DAY)
    history, past = app.history("ann"), PastHoldings()
    said = [past.of(some, NOW + 3 * DAY)[0].holding for some in (history[:2], history[::2])]
    assert [one.opt_outs is None for one in said] == [False, True]


def test_a_close_as_unreachable_is_in_order_where_the_rest_failed_for_another(
    app: Cadence,
) -> None:
    points = ContactPoint(CALL, NUMBER), ContactPoint(EMAIL, "bo@example.com")
    app.execute("bo", person("Ann Lee", *points), at=NOW)
    app.execute("ann", AttemptMade((Part(CALL, Disposition.WRONG_NUMBER),)), at=NOW)
    app.execute("bo", AttemptMade((Part(EMAIL, Disposition.BOUNCED),)), at=NOW + DAY)
    app.tick(NOW + 2 * DAY)
    assert app.load("bo").stage is Stage.CLOSED
    assert findings(app) == []


def test_the_calls_of_every_record_of_an_address_count_for_frequency(app: Cadence) -> None:
    for name, hours in (("ann", 0), ("bob", 1), ("ann", 2), ("bob", 3)):
        app.execute(name, CALLED, at=NOW + DAY + timedelta(hours=hours))
    found = [one for one in findings(app) if one.rule == "frequency"]
    assert found[-1].prospect == "bob"
    assert "2 of them were made for other records" in found[-1].because


def test_who_said_that_two_records_are_two_people_is_to_review(app: Cadence) -> None:
    app.execute("bob", SamePersonDenied("ann", "father and son"), at=NOW + DAY, by="kim")
    (review,) = to_review(app)
    assert review.because == "ann was said to be another person by kim: father and son"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM holders WHERE prospect = 'bob'",
        "UPDATE holders SET holding = '{}' WHERE prospect = 'bob'",
        "UPDATE holders SET speaks = 1 WHERE prospect = 'bob'",
        "INSERT INTO holders VALUES ('+12125550199', 'bob', '+12125550199', '{}', 0)",
        "INSERT INTO holders VALUES ('+12125550199', 'bo', '+12125550199', '{}', 0)",
    ],
)
def test_an_address_row_that_the_events_do_not_give_is_a_finding_until_a_rebuild(
    app: Cadence, statement: str
) -> None:
    assert findings(app) == []
    with sqlite3.connect(str(app.address)) as rows:
        rows.execute(statement)
    rows.close()
    (found,) = findings(app)
    assert found.rule == "address_index"
    assert found.prospect in ("bob", "bo")
    app.due_rows.rebuild()
    if found.prospect == "bob":
        assert findings(app) == []


def test_an_email_of_another_record_is_no_reason_against_a_call(app: Cadence) -> None:
    both = (ContactPoint(CALL, "+1 212 555 0199"), ContactPoint(EMAIL, "a@example.com"))
    app.execute("cleo", person("Cleo", *both), at=NOW)
    app.execute("dan", person("Dan", both[1]), at=NOW)
    app.execute("dan", OptOutRequested(EMAIL), at=NOW + DAY)
    app.execute("cleo", CALLED, at=NOW + 2 * DAY)
    assert findings(app) == []
