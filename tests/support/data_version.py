"""A program with its own version of the holiday and zone data, beside others on one store.

    python data_version.py ADDRESS DATA DO NUMBER

DATA is ``old`` or ``new``. DO is ``write`` (some lives, one after the other), ``check`` (at many
times, the listing is what deciding everybody gives), or ``rebuild``. Any refusal ends it.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import AttemptMade, ContactPoint, Disposition, Part, ProspectAdded
from cadence.engine.commands import SetAppointment
from cadence.engine.decision import Verdict
from cadence.store import Cadence
from cadence.worktime import zone_calendar

START: Final = datetime(2026, 11, 30, 14, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
CLOSED: Final = {
    "old": [date(2026, 12, 3), date(2026, 12, 4), date(2026, 12, 16)],
    "new": [date(2026, 12, day) for day in (1, 8, 9, 10, 11, 14, 15)],
}
ZONES: Final = {"old": "America/New_York", "new": "America/Halifax"}
LIVES: Final = 12


def use(data: str) -> None:
    """Decide with this version of the data from now on."""
    days = {day.toordinal(): "a holiday" for day in CLOSED[data]}

    def holidays(country: str, subdivision: str | None, year: int) -> dict[int, str]:
        return days if year == 2026 else {}

    def zone(name: str) -> ZoneInfo:
        return ZoneInfo(ZONES[data])

    zone_calendar.public_holidays = holidays  # type: ignore[assignment]
    zone_calendar.zone = zone


def write(address: str, number: int) -> None:
    missed = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))
    for life in range(LIVES):
        name = f"p{number}-{life}"
        points = (
            ContactPoint(CALL, f"+1 212 555 {1000 + 100 * number + life}"),
            ContactPoint(EMAIL, f"{name}@example.com"),
        )
        added = ProspectAdded("Ann", "America/New_York", "US", contact_points=points)
        at = START + life * 24 * HOUR
        with Cadence.open(address, lock_timeout_seconds=60) as app:
            app.execute(name, added, at=at)
            app.execute(name, SetAppointment(at + 24 * HOUR), at=at)
            for attempt in range(life % 6):
                app.execute(name, missed, at=at + (24 + 50 * attempt) * HOUR)


def check(address: str) -> None:
    with Cadence.open(address, read_only=True) as app:
        every = list(app.prospects())
        for hours in range(0, 24 * 40, 7):
            now = START + hours * HOUR
            decided = {name: app.explain(name, now) for name in every}
            now_ = {n for n, one in decided.items() if one.verdict in (Verdict.DUE, Verdict.TASK)}
            listed = [one.prospect for one in app.due(now)]
            assert len(listed) == len(set(listed))
            assert set(listed) == now_, (now, set(listed) ^ now_)
            ats = [one.at for one in app.due(now)]
            assert ats == sorted(ats), now


def main(address: str, data: str, do: str, number: str) -> None:
    use(data)
    if do == "write":
        write(address, int(number))
    elif do == "check":
        check(address)
    else:
        with Cadence.open(address, lock_timeout_seconds=60) as app:
            app.due_rows.rebuild()


if __name__ == "__main__":
    main(*sys.argv[1:])
