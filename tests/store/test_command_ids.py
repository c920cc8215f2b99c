"""A command repeated with its id has no second effect, and no other command may have that id."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cadence.domain.channels import CALL, EMAIL, SMS
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    ContactPointAdded,
    Disposition,
    EndReason,
    Intent,
    OptOutRequested,
    Part,
    PauseRequested,
    ProspectAdded,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
    ValueKind,
)
from cadence.engine.commands import (
    CancelAppointment,
    Command,
    EndFollowUp,
    MakeAttempt,
    NoteValue,
    ReopenFollowUp,
    SetAppointment,
)
from cadence.errors import InputError
from cadence.store import Cadence

NOW = datetime(2026, 12, 1, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)
POINTS = (ContactPoint(CALL, "+1 212 555 0100"), ContactPoint(EMAIL, "Ann@Example.com"))
ADDED = ProspectAdded("Ann", "America/New_York", "US", contact_points=POINTS)
MISSED = (Part(CALL, Disposition.NO_ANSWER),)
SENT = (Part(EMAIL, Disposition.SENT),)
IN_NEW_YORK = (NOW + HOUR).astimezone(timezone(timedelta(hours=-5)))

# A command, and commands that only look like it.
COMMANDS: list[tuple[Command, list[Command]]] = [
    (ADDED, [ProspectAdded("Ann", "America/New_York", "US", contact_points=POINTS[:1])]),
    (OptOutRequested(CALL), [OptOutRequested(), OptOutRequested(EMAIL)]),
    (OptOutRequested(), [OptOutRequested(CALL), OptOutRequested(except_channels=(EMAIL,))]),
    (MakeAttempt(MISSED), [MakeAttempt(SENT), MakeAttempt(MISSED, note="x"), MakeAttempt(())]),
    (AttemptMade(MISSED), [AttemptMade(SENT), AttemptMade(MISSED, note="x"), MakeAttempt(SENT)]),
    (SetAppointment(IN_NEW_YORK), [SetAppointment(NOW + 2 * HOUR)]),
    (SetAppointment(NOW + HOUR, EMAIL), [SetAppointment(NOW + HOUR), ReplyReceived(SMS)]),
    (SetAppointment(NOW + HOUR), [SetAppointment(NOW + HOUR, EMAIL), CancelAppointment()]),
    (EndFollowUp(EndReason.DECLINED), [EndFollowUp(EndReason.DECEASED), ReopenFollowUp("x")]),
    (
        NoteValue("the law changed"),
        [NoteValue("x"), NoteValue("the law changed", ValueKind.PERSONAL)],
    ),
    (ReplyReceived(EMAIL), [ReplyReceived(EMAIL, Intent.NO), ReplyReceived(SMS)]),
    (PauseRequested(IN_NEW_YORK), [PauseRequested(NOW + 2 * HOUR)]),
    (ReferralGiven("Kim", POINTS), [ReferralGiven("Kim"), ReferralGiven("Jo", POINTS)]),
    (ContactPointAdded(SMS, "+1 212 555 0101"), [ContactPointAdded(CALL, "+1 212 555 0101")]),
    (ProspectUpdated(country="DE"), [ProspectUpdated(country="FR"), ProspectUpdated(name="A")]),
]


@pytest.fixture
def app() -> Iterator[Cadence]:
    with Cadence.open(None) as opened:
        yield opened


@pytest.mark.parametrize(("command", "others"), COMMANDS, ids=lambda one: type(one).__name__)
def test_only_the_same_command_may_come_again(
    app: Cadence, command: Command, others: list[Command]
) -> None:
    if command is not ADDED:
        app.execute("ann", ADDED, at=NOW)
    first = app.execute("ann", command, at=NOW, command_id="c-1")
    before = app.history("ann")
    again = app.execute("ann", command, at=NOW + HOUR, command_id="c-1")
    assert (again.repeated, again.events) == (True, first.events)
    for other in others:
        with pytest.raises(InputError, match="command_id: 'c-1' was used for another"):
            app.execute("ann", other, at=NOW, command_id="c-1")
    assert app.history("ann") == before


def test_a_command_that_is_tried_again_may_have_another_time(app: Cadence) -> None:
    app.execute("ann", ADDED, at=NOW)
    app.execute("ann", ReplyReceived(EMAIL), at=NOW, occurred_at=NOW, command_id="c-1")
    later = NOW + HOUR
    again = app.execute("ann", ReplyReceived(EMAIL), at=later, occurred_at=later, command_id="c-1")
    assert again.repeated
    assert [event.occurred_at for event in app.history("ann")] == [NOW, NOW]


def test_a_value_gets_the_first_free_id(app: Cadence) -> None:
    app.execute("ann", ADDED, at=NOW)
    for number in (1, 2):
        noted = app.execute("ann", NoteValue("a reason"), at=NOW)
        assert noted.prospect.values[-1].id == f"value-{number}"
