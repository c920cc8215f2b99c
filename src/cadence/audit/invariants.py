"""The charter, read a second time: what a recorded attempt or a recorded close breaks.

Each function looks at one rule of section 7 of the design, in the words of that section. None of
them asks the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cadence.audit.findings import (
    APPOINTMENT,
    CONCERN,
    CONTACT_POINT,
    GAP,
    OPT_OUT,
    ORDER,
    PLAN,
    POLITE_EXIT,
    QUIET_HOURS,
    SPACED_CAP,
    SUSPENDED,
)
from cadence.audit.records import EXIT, Made, Phase
from cadence.audit.state import File
from cadence.domain.events import Channel, EndReason, Event, Gap, Intent, Part

__all__ = ["Breach", "closing", "forbidden", "lasting", "measure", "timing"]

_CAP: Final = 6
_CONCERN: Final = 5
_CONCERN_ATTEMPTS: Final = 5
_CONCERN_WAIT: Final = timedelta(days=21)
_MAIL_BUSINESS_DAYS: Final = 10
_QUIET_UNTIL: Final = 8 * 3600
_QUIET_FROM: Final = 21 * 3600
_MINUTE: Final = timedelta(minutes=1)
_STAGES: Final = (
    "extra",
    "on_time",
    "ten_minutes",
    "half_day",
    "spaced",
    "concern",
    "nurture",
    "polite_exit",
)


class Breach(NamedTuple):
    """A rule that an event broke; ``learnt`` is when we learnt of what makes it a breach."""

    rule: str
    because: str
    learnt: datetime | None = None


def show(file: File, instant: datetime) -> str:
    """An instant on the prospect's clock, or in UTC where nobody knows that."""
    if file.time is None:
        return f"{instant:%Y-%m-%d %H:%M} UTC"
    return f"{file.time.local(instant):%Y-%m-%d %H:%M}"


def span(days: int, minutes: int) -> str:
    """A gap in words."""
    if days:
        return f"{days} business day{'' if days == 1 else 's'}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


# What does not depend on the moment ---------------------------------------------------------------


def lasting(file: File, parts: Sequence[Part], at: datetime) -> Iterator[Breach]:
    """``opt_out`` and ``contact_point``: what holds for an attempt of any silence."""
    everything = file.opted_out_of_all
    gone = [part.channel for part in parts if part.channel in file.opted_out]
    if everything is not None and everything.occurred <= at:
        yield Breach(
            OPT_OUT,
            f"they had opted out of everything on {show(file, everything.occurred)} "
            f"(event {everything.version})",
            everything.recorded,
        )
    elif gone and file.opted_out[gone[0]].occurred <= at:
        known = file.opted_out[gone[0]]
        yield Breach(
            OPT_OUT,
            f"they had opted out of {gone[0]} on {show(file, known.occurred)} "
            f"(event {known.version})",
            known.recorded,
        )
    for part in parts:
        address = part.address
        if address is None:
            addresses = [one for channel, one in file.points if channel is part.channel]
            if not addresses or any((part.channel, one) not in file.failed for one in addresses):
                continue
            address = addresses[-1]
        failure = file.failed.get((part.channel, address))
        if failure is not None and failure.occurred <= at:
            yield Breach(
                CONTACT_POINT,
                f"{part.channel} {address} had failed on {show(file, failure.occurred)} "
                f"(event {failure.version})",
                failure.recorded,
            )
            return


# What may not be made at all ----------------------------------------------------------------------


def forbidden(file: File, at: datetime) -> Breach | None:
    """A state of the file in which there is nothing to make: then nothing is too early either."""
    phase = file.phase
    if phase == Phase.OUTREACH:
        delivered = file.delivered_exit() if file.reach == EXIT else None
        if delivered is None or delivered[0].at > at:
            return None
        because = (
            f"nothing comes after the polite exit, which was delivered on "
            f"{show(file, delivered[0].at)} (event {delivered[0].version})"
        )
        return Breach(POLITE_EXIT, because)
    if phase == Phase.ENGAGED:
        reopened = file.reopened
        if reopened is not None and reopened.occurred <= at:
            because = f"the file was reopened (event {reopened.version}) and waits for a contact"
            return Breach(PLAN, because, reopened.recorded)
        if file.intent is Intent.NO:
            said = file.silence
            because = (
                f"sent after the reply of {show(file, said.occurred)} "
                f"(event {said.version}): they said no"
            )
            return Breach(PLAN, because, said.recorded)
        return None
    ended = file.ended
    if ended is None or ended.occurred > at or file.waiting:
        return None
    when = f"on {show(file, ended.occurred)} (event {ended.version})"
    if phase == Phase.CLOSED:
        return Breach(POLITE_EXIT, f"the file was closed {when}", ended.recorded)
    if phase in (Phase.WON, Phase.LOST):
        word = "won" if phase == Phase.WON else "lost"
        return Breach(PLAN, f"the file was {word} {when}", ended.recorded)
    return None


