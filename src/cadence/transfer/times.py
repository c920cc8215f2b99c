"""Times as other systems write them. Nothing is guessed: a mapping lists the formats."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cadence.errors import InputError
from cadence.transfer.mapping_model import At
from cadence.worktime.zones import from_local, zone

__all__ = ["parse_time"]

_NOON: Final = time(12)


def parse_time(value: str, at: At, own: ZoneInfo, label: str) -> tuple[datetime, bool]:
    """The instant that a text says, and whether it says only the day.

    Args:
        value: the text.
        at: the formats it may be in, and whose clock it is on.
        own: the person's own zone.
        label: what to call the column in errors.

    Raises:
        InputError: it is in none of the formats, or on nobody's clock.
    """
    for form in at.formats:
        local = _read_time(value, form)
        if local is None:
            continue
        if isinstance(local, datetime):
            if local.tzinfo is not None:
                return local, False
            if at.zone is None:
                raise InputError(
                    f"{label}: {value!r} has no zone (a naive time)",
                    'say whose clock it is in the mapping: zone = "Europe/Berlin", or "prospect"',
                )
            return from_local(local, own if at.zone == "prospect" else zone(at.zone)), False
        # Noon of their own day: the date stays what it is, whoever looks at it.
        return from_local(datetime.combine(local, _NOON), own), True
    known = " or ".join(at.formats)
    raise InputError(
        f"{label}: {value!r} is no time ({known})", "list its format in the mapping, under formats"
    )


def _read_time(value: str, form: str) -> datetime | date | None:
    try:
        if form == "iso":
            # A date alone would become midnight, and midnight is another day elsewhere.
            return datetime.fromisoformat(value) if len(value) > _DATE and ":" in value else None
        if form == "date":
            return date.fromisoformat(value) if len(value) == _DATE else None
        if form == "epoch_ms":
            return _epoch(value, 1000)
        if form == "epoch_s":
            return _epoch(value, 1)
        found = datetime.strptime(value, form)  # noqa: DTZ007  (its zone is looked at later)
    except (ValueError, OverflowError, OSError):
        return None
    return found if any(sign in form for sign in _CLOCK) else found.date()


def _epoch(value: str, units: int) -> datetime | None:
    if not value.isascii() or not value.removeprefix("-").isdigit():
        return None
    return _EPOCH + timedelta(seconds=1) * int(value) / units


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DATE: Final = len("2026-12-01")
_CLOCK: Final = ("%H", "%I", "%c", "%X", "%T", "%R", "%f")
