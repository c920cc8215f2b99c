"""Prospects who can move to another policy, and the policies that they move to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import policies

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    Disposition,
    Part,
    ProspectAdded,
)
from cadence.engine.commands import SetAppointment
from cadence.policy import builtin
from cadence.store import Cadence

NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)
AT = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
TIP8 = builtin()
POINTS = (ContactPoint(CALL, "+1 212 555 0101"), ContactPoint(EMAIL, "a@example.com"))
ADDED = ProspectAdded("Kim", "Europe/Berlin", "DE", contact_points=POINTS)
NO_ANSWER = (Part(CALL, Disposition.NO_ANSWER, "+1 212 555 0101"),)


def _ours(raw: policies.Raw) -> None:
    raw["id"] = "ours"
    raw["steps"][3]["after"] = {"business_days": 4}
    raw["steps"][4]["after"] = {"business_days": 4}


OURS = policies.changed(TIP8, _ours)
REFUTED = policies.changed(TIP8, lambda raw: raw["steps"][3].update(times=7))


def in_silence(app: Cadence, *names: str) -> None:
    """Prospects who were called as agreed and did not answer."""
    for name in names:
        app.execute(name, ADDED, at=NOW - timedelta(days=1))
        app.execute(name, SetAppointment(NOW), at=NOW - timedelta(days=1))
        app.execute(name, AttemptMade(NO_ANSWER), at=NOW)
