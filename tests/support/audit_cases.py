"""Histories with one planted violation, and what the audit finds in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import pytest
from engine_lives import CALL, EMAIL, MAIL, PLACES, Place

from cadence.audit import Auditor, Finding, Noticed
from cadence.domain import channels
from cadence.domain.channels import BUILT_IN, Channel
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    Data,
    Disposition,
    Event,
    Part,
    ProspectAdded,
)
from cadence.domain.keys import KeyReader
from cadence.policy import Policy, builtin
from cadence.prover import loads
from cadence.worktime import work_calendar

TIP8 = builtin("tip8")
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.zones[-1])
CALENDAR = """
[calendar]
mon = ["09:00-17:00"]
tue = ["09:00-17:00"]
wed = ["09:00-17:00"]
thu = ["09:00-17:00"]
fri = ["09:00-17:00"]
"""


SHORT = loads(
    """
id = "short"
version = 1
title = "Few and far between"
source = "a test"
horizon_business_days = 90
task_business_days = 2
"""
    + CALENDAR
    + """
[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{ channels = ["call"], script = "on_time" }]
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 2 }
times = 2
parts = [{ channels = ["call"], script = "spaced" }]
[[steps]]
id = "news"
stage = "nurture"
after = { business_days = 4 }
times = 2
parts = [{ channels = ["email"], script = "spaced" }]
[[steps]]
id = "bye"
stage = "polite_exit"
after = { business_days = 5 }
answer_within = { business_days = 3 }
parts = [{ channels = ["email", "mail"], script = "polite_exit" }]
""",
    "short.toml",
)


def found(history: Sequence[Event], policy: Policy = TIP8, **others: bool) -> list[Finding]:
    every = Auditor(policy).audit(history)
    return [one for one in every if one.noticed is not Noticed.HINDSIGHT]


def rules(history: Sequence[Event], policy: Policy = TIP8) -> list[tuple[int, str]]:
    return [(one.version, one.rule) for one in found(history, policy)]


def plant(
    history: Sequence[Event], data: Data, at: datetime, recorded_at: datetime | None = None
) -> list[Event]:
    """The history with one more event."""
    last = history[-1]
    known = [
        point
        for event in history
        if isinstance(event.data, ProspectAdded)
        for point in event.data.contact_points
    ]
    data = KeyReader(BUILT_IN, lambda: None, known, is_strict=False).data(data)
    recorded = max(at, last.recorded_at) if recorded_at is None else recorded_at
    return [*history, Event(last.prospect, last.version + 1, at, recorded, data)]


def attempt(
    stage: AttemptStage | None = AttemptStage.SPACED,
    step: str | None = None,
    channel: Channel = channels.CALL,
    disposition: Disposition | None = None,
    policy: Policy = TIP8,
    **given: object,
) -> AttemptMade:
    """An attempt as other software would send it, with nothing filled in."""
    plain = Disposition.NO_ANSWER if channel == Channel("call") else Disposition.SENT
    address = {one.channel: one.address for one in (CALL, EMAIL, MAIL)}.get(channel)
    part = Part(channel, disposition or plain, address)
    made = AttemptMade((part,), stage, step, policy=policy.ref)
    return msgspec.structs.replace(made, **given)


def later(place: Place, history: Sequence[Event], days: int, policy: Policy = TIP8) -> datetime:
    """The same local time, so many business days after the last event."""
    time = work_calendar(policy.open_times, place.zones, place.country, place.subdivision)
    found = time.next_open(time.after_business_days(history[-1].occurred_at, days))
    assert found is not None
    return found


CARING = loads(
    """
id = "caring"
version = 1
title = "Ask once, late"
source = "a test"
horizon_business_days = 90
task_business_days = 2

[calendar]
mon = ["09:00-17:00"]
tue = ["09:00-17:00"]
wed = ["09:00-17:00"]
thu = ["09:00-17:00"]
fri = ["09:00-17:00"]

[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 1 }
times = 5
parts = [{ channels = ["call"], script = "spaced" }]

[[steps]]
id = "concern"
stage = "concern"
after = { business_days = 2 }
parts = [{ channels = ["email"], script = "concern" }]

[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { business_days = 3 }
answer_within = { business_days = 2 }
parts = [{ channels = ["email"], script = "polite_exit" }]
""",
    "caring.toml",
    # The prover refutes it: only the invariants ask for attempts and days before the concern.
    use_unproved_policy=True,
)
