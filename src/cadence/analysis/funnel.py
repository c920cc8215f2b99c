"""A whole database at a glance: how far prospects get, how long they wait, who is reached when."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from cadence.domain.events import AttemptMade, AttemptStage, Disposition, Event
from cadence.domain.fold import evolve
from cadence.domain.plurals import plural
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.domain.standing import standing_events
from cadence.engine.wording import duration

__all__ = [
    "CLAIMED",
    "AttemptLine",
    "Overview",
    "Rate",
    "StageLine",
    "claim_words",
    "interval_words",
    "overview",
    "percent",
    "stay_words",
    "to_builtins",
]

CLAIMED: Final = 0.70
"""The share that the source of ``tip8`` claims is reached at the appointment itself."""
_Z: Final = 1.959964  # of a normal distribution, for 95 %


class Rate(msgspec.Struct, frozen=True):
    """How many of how many, with the interval that the true share lies in with 95 % confidence.

    Attributes:
        of: how many attempts were made.
        reached: how many of them reached the person.
        unknown: how many have no recorded outcome; they are in no share.
    """

    of: int
    reached: int
    unknown: int = 0

    def counting(self, data: AttemptMade) -> Rate:
        """The same with one more attempt."""
        unknown = all(part.disposition is Disposition.UNKNOWN for part in data.parts)
        return Rate(self.of + 1, self.reached + data.connected, self.unknown + unknown)

    @property
    def known(self) -> int:
        """Of how many it is known whether they reached the person."""
        return self.of - self.unknown

    @property
    def share(self) -> float | None:
        """From 0 to 1; ``None`` where nothing is known."""
        return self.reached / self.known if self.known else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's score interval; ``None`` where nothing is known."""
        if not self.known:
            return None
        share, n = self.reached / self.known, self.known
        scale = 1 + _Z**2 / n
        middle = (share + _Z**2 / (2 * n)) / scale
        half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / scale
        return max(0.0, middle - half), min(1.0, middle + half)


class StageLine(msgspec.Struct, frozen=True):
    """One stage.

    Attributes:
        stage: which.
        reached: how many prospects ever stood there.
        now: how many stand there after their last event.
        stays: how many stays have ended.
        median: the median length of those; ``None`` if there are none.
        nine_in_ten: nine in ten were no longer than this.
    """

    stage: Stage
    reached: int
    now: int
    stays: int
    median: timedelta | None
    nine_in_ten: timedelta | None


class AttemptLine(msgspec.Struct, frozen=True):
    """The attempts that were the ``number``-th of their silence, and how many reached a person."""

    number: int
    rate: Rate


class Overview(msgspec.Struct, frozen=True):
    """A whole database.

    Attributes:
        prospects: how many there are.
        events: of all of them.
        stages: every stage, in order.
        attempts: by number, from 1 on.
        late: attempts learnt of after the response that ended their silence; they have no number.
        appointment: attempts at the appointment itself.
    """

    prospects: int
    events: int
    stages: tuple[StageLine, ...]
    attempts: tuple[AttemptLine, ...]
    late: int
    appointment: Rate


def overview(histories: Iterable[Sequence[Event]]) -> Overview:
    """Count a database.

    A stay lasts from when the event that led to the stage occurred to when the one that led away
    did. An attempt's number is its place among the attempts of its silence.

    Args:
        histories: of each prospect, in order of version; read one at a time.
    """
    counts = _Counts()
    for history in histories:
        counts.add(history)
    return counts.result()


