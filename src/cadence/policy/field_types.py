"""Define the kinds of text that several keys of a policy file hold.

Each describes what it takes; errors and the JSON Schema repeat that description.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta

from cadence.domain.channels import CHANNELS, Channel
from cadence.domain.events import AttemptStage
from cadence.worktime.hours import WEEKDAYS, Weekday

__all__ = [
    "CallerId",
    "ClosedDay",
    "Country",
    "DayOfHours",
    "Id",
    "OpenHours",
    "OutreachStage",
    "PolicyChannel",
    "PolicyId",
    "Subdivision",
    "TimeOfDay",
    "WeekdayName",
]

Id = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]*$",
        max_length=60,
        description="a to z, digits and _, a letter first, at most 60 in all",
    ),
]
PolicyId = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]*$",
        max_length=60,
        description="a to z, digits and -, a letter first, at most 60 in all",
    ),
]
# An extra attempt has a stage of its own, which no plan has; the loader refuses it.
OutreachStage = Annotated[
    AttemptStage,
    Meta(extra={"choices": [one.value for one in AttemptStage if one is not AttemptStage.EXTRA]}),
]
# Both words of a day name the other form: a part of a day is not closed, it has hours.
ClosedDay = Annotated[
    date,
    Meta(
        description="a date such as 2026-12-24, without quotes; hours for a date stand in "
        '[calendar.on]: 2026-12-24 = ["09:00-13:00"]'
    ),
]
DayOfHours = Annotated[
    date, Meta(description='a date with its hours, such as 2026-12-24 = ["09:00-13:00"]')
]
# Which words there are is up to the policy, which may declare channels; the loader checks them.
PolicyChannel = Annotated[
    Channel,
    Meta(
        pattern=r"^[a-z][a-z0-9_]*$",
        max_length=40,
        description=f"{', '.join(CHANNELS)}, or a channel that [channels.NAME] declares",
    ),
]
OpenHours = Annotated[str, Meta(description='local hours such as "09:00-17:00"')]
TimeOfDay = Annotated[str, Meta(description='a local time such as "09:30"')]
Country = Annotated[str, Meta(description='a country by its code in ISO 3166-1, such as "NL"')]
Subdivision = Annotated[
    str, Meta(description='a part of that country by its code in ISO 3166-2, such as "BW"')
]
WeekdayName = Annotated[Weekday, Meta(description=", ".join(WEEKDAYS))]
CallerId = Annotated[
    Literal["shown"],
    Meta(description='"shown": hiding who calls is unlawful for telemarketing, 47 CFR 64.1601(e)'),
]
