"""A command that expects a version is recorded at that version, or not at all; on every store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cadence.domain.channels import CALL
from cadence.domain.events import ContactPoint, InterestNoted, ProspectAdded
from cadence.engine.commands import SetAppointment
from cadence.errors import Conflict, InputError, UnknownProspect, VersionConflict
from cadence.store import Cadence

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
ADDED = ProspectAdded(
    "Jo", "Europe/Berlin", contact_points=(ContactPoint(CALL, "+1 212 555 0101"),)
)


@pytest.fixture
def app(address: str | None) -> Iterator[Cadence]:
    with Cadence.open(address) as app:
        app.execute("jo", ADDED, at=NOW)
        yield app


def test_a_command_is_recorded_at_the_version_that_it_expects(app: Cadence) -> None:
    version = app.load("jo").version
    outcome = app.execute("jo", InterestNoted("x"), at=NOW, expect=version)
    again = app.execute("jo", InterestNoted("y"), at=NOW, expect=outcome.prospect.version)
    assert [event.version for event in app.history("jo")] == [1, 2, 3]
    assert again.prospect.version == 3


@pytest.mark.parametrize("expect", [0, 1, 3])
def test_nothing_is_recorded_at_another_version(app: Cadence, expect: int) -> None:
    app.execute("jo", InterestNoted("x"), at=NOW)
    with pytest.raises(VersionConflict) as caught:
        app.execute("jo", SetAppointment(NOW + timedelta(days=1)), at=NOW, expect=expect)
    error = caught.value
    assert (error.prospect, error.version, error.expected) == ("jo", 2, expect)
    wanted = f"not at {expect}" if expect else "and was to be new"
    assert error.what == f"jo: is at version 2, {wanted}; nothing was recorded"
    assert isinstance(error, Conflict)
    assert not error.retryable
    assert app.load("jo").version == 2


def test_a_fact_too_is_recorded_only_at_the_version_that_it_expects(app: Cadence) -> None:
    with pytest.raises(VersionConflict):
        app.execute("jo", InterestNoted("x"), at=NOW, expect=2)


def test_a_prospect_that_was_to_be_new_is_not_added_twice(app: Cadence) -> None:
    assert app.execute("kim", ProspectAdded("Kim", "UTC"), at=NOW, expect=0).events
    with pytest.raises(VersionConflict, match="kim: is at version 1, and was to be new"):
        app.execute("kim", ProspectAdded("Kim", "UTC"), at=NOW, expect=0)


def test_a_prospect_that_does_not_exist_is_at_no_version(app: Cadence) -> None:
    with pytest.raises(VersionConflict, match="kim: does not exist, not at 4"):
        app.execute("kim", ProspectAdded("Kim", "UTC"), at=NOW, expect=4)
    with pytest.raises(UnknownProspect):
        app.execute("kim", InterestNoted("x"), at=NOW, expect=4)


def test_a_repeat_of_a_command_stays_a_repeat_at_any_version(app: Cadence) -> None:
    noted = InterestNoted("x")
    first = app.execute("jo", noted, at=NOW, expect=1, command_id="c-1")
    app.execute("jo", InterestNoted("y"), at=NOW)
    again = app.execute("jo", noted, at=NOW, expect=1, command_id="c-1")
    assert again.repeated
    assert again.events == first.events


def test_an_expected_version_below_zero_is_invalid(app: Cadence) -> None:
    with pytest.raises(InputError, match="expect: invalid -1"):
        app.execute("jo", InterestNoted("x"), at=NOW, expect=-1)


def test_of_writers_that_expect_the_same_version_one_wins(app: Cadence) -> None:
    begin = threading.Barrier(8)
    won: list[int] = []
    lost: list[VersionConflict] = []

    def write(number: int) -> None:
        begin.wait(30)
        try:
            app.execute("jo", InterestNoted(f"thing {number}"), at=NOW, expect=1)
        except VersionConflict as error:
            lost.append(error)
        else:
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(won), len(lost)) == (1, 7)
    assert app.load("jo").version == 2


def test_what_comes_for_a_merged_record_expects_the_version_of_the_record_it_names(
    app: Cadence,
) -> None:
    app.execute("kim", ProspectAdded("Jo", "Europe/Berlin"), at=NOW)
    app.merges.merge("kim", "jo", why="one person", by="ann", at=NOW)
    version = app.load("kim").version
    with pytest.raises(VersionConflict, match="kim: is at version"):
        app.execute("kim", InterestNoted("x"), at=NOW, expect=version - 1)
    assert app.execute("kim", InterestNoted("x"), at=NOW, expect=version).prospect.id == "jo"