class _Counts:
    def __init__(self) -> None:
        self.prospects = self.events = self.late = 0
        self.reached: Counter[Stage] = Counter()
        self.now: Counter[Stage] = Counter()
        self.stays: dict[Stage, list[timedelta]] = {stage: [] for stage in Stage}
        self.by_number: defaultdict[int, Rate] = defaultdict(lambda: Rate(0, 0))
        self.on_time = Rate(0, 0)

    def add(self, history: Sequence[Event]) -> None:
        prospect: Prospect | None = None
        stages: set[Stage] = set()
        since: datetime | None = None
        for event in standing_events(history):
            before, prospect = prospect, evolve(prospect, event)
            if isinstance(event.data, AttemptMade):
                self._attempt(before, prospect, event, event.data)
            stages.add(prospect.stage)
            if before is None or since is None:
                since = event.occurred_at
            elif before.stage is not prospect.stage:
                # What is learnt of late can have occurred before the stay began.
                at = max(since, event.occurred_at)
                self.stays[before.stage].append(at - since)
                since = at
        if prospect is not None:
            self.prospects += 1
            self.events += len(history)
            self.reached.update(stages)
            self.now[prospect.stage] += 1

    def _attempt(
        self, before: Prospect | None, after: Prospect, event: Event, data: AttemptMade
    ) -> None:
        if data.stage is AttemptStage.ON_TIME:
            self.on_time = self.on_time.counting(data)
        number = _number(before, after, event)
        if number is None:
            self.late += 1
        else:
            self.by_number[number] = self.by_number[number].counting(data)

    def result(self) -> Overview:
        return Overview(
            self.prospects,
            self.events,
            tuple(self._stage(stage) for stage in Stage),
            tuple(AttemptLine(number, rate) for number, rate in sorted(self.by_number.items())),
            self.late,
            self.on_time,
        )

    def _stage(self, stage: Stage) -> StageLine:
        stays = sorted(self.stays[stage])
        return StageLine(
            stage,
            self.reached[stage],
            self.now[stage],
            len(stays),
            _quantile(stays, 0.5),
            _quantile(stays, 0.9),
        )


def _number(before: Prospect | None, after: Prospect, event: Event) -> int | None:
    """The attempt's place in its silence; a conversation is the last of the one it ended."""
    for number, attempt in enumerate(after.silence.attempts, 1):
        if attempt.version == event.version:
            return number
    if before is None:
        return 1
    if event.occurred_at < before.silence.since:
        return None
    return 1 + sum(attempt.at <= event.occurred_at for attempt in before.silence.attempts)


def _quantile(ordered: list[timedelta], share: float) -> timedelta | None:
    """The least value that ``share`` of them do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else None


def to_builtins(found: Overview) -> dict[str, Any]:
    """The JSON of an overview; stays are in hours, shares from 0 to 1."""
    return {
        "prospects": found.prospects,
        "events": found.events,
        "stages": [
            {
                "stage": line.stage.value,
                "reached": line.reached,
                "now": line.now,
                "stays": line.stays,
                "median_hours": _hours(line.median),
                "nine_in_ten_hours": _hours(line.nine_in_ten),
            }
            for line in found.stages
        ],
        "attempts": [{"number": line.number, **_rate(line.rate)} for line in found.attempts],
        "attempts_learnt_late": found.late,
        "appointment": {**_rate(found.appointment), "claimed": CLAIMED},
    }


def _hours(length: timedelta | None) -> float | None:
    return None if length is None else round(length / timedelta(hours=1), 4)


def _rate(rate: Rate) -> dict[str, Any]:
    interval = rate.interval
    return {
        "made": rate.of,
        "connected": rate.reached,
        "unknown": rate.unknown,
        "share": None if rate.share is None else round(rate.share, 4),
        "low": None if interval is None else round(interval[0], 4),
        "high": None if interval is None else round(interval[1], 4),
    }


# In words -----------------------------------------------------------------------------------------


def percent(share: float | None) -> str:
    """A share for a reader, e.g. ``38 %``."""
    return "–" if share is None else f"{100 * share:.0f} %"


def interval_words(rate: Rate) -> str:
    """The interval for a reader, e.g. ``22–40 %``."""
    if rate.interval is None:
        return "–"
    low, high = rate.interval
    return f"{100 * low:.0f}–{100 * high:.0f} %"


def stay_words(length: timedelta | None) -> str:
    """A stay for a reader: to the minute below an hour, to the hour below two days, then days."""
    if length is None:
        return "–"
    if length < timedelta(hours=1):
        return duration(length)
    if length < timedelta(days=2):
        return f"{length / timedelta(hours=1):.1f} h"
    return f"{length / timedelta(days=1):.1f} d"


def claim_words(rate: Rate) -> str:
    """What the source claims of the appointment itself, and what was seen."""
    claim = f"the source claims {percent(CLAIMED)}"
    if not rate.of:
        return f"No attempt was made at an appointment yet; {claim}."
    if not rate.known:
        made = plural(rate.of, "attempt")
        return f"Of {made} at the appointment itself no outcome is known; {claim}."
    what = f"{plural(rate.known, 'attempt')} at the appointment itself"
    if rate.unknown:
        what += " whose outcome is known"
    return (
        f"Of {what} {rate.reached:,} reached the person: "
        f"{percent(rate.share)} ({interval_words(rate)}); {claim}."
    )