# Caps, gaps, order, times -------------------------------------------------------------------------


def measure(file: File, made: Made, recorded: Gap | None) -> tuple[Made | None, str]:
    """Measure the gap from the attempt before ``made``, and keep what was measured then.

    A recorded gap counts, because holidays may have been corrected since; but not one that no
    holidays could make true.

    Returns:
        The attempt before, by occurrence; and what is wrong with the recorded gap, if anything.
    """
    before: Made | None = None
    for one in reversed(file.attempts):
        if one.at <= made.at:
            before = one
            break
    if before is None:
        return None, ""
    made.after = before.version
    if file.time is None:
        if recorded is not None:
            made.days, made.minutes = recorded.business_days, recorded.minutes
        return before, ""
    made.days, made.minutes = file.gap(before, made.at, made.day)
    if recorded is None or (recorded.business_days, recorded.minutes) == (made.days, made.minutes):
        return before, ""
    if _possible(file, before, made, recorded):
        made.days, made.minutes = recorded.business_days, recorded.minutes
        return before, ""
    said = span(recorded.business_days, recorded.minutes)
    return before, f"; the event says {said}, which no holidays explain"


def _possible(file: File, before: Made, made: Made, recorded: Gap) -> bool:
    """Whether some version of the holiday data could have measured ``recorded``."""
    if not file.plan.known:
        return True  # the calendar that it was measured by is not at hand
    if file.country is None and not file.plan.closed:
        return False
    assert file.time is not None  # measure() looked
    week = file.plan.week
    most = min(
        sum(
            bool(week[(day + 6) % 7])
            for day in range(calendar.day(before.at) + 1, calendar.day(made.at) + 1)
        )
        for calendar in file.time.calendars
    )
    if recorded.business_days:
        return recorded.business_days <= most
    return recorded.minutes <= (made.at - before.at) // _MINUTE


def timing(file: File, made: Made, before: Made | None, doubt: str) -> Iterator[Breach]:
    """The rules about how many, how far apart, in which order, and at what time of day."""
    rank, at = made.rank, made.at
    if made.has_call and file.spaced_calls >= _CAP and made.is_spaced_call:
        because = f"spaced call number {file.spaced_calls + 1} of the silence; at most {_CAP}"
        yield Breach(SPACED_CAP, because)
    away = list(_suspended(file, made)) if file.suspensions else []
    yield from away
    # Suspended time counts in no gap, so whoever rang in it came too soon in any case.
    if before is not None and rank != 1 and not away:
        largest = (file.largest_days, file.largest_minutes)
        if before is not file.attempts[-1]:
            largest = file.largest(one for one in file.attempts if one.at <= at)
        if (made.days, made.minutes) < largest:
            because = (
                f"{span(made.days, made.minutes)} after the attempt of {show(file, before.at)} "
                f"(event {before.version}); the largest gap so far is {span(*largest)}{doubt}"
            )
            yield Breach(GAP, because)
    if rank:
        yield from _order(file, made)
    if rank == _CONCERN:
        yield from _concern(file, made)
    appointment = file.appointment
    if appointment is not None and appointment.agreed.occurred <= at < appointment.at:
        because = (
            f"an appointment stands for {show(file, appointment.at)} "
            f"(event {appointment.agreed.version})"
        )
        yield Breach(APPOINTMENT, because, appointment.agreed.recorded)
    if quiet(file, made):
        because = f"quiet hours, 21:00 to 08:00: {_clocks(file, at)}"
        yield Breach(QUIET_HOURS, because)


