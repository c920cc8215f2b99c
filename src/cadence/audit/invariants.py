"""The invariants, judged from the events alone.

Each function checks one invariant of ``docs/design.md``, section 7, or one rule of time of section
6, in the words of that section. None of them asks the engine, the fold or a guard: what the engine
allows is itself on trial here. The numbers stand here a second time for the same reason.

A check returns what it finds. ``learnt`` says when we learnt of the fact that makes the act wrong.
Where that was after the act, the act broke nothing that was known (section 6a).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cadence.audit.state import ENDED, NO_STAGE, RANK, AttemptRecord, AuditState, Phase
from cadence.domain.channels import Channel
from cadence.domain.events import AttemptStage, EndReason, Event, Gap, Intent, Part
from cadence.domain.plurals import plural
from cadence.domain.words import Elsewhere, Obstacle
from cadence.policy.rules import Rule
from cadence.worktime.suspensions import SuspendedTime
from cadence.worktime.zone_calendar import ZoneCalendar

__all__ = [
    "Violation",
    "check_appointment_stands",
    "check_close",
    "check_ended",
    "check_part",
    "check_reach",
    "check_silence",
    "measure_gap",
]

SPACED_CALLS: Final = 6
"""``spaced_cap``: at most six spaced calls in a silence."""
CONCERN_ATTEMPTS: Final = 5
"""``concern``: after at least five attempts …"""
CONCERN_WAIT: Final = timedelta(days=21)
"""… and 21 elapsed days since the first of them."""
FREQUENCY: Final = (
    ("24 hours", timedelta(hours=24), 3),
    ("7 days", timedelta(days=7), 5),
    ("30 days", timedelta(days=30), 12),
)
"""``frequency``: at most so many parts in any such time of a silence."""
QUIET_FROM: Final = 21 * 3600
QUIET_UNTIL: Final = 8 * 3600
"""``quiet_hours``: 21:00 to 08:00 local in every policy, in seconds after midnight."""

_ON_TIME: Final = RANK[AttemptStage.ON_TIME]
_TEN_MINUTES: Final = RANK[AttemptStage.TEN_MINUTES]
_SPACED: Final = RANK[AttemptStage.SPACED]
_CONCERN: Final = RANK[AttemptStage.CONCERN]
_EXIT: Final = RANK[AttemptStage.POLITE_EXIT]
_STAGE: Final = {rank: stage for stage, rank in RANK.items() if stage is not None}
_MINUTE: Final = timedelta(minutes=1)


class Violation(NamedTuple):
    """A rule that an event violates, and why.

    ``learnt`` is when we learnt of what makes it wrong; ``None``: it was plain at the time.
    """

    rule: str
    because: str
    learnt: datetime | None = None


def show_gap(days: int, minutes: int) -> str:
    """A gap in words."""
    return plural(days, "business day") if days else plural(minutes, "minute")


# Opt-outs and failed contact points (section 7, invariants 1 and 8) ------------------------------


def check_reach(state: AuditState, parts: Sequence[Part], at: datetime) -> list[Violation]:
    """Check the invariants that hold in every silence, also in one that is over.

    Args:
        state: before the attempt.
        parts: of the attempt.
        at: when it was made.
    """
    contact, said = state.contact, state.elsewhere
    found: list[Violation | None] = []
    if contact.failed or contact.by_name or contact.from_all or state.opted_out_of_all:
        found = [_check_opt_out(state, parts, at), _check_contact_point(state, parts, at)]
    if not said.is_silent:
        found += [_check_suppressed(state, said, parts), _check_failed_elsewhere(said, parts)]
    return [one for one in found if one is not None]


def _check_failed_elsewhere(said: Elsewhere, parts: Sequence[Part]) -> Violation | None:
    """``contact_point``: what failed for one holder has failed for the others."""
    for part in parts:
        failed = None if part.same is None else said.failure(part.same)
        if failed is not None:
            event = f"event {failed.failure.version} of {failed.prospect}"
            because = f"{part.channel} {part.address} had failed for {failed.prospect} ({event})"
            return Violation(Rule.CONTACT_POINT, because)
    return None


def _check_suppressed(
    state: AuditState, said: Elsewhere, parts: Sequence[Part]
) -> Violation | None:
    """``suppressed``: nothing after a word of another holder, or a list."""
    for part in parts:
        if part.same is None:
            theirs = [point for point in state.contact.points if point.channel == part.channel]
            keys = [point.same for point in theirs] or [""]
        else:
            keys = [part.same]
        stops = [said.obstacle(part.channel, key) for key in keys]
        known = [stop for stop in stops if stop is not None]
        if len(known) == len(stops):
            return Violation(Rule.SUPPRESSED, _why_suppressed(known[0], state))
    return None


def _why_suppressed(stop: Obstacle, state: AuditState) -> str:
    since = state.show(stop.at)
    if stop.entry is not None:
        source = f" ({stop.entry.source})" if stop.entry.source else ""
        return f"{stop.key} was suppressed on {since}{source}"
    may_be = "may be the same person and " if stop.question is not None else ""
    settled = None if stop.question is None else stop.question.settled
    what = "had opted out" if settled is None else f"is settled ({settled.kind})"
    return (
        f"{stop.prospect}, who has {stop.key} too, {may_be}{what} since {since} "
        f"(event {stop.version} of {stop.prospect})"
    )


def _check_opt_out(state: AuditState, parts: Sequence[Part], at: datetime) -> Violation | None:
    """``opt_out``: nothing after an opt-out, on that channel or at all."""
    word, what = state.opted_out_of_all, "everything"
    if word is None or word.occurred > at:
        words = ((part.channel, state.contact.word(part.channel)) for part in parts)
        said = next(((name, one) for name, one in words if one and one.occurred <= at), None)
        if said is None:
            return None
        what, word = said
    because = f"they had opted out of {what} on {state.when(word.occurred, word.version)}"
    return Violation(Rule.OPT_OUT, because, word.recorded)


def _check_contact_point(
    state: AuditState, parts: Sequence[Part], at: datetime
) -> Violation | None:
    """``contact_point``: a contact point that failed is never used again."""
    contact = state.contact
    if not contact.failed:
        return None
    for part in parts:
        address, key = part.address, part.same
        if key is None:
            # The address was not recorded: it is wrong only if every one of the channel had failed.
            theirs = [point for point in contact.points if point.channel == part.channel]
            if not theirs or any(contact.failure(point.same) is None for point in theirs):
                continue
            address, key = theirs[-1].address, theirs[-1].same
        failure = contact.failure(key)
        if failure is not None and failure.occurred <= at:
            since = state.when(failure.occurred, failure.version)
            because = f"{part.channel} {address} had failed on {since}"
            return Violation(Rule.CONTACT_POINT, because, failure.recorded)
    return None


# When there is nothing to make at all (sections 5 and 7) ------------------------------------------


def check_ended(state: AuditState, at: datetime) -> Violation | None:
    """Check that the follow-up allows outreach at all.

    Nothing comes after the polite exit, after the end, after a *no*, or after a reopening that they
    have not answered. Such an attempt is not also accused of its time: no time would be right.
    """
    if state.phase == Phase.OUTREACH:
        return _check_after_exit(state, at)
    if state.phase == Phase.ENGAGED:
        return _check_answered(state, at)
    return _check_after_end(state, at)


def _check_after_exit(state: AuditState, at: datetime) -> Violation | None:
    """``polite_exit``: the last outreach is a polite exit."""
    delivered = state.delivered_exit() if state.reach == _EXIT else None
    if delivered is None or delivered[0].at > at:
        return None
    because = (
        f"nothing comes after the polite exit, which was delivered on "
        f"{state.when(delivered[0].at, delivered[0].version)}"
    )
    return Violation(Rule.POLITE_EXIT, because)


def _check_answered(state: AuditState, at: datetime) -> Violation | None:
    """After a reopening or a *no* the owner has a task, and there is no outreach (section 5)."""
    reopened, said = state.reopened, state.silence
    if reopened is not None and reopened.occurred <= at:
        because = f"the follow-up was reopened (event {reopened.version}) and waits for a response"
        return Violation(Rule.PLAN, because, reopened.recorded)
    if state.intent is Intent.NO:
        because = f"sent after the reply of {state.when(said.occurred, said.version)}: they said no"
        return Violation(Rule.PLAN, because, said.recorded)
    return None


def _check_after_end(state: AuditState, at: datetime) -> Violation | None:
    """Nothing after the end, unless they spoke since: then the owner has to look at it."""
    ended = state.ended
    if ended is None or ended.occurred > at or state.pending_response:
        return None
    when = f"on {state.when(ended.occurred, ended.version)}"
    if state.phase == Phase.CLOSED:
        because = f"the follow-up was closed {when}"
        return Violation(Rule.POLITE_EXIT, because, ended.recorded)
    if state.phase in ENDED:
        word = "won" if state.phase == Phase.WON else "lost"
        return Violation(Rule.PLAN, f"the follow-up was {word} {when}", ended.recorded)
    if state.phase == Phase.MERGED:
        because = f"it was merged into another record {when}"
        return Violation(Rule.PLAN, because, ended.recorded)
    return None


# How many, how far apart, in which order, at what time --------------------------------------------


def measure_gap(state: AuditState, attempt: AttemptRecord, recorded: Gap | None) -> None:
    """Measure the gap of ``attempt``, and keep what was measured when it was made.

    A recorded gap counts, because holiday data may have been corrected since (section 7,
    ``deterministic``). One that no holidays could make true does not.
    """
    earlier = _earlier(state, attempt)
    if not earlier:
        return
    before = earlier[-1]
    attempt.measured_from = before.version
    said = None if recorded is None else (recorded.business_days, recorded.minutes)
    attempt.days, attempt.minutes = state.gap(before, attempt)
    if said is None or said == (attempt.days, attempt.minutes):
        return
    if state.time is None or _is_possible_gap(state, before, attempt, said):
        attempt.days, attempt.minutes = said
        attempt.was_measured_otherwise = True
    else:
        attempt.doubt = f"; the event says {show_gap(*said)}, which no holidays explain"


def _is_possible_gap(
    state: AuditState, before: AttemptRecord, attempt: AttemptRecord, said: tuple[int, int]
) -> bool:
    """Whether some version of the holiday data could have measured ``said``."""
    days, minutes = said
    if not state.is_policy_known:
        return True  # it was measured by a calendar that is not at hand
    if state.country is None and not state.policy.closed:
        return False  # no holidays were counted, so none can have changed
    if not days:
        return minutes <= (attempt.at - before.at) // _MINUTE
    calendars = () if state.time is None else state.time.calendars
    return days <= min(_most_business_days(one, before.at, attempt.at) for one in calendars)


def _most_business_days(calendar: ZoneCalendar, start: datetime, end: datetime) -> int:
    """Count the business days between two instants as if there were no holidays.

    The weekend of their country may have been corrected as its holidays are, so the weekdays as
    the policy has them count too.
    """
    first, last = calendar.day(start), calendar.day(end)
    week = calendar.times.week
    written = sum(bool(week[(day + 6) % 7]) for day in range(first + 1, last + 1))
    return max(written, calendar.business_days(first, last) + len(calendar.days_off(first, last)))


def check_silence(state: AuditState, attempt: AttemptRecord) -> list[Violation]:
    """Check the invariants of the running silence, and the times of day.

    Args:
        state: before the attempt.
        attempt: with its gap measured.
    """
    away = _check_suspended(state, attempt) if state.suspensions else None
    found = (
        _check_spaced_cap(state, attempt),
        _check_frequency(state, attempt),
        away,
        # Suspended time counts in no gap, so an attempt in it comes too soon in any case.
        None if away is not None else _check_gap(state, attempt),
        _check_order(state, attempt) if state.highest > attempt.rank else None,
        _check_concern(state, attempt) if attempt.rank == _CONCERN else None,
        _check_appointment(state, attempt) if state.appointment is not None else None,
        _check_quiet_hours(state, attempt),
    )
    return [one for one in found if one is not None]


def check_part(state: AuditState, attempt: AttemptRecord) -> list[Violation]:
    """Check a part of the touch just made that was logged alone.

    It keeps the gap of the touch, and its place. What it is made at, and how many parts that makes,
    is its own.

    Args:
        state: with the touch that it joins.
        attempt: the part.
    """
    found = (
        _check_crowd(state, attempt),
        _check_suspended(state, attempt) if state.suspensions else None,
        _check_quiet_hours(state, attempt),
    )
    return [one for one in found if one is not None]


def _check_spaced_cap(state: AuditState, attempt: AttemptRecord) -> Violation | None:
    """``spaced_cap``: at most six spaced calls in a silence; extras by phone count."""
    if state.spaced_calls >= SPACED_CALLS and attempt.is_spaced_call:
        because = f"spaced call number {state.spaced_calls + 1} of the silence; "
        return Violation(Rule.SPACED_CAP, f"{because}at most {SPACED_CALLS}")
    return None


def _check_frequency(state: AuditState, attempt: AttemptRecord) -> Violation | None:
    """``frequency``: so many parts in so long a time, and a business day between two attempts.

    The appointment's own steps are exempt: they agreed to that time.
    """
    if attempt.rank in (_ON_TIME, _TEN_MINUTES):
        return None
    crowd = _check_crowd(state, attempt)
    if crowd is not None:
        return crowd
    earlier = _earlier(state, attempt)
    is_away = _is_inside(attempt.at, state.suspended)  # too soon in any case
    if attempt.rank >= _SPACED and earlier and not attempt.days and not is_away:
        before = earlier[-1]
        because = f"not a business day after the attempt of {state.when(before.at, before.version)}"
        return Violation(Rule.FREQUENCY, because)
    return None


def _earlier(state: AuditState, attempt: AttemptRecord) -> list[AttemptRecord]:
    """The attempts of the silence before it, without those made before a response was known."""
    return [one for one in state.attempts if one.at <= attempt.at and state.is_known(one)]


def _check_crowd(state: AuditState, attempt: AttemptRecord) -> Violation | None:
    """``frequency``: so many parts in so long a time."""
    if attempt.rank in (_ON_TIME, _TEN_MINUTES):
        return None
    earlier = _earlier(state, attempt)
    others = [one for _, one in state.elsewhere.attempts if one.at <= attempt.at]
    for words, span, most in FREQUENCY:
        inside = [one for one in earlier if attempt.at - one.at < span]
        by_others = sum(len(one.parts) for one in others if attempt.at - one.at < span)
        parts = sum(len(one.parts) for one in (*inside, attempt)) + by_others
        if parts > most:
            since = f"since {state.when(inside[0].at, inside[0].version)}" if inside else ""
            because = f"{plural(parts, 'part')} in {words} {since}".rstrip() + f"; at most {most}"
            if by_others:
                because += f", and {by_others} of them were made for other records"
            return Violation(Rule.FREQUENCY, because)
    return None


def _check_gap(state: AuditState, attempt: AttemptRecord) -> Violation | None:
    """``gap``: gaps never shrink within a silence.

    Compared as the pair (business days, minutes). The on-time attempt is exempt: they agreed to
    that time.
    """
    if attempt.rank == _ON_TIME or not attempt.measured_from:
        return None
    largest = state.largest_gap
    if attempt.measured_from != state.attempts[-1].version:
        largest = state.largest(one for one in state.attempts if one.at <= attempt.at)
    if (attempt.days, attempt.minutes) < largest:
        before = next(one for one in state.attempts if one.version == attempt.measured_from)
        because = (
            f"{show_gap(attempt.days, attempt.minutes)} after the attempt of "
            f"{state.when(before.at, before.version)}; "
            f"the largest gap so far is {show_gap(*largest)}{attempt.doubt}"
        )
        return Violation(Rule.GAP, because)
    return None


def _check_order(state: AuditState, attempt: AttemptRecord) -> Violation | None:
    """``order``: outreach moves forward through the stages within a silence.

    What was made before a response was known was made in the order of the silence before.
    """
    if attempt.rank == NO_STAGE:
        return None
    earlier = [
        one
        for one in reversed(state.attempts)
        if one.at <= attempt.at and state.is_known(one) and state.is_ordered(one)
    ]
    further = max(earlier, key=lambda one: one.rank, default=None)
    if further is not None and further.rank > attempt.rank:
        because = f"{_STAGE[attempt.rank]} after {_STAGE[further.rank]} (event {further.version})"
        return Violation(Rule.ORDER, because)
    return None


def _check_concern(state: AuditState, attempt: AttemptRecord) -> Violation | None:
    """``concern``: at most once a silence, after five attempts and 21 days since the first."""
    earlier = [one for one in state.attempts if one.at <= attempt.at]
    asked = next((one for one in earlier if one.rank == _CONCERN), None)
    if asked is not None:
        because = f"it was asked before in this silence (event {asked.version})"
    elif len(earlier) < CONCERN_ATTEMPTS:
        because = f"after {plural(len(earlier), 'attempt')}; it needs at least {CONCERN_ATTEMPTS}"
    elif attempt.at - earlier[0].at < CONCERN_WAIT:
        days = plural((attempt.at - earlier[0].at).days, "day")
        because = (
            f"{days} after the first attempt of the silence "
            f"(event {earlier[0].version}); it needs {CONCERN_WAIT.days}"
        )
    else:
        return None
    return Violation(Rule.CONCERN, because)


def _check_suspended(state: AuditState, attempt: AttemptRecord) -> Violation | None:
    """``suspended``: nothing inside a pause or an absence (section 6).

    An appointment agreed in it keeps its own two steps: they agreed to that time.
    """
    at, suspensions, time = attempt.at, state.suspensions, state.time
    instants = {attempt.clock, at}  # of two clocks one was wrong; they are away by either
    if time is None or not any(_is_inside(one, state.suspended) for one in instants):
        return None
    appointment = state.appointment or state.kept_appointment
    if attempt.rank in (_ON_TIME, _TEN_MINUTES) and appointment is not None:
        agreed = appointment.agreed.occurred
        suspensions = [one for one in suspensions if one[0].start > agreed]
    for suspension, recorded in suspensions:
        for stretch in time.suspended((suspension,)) or ():
            for start, end in stretch.spans:
                if any(start <= one < end for one in instants):
                    because = f"they are away until {state.show(end)} (event {suspension.version})"
                    return Violation(Rule.SUSPENDED, because, recorded)
    return None


def _is_inside(at: datetime, suspended: Sequence[SuspendedTime] | None) -> bool:
    return any(start <= at < end for one in suspended or () for start, end in one.spans)


def _check_appointment(state: AuditState, attempt: AttemptRecord) -> Violation | None:
    """``appointment``: nothing while an appointment stands in the future."""
    standing = state.appointment
    if standing is None or attempt.at < standing.agreed.occurred:
        return None
    if attempt.clock < standing.at:
        because = (
            f"an appointment stands for {state.show(standing.at)} (event {standing.agreed.version})"
        )
        return Violation(Rule.APPOINTMENT, because, standing.agreed.recorded)
    return None


def check_appointment_stands(state: AuditState, attempt: AttemptRecord) -> Violation | None:
    """``appointment``: the on-time attempt needs an appointment."""
    if attempt.rank != _ON_TIME or state.appointment is not None:
        return None
    return Violation(Rule.APPOINTMENT, "made as the call at an appointment, but none stands")


def _check_quiet_hours(state: AuditState, attempt: AttemptRecord) -> Violation | None:
    """``quiet_hours``: nothing between 21:00 and 08:00 in any zone that they may be in."""
    time = state.time
    if time is None:
        return None
    if state.calendar is not None:
        if QUIET_UNTIL <= attempt.second < QUIET_FROM:
            return None
    elif not any(_is_quiet(attempt.clock.astimezone(one.tz)) for one in time.calendars):
        return None
    clocks = ", ".join(
        f"{attempt.clock.astimezone(calendar.tz):%H:%M} {name}"
        for calendar, name in zip(time.calendars, state.zones, strict=True)
    )
    return Violation(Rule.QUIET_HOURS, f"quiet hours, 21:00 to 08:00: {clocks}")


def _is_quiet(local: datetime) -> bool:
    second = local.hour * 3600 + local.minute * 60 + local.second
    return not QUIET_UNTIL <= second < QUIET_FROM


# Closing for silence (section 7, invariants 4 and 8) ----------------------------------------------


def check_close(state: AuditState, event: Event, reason: EndReason) -> Violation | None:
    """Check that a close for silence was in order; what they decided may be recorded any time.

    Args:
        state: before it.
        event: the end.
        reason: of the end.
    """
    if state.phase in (*ENDED, Phase.OPTED_OUT, Phase.MERGED):
        return None  # it closes nothing
    if reason is EndReason.UNREACHABLE:
        return _check_unreachable(state)
    if reason is EndReason.NO_RESPONSE:
        return _check_no_response(state, event.occurred_at)
    return None


def _check_unreachable(state: AuditState) -> Violation | None:
    """``contact_point``: unreachable means that no contact point is left to try."""
    tried = {(part.channel, part.same) for one in state.exits() for part in one.parts}
    said = state.elsewhere
    left = next(
        (
            one
            for one in state.points_left()
            if (one.channel, one.same) not in tried and said.failure(one.same) is None
        ),
        None,
    )
    if left is None:
        return None
    because = f"closed as unreachable, but {left.channel} {left.address} is left"
    return Violation(Rule.CONTACT_POINT, because)


def _check_no_response(state: AuditState, at: datetime) -> Violation | None:
    """``polite_exit``: no close for silence before an exit was delivered and its time passed."""
    delivered = state.delivered_exit()
    if state.phase != Phase.OUTREACH or state.reach != _EXIT or delivered is None:
        return Violation(Rule.POLITE_EXIT, "closed for silence before a polite exit was delivered")
    exit_, channels = delivered
    if state.time is None:
        return None
    days = _answer_days(state)
    days = max(days, min(_channel_answer_days(state, channel) for channel in channels))
    until = state.time.after_business_days(exit_.at, days, state.suspended)
    if at >= until:
        return None
    because = (
        f"closed for silence on {state.show(at)}; they had until {state.show(until)} "
        f"to answer the polite exit (event {exit_.version})"
    )
    return Violation(Rule.POLITE_EXIT, because)


def _channel_answer_days(state: AuditState, channel: Channel) -> int:
    """The business days that an answer takes on a channel; one where the policy knows no more."""
    known = state.policy.traits.get(channel)
    return 1 if known is None else known.answer_business_days


def _answer_days(state: AuditState) -> int:
    """The business days that the policy gives them to answer the exit; at least one."""
    step = state.policy.exit_step if state.is_policy_known else None
    given = None if step is None else step.answer_within
    return 1 if given is None else given.business_days or 1
