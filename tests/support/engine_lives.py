"""Histories that the engine itself would write: its decisions carried out, on time or late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cadence.domain.channels import Channel
from cadence.domain.events import (
    ContactPoint,
    Disposition,
    Event,
    Part,
    ProspectAdded,
)
from cadence.domain.stages import Stage
from cadence.engine import (
    Decision,
    MakeAttempt,
    NoteValue,
    SetAppointment,
    Verdict,
    Wait,
)
from cadence.engine.next_touch import lacks_value
from cadence.policy import Policy
from cadence.store import Cadence

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONDAY = datetime(2026, 11, 9, tzinfo=UTC)
CALL = ContactPoint(Channel("call"), "+1 212 555 0100")
EMAIL = ContactPoint(Channel("email"), "jo@example.com")
MAIL = ContactPoint(Channel("mail"), "1 Main Street")


class Place(NamedTuple):
    """Where a prospect is; ``noon`` is a business hour in UTC."""

    zones: tuple[str, ...]
    country: str | None
    subdivision: str | None
    noon: int


PLACES = [
    Place(("America/New_York",), "US", "NY", 17),
    Place(("Europe/Berlin",), "DE", "BE", 11),
    Place(("Asia/Tokyo",), "JP", None, 3),
    Place(("America/New_York", "America/Chicago"), "US", None, 17),
    Place(("UTC",), None, None, 12),
]


def points(*channels: Channel) -> tuple[ContactPoint, ...]:
    return tuple(one for one in (CALL, EMAIL, MAIL) if one.channel in channels)


def live(
    place: Place,
    *,
    until: Stage | None = None,
    attempts: int = 99,
    late: Sequence[timedelta] = (),
    reach: tuple[ContactPoint, ...] = (CALL, EMAIL),
    policy: Policy | None = None,
    answers: Disposition = Disposition.NO_ANSWER,
    prospect: str = "jo",
    close: bool = False,
) -> list[Event]:
    """A prospect who never answers.

    Args:
        place: where.
        until: stop once the prospect stands there.
        attempts: stop after so many attempts.
        late: by how much each attempt is late.
        reach: their contact points.
        policy: what they are under; ``tip8``.
        answers: how each call goes.
        prospect: their id.
        close: go on to the close.
    """
    with Cadence.open(None, default=policy, use_unproved_policies=True) as app:
        now = MONDAY + place.noon * HOUR
        zones = place.zones[0] if len(place.zones) == 1 else place.zones
        added = ProspectAdded("Jo", zones, place.country, place.subdivision, reach)
        app.execute(prospect, added, at=now)
        app.execute(prospect, SetAppointment(now + DAY), at=now)
        made = 0
        while made < attempts:
            decision = app.explain(prospect, now)
            if decision.stage is Stage.SCHEDULED and decision.verdict is Verdict.TASK:
                # The policy leaves the appointment to the owner.
                assert decision.at is not None
                now = max(now, decision.at)
                way = reach[0].channel
                went = answers if way == Channel("call") else Disposition.SENT
                app.execute(prospect, MakeAttempt((Part(way, went),), is_strict=True), at=now)
                made += 1
                continue
            if isinstance(decision, Wait) and lacks_value(app.load(prospect), decision):
                # The owner finds something of value the day before.
                app.execute(prospect, NoteValue("a map"), at=max(now, decision.at - DAY))
                continue
            if decision.stage is until or decision.touch is None or decision.at is None:
                break
            if decision.verdict is Verdict.WAIT:
                delay = late[made] if made < len(late) else timedelta(0)
                now = decision.at + delay
                # Too late today may mean tomorrow.
                while (decision := app.explain(prospect, now)).verdict is Verdict.WAIT:
                    assert decision.at is not None
                    now = decision.at
            if decision.verdict is not Verdict.DUE:
                break
            app.execute(prospect, carried_out(decision, answers), at=now)
            made += 1
        if close:
            while (decision := app.explain(prospect, now)).verdict is Verdict.WAIT:
                assert decision.at is not None
                now = decision.at
            app.tick(now)
        return app.history(prospect)


def carried_out(decision: Decision, answers: Disposition = Disposition.NO_ANSWER) -> MakeAttempt:
    """What was due, made and not answered."""
    assert decision.touch is not None
    return MakeAttempt(
        tuple(
            Part(
                part.channel,
                answers if part.channel == Channel("call") else Disposition.SENT,
                part.address,
            )
            for part in decision.touch.parts
        ),
        is_strict=True,
    )
