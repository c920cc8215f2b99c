"""Histories to measure with: prospects that lived through ``tip8``, made by the engine itself.

A life is made once for each kind (zone, country, start, how far it got) by carrying out commands at
the times the engine names; copies under other ids are cheap, and every event is one that the
engine would have written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, NamedTuple

from msgspec.structs import replace

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import (
    AutoReplyReceived,
    ContactPoint,
    Disposition,
    Event,
    GuidelinesAgreed,
    InterestNoted,
    Part,
    ProspectAdded,
    ValueKind,
    ValueNoted,
)
from cadence.domain.stages import Stage
from cadence.engine.commands import MakeAttempt, SetAppointment
from cadence.engine.decision import Decision, Verdict
from cadence.engine.loop import decision_for
from cadence.store import Cadence
from cadence.worktime.calendar import work_calendar

__all__ = [
    "LATER",
    "PLACES",
    "Place",
    "attempt_for",
    "chunks",
    "copies",
    "life",
    "lines_of",
    "mondays",
    "renamed",
    "twelve_events",
]


LATER: Final = datetime(2199, 1, 1, tzinfo=UTC)
"""The time of an import: after all lives."""


class Place(NamedTuple):
    """Where a prospect is."""

    zones: tuple[str, ...]
    country: str | None
    subdivision: str | None = None


PLACES: Final = (
    Place(("America/New_York",), "US", "NY"),
    Place(("America/Chicago",), "US"),
    Place(("America/Los_Angeles",), "US", "CA"),
    Place(("Europe/Berlin",), "DE", "BY"),
    Place(("Europe/London",), "GB", "ENG"),
    Place(("Europe/Paris",), "FR"),
    Place(("Asia/Tokyo",), "JP"),
    Place(("Asia/Kolkata",), "IN"),
    Place(("Australia/Sydney",), "AU", "NSW"),
    Place(("America/Sao_Paulo",), "BR"),
    Place(("America/New_York", "America/Chicago"), "US"),
    Place(("Europe/Madrid",), None),
)
"""Zones and countries for a mix; one prospect in twelve may be in either of two zones."""

_FIRST_MONDAY: Final = datetime(2026, 10, 5, tzinfo=UTC)


def mondays(count: int, first: int = 0) -> list[datetime]:
    """``count`` starts, a week apart, from the ``first`` one on."""
    return [_FIRST_MONDAY + timedelta(weeks=first + week) for week in range(count)]


def attempt_for(decision: Decision) -> MakeAttempt:
    """An unanswered attempt that carries out the touch of ``decision``."""
    assert decision.touch is not None
    return MakeAttempt(
        tuple(
            Part(
                part.channel,
                Disposition.NO_ANSWER if part.channel == CALL else Disposition.SENT,
                part.address,
            )
            for part in decision.touch.parts
        )
    )


def life(
    app: Cadence,
    prospect: str,
    place: Place,
    start: datetime,
    *,
    until: Stage | None = None,
    events: int | None = None,
    away_from: Stage | None = None,
    shift: timedelta = timedelta(0),
) -> list[Event]:
    """The history of a prospect who never answers.

    Args:
        app: a store, in memory, to live in.
        prospect: the id.
        place: where they are.
        start: a Monday, 00:00 UTC.
        until: stop at this stage.
        events: stop after so many events.
        away_from: at this stage an automatic reply arrives, once, and suspends for nine days.
        shift: how much later the appointment is, so that not all live by the same minute.
    """
    time = work_calendar(
        app.policies.default.open_times, place.zones, place.country, place.subdivision
    )
    added = time.next_open(start + timedelta(hours=12)) or start
    appointment = time.after_business_days(added, 2) + timedelta(hours=1) + shift
    zones = place.zones[0] if len(place.zones) == 1 else place.zones
    points = (ContactPoint(CALL, "+12125550100"), ContactPoint(EMAIL, "p@example.org"))
    begin = (
        ProspectAdded("Jo Prospect", zones, place.country, place.subdivision, points, "fair"),
        GuidelinesAgreed("we ring until you tell us to stop"),
        InterestNoted("a quicker month end"),
        ValueNoted("v1", "the new tax rule", ValueKind.PROFESSIONAL),
        SetAppointment(appointment),
    )
    now = added
    for command in begin:
        app.execute(prospect, command, at=now)
        now += timedelta(minutes=1)
    away = False
    while True:
        so_far = app.load(prospect)
        if so_far.version == events or so_far.stage is until:
            break
        if so_far.stage is away_from and not away:
            away = True
            out = AutoReplyReceived(EMAIL, so_far.recorded_at + timedelta(days=9))
            now = so_far.recorded_at + timedelta(minutes=30)
            app.execute(prospect, out, at=now)
            continue
        decision = decision_for(so_far, app.policies, now)
        if decision.at is None or decision.touch is None:
            break
        if decision.verdict is Verdict.WAIT:
            now = decision.at
            continue
        app.execute(prospect, attempt_for(decision), at=now)
    if away_from is not None and not away:
        # The stage that it happens at is the last.
        out = AutoReplyReceived(EMAIL, app.load(prospect).recorded_at + timedelta(days=9))
        app.execute(prospect, out, at=app.load(prospect).recorded_at + timedelta(minutes=30))
    return app.history(prospect)


def twelve_events() -> list[Event]:
    """One history of twelve events: added, appointed, and seven attempts; an eighth is next."""
    with Cadence.open(None) as app:
        return life(app, "original", PLACES[0], mondays(1)[0], events=12)


def renamed(history: Sequence[Event], prospect: str) -> list[Event]:
    """``history`` under another id."""
    return [replace(event, prospect=prospect) for event in history]


def copies(
    history: Sequence[Event], ids: Iterable[str], stored: int = 0
) -> Iterator[tuple[list[Event], int]]:
    """``history`` once for each id, as ``Cadence.histories.append`` takes it."""
    return ((renamed(history, one), stored) for one in ids)


def chunks(
    items: Iterable[tuple[list[Event], int]], size: int
) -> Iterator[list[tuple[list[Event], int]]]:
    """``items`` in lists of ``size``."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def lines_of(rows: Iterable[bytes]) -> str:
    """Stored states as the store hands them over: joined by line breaks."""
    return b"\n".join(rows).decode()
