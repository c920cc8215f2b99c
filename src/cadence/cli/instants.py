"""Read the instants that a user types: with an offset, in the prospect's time, or relative to now.

    2026-12-01T14:00:00Z   2026-12-01 09:00   tomorrow 9:00   fri 14:30   +3d   -2h

A text that may mean two instants is an error that names them (ADR 0043).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from cadence.domain.codec import to_utc
from cadence.errors import InputError, did_you_mean
from cadence.worktime.hours import WEEKDAY_NAMES, WEEKDAYS
from cadence.worktime.zones import zone

__all__ = ["Reader"]

_FORMS: Final = (
    "give it like 2026-12-01T14:00:00Z, or in their time like '2026-12-01 09:00', "
    "'tomorrow 9:00', 'fri 14:30', +3d or -2h"
)
_UNZONED_FORMS: Final = (
    "give it like 2026-12-01T14:00:00Z, +3d or -2h; no prospect gives a zone here"
)

_RELATIVE: Final = re.compile(r"([+-])([0-9]{1,4})(min|h|d|w)")
_UNITS: Final = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_LOCAL: Final = re.compile(r"(\S+)[ t]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_DAYS: Final = {"yesterday": -1, "today": 0, "tomorrow": 1}
_WEEKDAYS: Final = {
    word: number
    for number, (short, full) in enumerate(zip(WEEKDAYS, WEEKDAY_NAMES, strict=True))
    for word in (short, full.lower())
}

_Local = Callable[[datetime], datetime]
"""Turn the local time of now into the local time that is meant; both are naive."""


class Reader(NamedTuple):
    """Read the instants of one call.

    Attributes:
        now: what relative times start from.
        zones: look up the candidate zones of the prospect; none where no prospect is named.
    """

    now: datetime
    zones: Callable[[], Sequence[str]]

    def read(self, text: str, field: str, *, is_past: bool = False) -> tuple[datetime, str | None]:
        """Read one instant.

        Args:
            text: what the user typed.
            field: the argument or option that holds it, for errors.
            is_past: a weekday is the last one, not the next.

        Returns:
            The instant in UTC, and how to echo it; ``None``: it was given in full.

        Raises:
            InputError: the text is invalid, or may mean several instants.
        """
        with suppress(ValueError):
            given = datetime.fromisoformat(text)
            if given.tzinfo is not None:
                return to_utc(given, field), None
        zones = self.zones()
        plain = " ".join(text.lower().split())
        relative = _RELATIVE.fullmatch(plain)
        if relative is not None:
            # Seconds of now are nothing that the user meant.
            now = self.now.replace(second=0, microsecond=0)
            distance = int(relative[1] + relative[2]) * _UNITS[relative[3]]
            if relative[3] in ("min", "h") or not zones:
                instant = to_utc(now + distance, field)
            else:
                instant = self._resolve(lambda local: local + distance, now, text, field, zones)
        elif not zones:
            what = "missing zone in" if _LOCAL.fullmatch(plain) else "invalid instant"
            raise InputError(f"{field}: {what} {text!r}", _UNZONED_FORMS)
        else:
            meant = _local_time(plain, text, field, is_past=is_past)
            instant = self._resolve(meant, self.now, text, field, zones)
        return instant, _shown(instant, zones[0] if zones else None)

    def _resolve(
        self, meant: _Local, now: datetime, text: str, field: str, zones: Sequence[str]
    ) -> datetime:
        """Find the one instant at which clocks in every candidate zone show what is meant."""
        found: dict[datetime, str] = {}
        for name in zones:
            tz = zone(name)
            local = meant(now.astimezone(tz).replace(tzinfo=None))
            to_utc(local.replace(tzinfo=UTC), field)  # in the range of years
            found.setdefault(_only_instant(local, tz, text, field), name)
        if len(found) > 1:
            shown = ", ".join(f"{_utc(at)} in {name}" for at, name in found.items())
            raise InputError(
                f"{field}: ambiguous {text!r}: {shown}",
                _use(at.astimezone(zone(name)) for at, name in found.items()),
            )
        return to_utc(next(iter(found)), field)


def _local_time(plain: str, text: str, field: str, *, is_past: bool) -> _Local:
    """Read a day with a time of day."""
    match = _LOCAL.fullmatch(plain)
    if match is None:
        word = plain.split(" ")[0]
        if word in _DAYS or word in _WEEKDAYS or _iso_day(word) is not None:
            raise InputError(
                f"{field}: missing time of day in {text!r}", f"give it like '{word} 14:30'"
            )
        raise InputError(f"{field}: invalid instant {text!r}", _FORMS)
    day = match[1]
    hour, minute, second = (int(part or 0) for part in match.groups()[1:])
    if hour > 23 or minute > 59 or second > 59:
        raise InputError(f"{field}: invalid time of day in {text!r}", "use 0:00 to 23:59")

    def on(found: date) -> datetime:
        return datetime(found.year, found.month, found.day, hour, minute, second)  # noqa: DTZ001  (local)

    if day in _DAYS:
        return lambda now: on(now.date() + timedelta(days=_DAYS[day]))
    if day in _WEEKDAYS:
        return lambda now: on(_on_weekday(now.date(), day, match, field, is_past=is_past))
    found = _iso_day(day)
    if found is None:
        raise InputError(
            f"{field}: invalid instant {text!r}",
            did_you_mean(day, (*_DAYS, *_WEEKDAYS), otherwise=_FORMS),
        )
    return lambda now: on(found)


def _iso_day(word: str) -> date | None:
    if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", word):
        with suppress(ValueError):
            return date.fromisoformat(word)
    return None


def _on_weekday(today: date, day: str, match: re.Match[str], field: str, *, is_past: bool) -> date:
    ahead = (_WEEKDAYS[day] - today.weekday()) % 7
    week = timedelta(days=-7 if is_past else 7)
    if ahead == 0:
        time = f"{match[2]}:{match[3]}"
        raise InputError(
            f"{field}: ambiguous {match[0]!r}: today is {WEEKDAY_NAMES[_WEEKDAYS[day]]}",
            f"use 'today {time}' or '{today + week} {time}'",
        )
    return today + timedelta(days=ahead - 7 if is_past else ahead)


def _only_instant(local: datetime, tz: ZoneInfo, text: str, field: str) -> datetime:
    """Return the instant at which clocks in ``tz`` show ``local``.

    Raises:
        InputError: they skip it, or show it twice.
    """
    # The two readings differ only around a change of the clocks.
    readings = sorted({local.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1)})
    back = [one.astimezone(tz) for one in readings]
    if len(readings) == 1:
        return readings[0]
    if back[0].replace(tzinfo=None) == local:
        what = f"ambiguous {text!r}: clocks in {tz.key} show it twice"
    else:
        what = f"invalid {text!r}: clocks in {tz.key} skip it"
    raise InputError(f"{field}: {what}", _use(back))


def _use(instants: Iterable[datetime]) -> str:
    return "use " + " or ".join(one.isoformat(timespec="minutes") for one in instants)


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}Z"


def _shown(instant: datetime, name: str | None) -> str:
    """Show an instant with its zone: ``Fri 2026-12-04 14:30 America/New_York (19:30Z)``."""
    local = instant.astimezone(UTC if name is None else zone(name))
    day = WEEKDAYS[local.weekday()].capitalize()
    if name is None:
        return f"{day} {_utc(local)}"
    is_same_day = local.date() == instant.date()
    in_utc = f"{instant:%H:%M}Z" if is_same_day else _utc(instant)
    return f"{day} {local:%Y-%m-%d %H:%M} {name} ({in_utc})"