def quiet(file: File, made: Made) -> bool:
    """Whether it is night in a place where the prospect may be."""
    if file.calendar is not None:
        return not _QUIET_UNTIL <= made.second < _QUIET_FROM
    return file.time is not None and file.time.next_waking(made.at) != made.at


def _clocks(file: File, at: datetime) -> str:
    assert file.time is not None  # quiet() looked
    return ", ".join(
        f"{at.astimezone(calendar.tz):%H:%M} {name}"
        for calendar, name in zip(file.time.calendars, file.zones, strict=True)
    )


def _order(file: File, made: Made) -> Iterator[Breach]:
    """Never back: what was sent before a contact was learnt of was sent in another order."""
    if file.highest <= made.rank:
        return
    last: Made | None = None
    for one in reversed(file.attempts):
        if one.at <= made.at and one.version > file.silence.version and one.rank:
            if last is None or one.rank > last.rank:
                last = one
    if last is not None and last.rank > made.rank:
        because = f"{_STAGES[made.rank]} after {_STAGES[last.rank]} (event {last.version})"
        yield Breach(ORDER, because)


def _concern(file: File, made: Made) -> Iterator[Breach]:
    earlier = [one for one in file.attempts if one.at <= made.at]
    asked = next((one for one in earlier if one.rank == _CONCERN), None)
    if asked is not None:
        yield Breach(CONCERN, f"it was asked before in this silence (event {asked.version})")
    elif len(earlier) < _CONCERN_ATTEMPTS:
        yield Breach(
            CONCERN, f"after {len(earlier)} attempts; it needs at least {_CONCERN_ATTEMPTS}"
        )
    elif earlier[0].at + _CONCERN_WAIT > made.at:
        because = (
            f"{(made.at - earlier[0].at).days} days after the first attempt of the silence "
            f"(event {earlier[0].version}); it needs {_CONCERN_WAIT.days}"
        )
        yield Breach(CONCERN, because)


def _suspended(file: File, made: Made) -> Iterator[Breach]:
    """Inside a pause or an absence; an appointment agreed in it keeps its own two steps."""
    at, suspensions = made.at, file.suspensions
    if not any(start <= at < end for one in file.suspended or () for start, end in one.spans):
        return
    appointment = file.appointment or file.kept
    if made.rank in (1, 2) and appointment is not None:
        agreed = appointment.agreed.occurred
        suspensions = [one for one in suspensions if one[0].start > agreed]
    assert file.time is not None  # or nothing would be suspended
    for one, recorded in suspensions:
        for stretch in file.time.suspended((one,)) or ():
            for start, end in stretch.spans:
                if start <= at < end:
                    because = f"they are away until {show(file, end)} (event {one.version})"
                    yield Breach(SUSPENDED, because, recorded)
                    return


# Ends ---------------------------------------------------------------------------------------------


def closing(file: File, event: Event, reason: EndReason) -> Breach | None:
    """Whether a file may be closed: for silence after an unanswered exit, or out of reach."""
    if file.phase in (Phase.CLOSED, Phase.WON, Phase.LOST, Phase.OPTED_OUT):
        return None  # it closes nothing
    if reason is EndReason.UNREACHABLE:
        tried = file.tried()
        left = [point for point in file.points_left() if point not in tried]
        if not left:
            return None
        channel, address = left[0]
        return Breach(CONTACT_POINT, f"closed as unreachable, but {channel} {address} is left")
    if reason is not EndReason.NO_RESPONSE:
        return None
    delivered = file.delivered_exit()
    if file.phase != Phase.OUTREACH or file.reach != EXIT or delivered is None:
        return Breach(POLITE_EXIT, "closed for silence before a polite exit was delivered")
    made, channels = delivered
    if file.time is None:
        return None
    days = file.plan.answer_business_days
    if all(channel is Channel.MAIL for channel in channels):
        days = max(days, _MAIL_BUSINESS_DAYS)
    until = file.time.after_business_days(made.at, days, file.suspended)
    if event.occurred_at >= until:
        return None
    because = (
        f"closed for silence on {show(file, event.occurred_at)}; they had until "
        f"{show(file, until)} to answer the polite exit (event {made.version})"
    )
    return Breach(POLITE_EXIT, because)
