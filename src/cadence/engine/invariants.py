"""The charter: what is never proposed or authorised, whatever a policy says.

Each rule has one id, used by decisions, refusals, ``broke`` on an attempt and the guarantees page.
``next_touch`` asks these functions before it proposes, ``decide`` before it authorises; neither has
a version of its own. A rule that needs no function here (``order``, ``forgotten``,
``deterministic``) holds by how the decision is built; the guarantees page names its test.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from cadence.domain.events import AttemptStage, Channel, Gap
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.policy.model import Distance, PlannedTouch
from cadence.policy.rules import Rule
from cadence.worktime.calendar import SuspendedTime, WorkCalendar

__all__ = [
    "CONCERN_ATTEMPTS",
    "CONCERN_DAYS",
    "DESIGN",
    "MAIL_ANSWER_BUSINESS_DAYS",
    "MIN_ANSWER_BUSINESS_DAYS",
    "PROMISES",
    "SPACED_CAP",
    "Counts",
    "allowed_channels",
    "answer_business_days",
    "contact_points_left",
    "counts",
    "gap_allows_from",
    "gap_made_by",
    "largest_gap",
    "spaced_cap_reached",
    "stops",
]

DESIGN: Final = "the charter of cadence"
"""What a reason names as the source of a charter rule."""

SPACED_CAP: Final = 6
"""At most six spaced calls in a silence."""
CONCERN_ATTEMPTS: Final = 5
"""The concern message needs at least five attempts before it …"""
CONCERN_DAYS: Final = 21
"""… and 21 elapsed days since the first of them."""
MIN_ANSWER_BUSINESS_DAYS: Final = 1
"""Nobody is given less than a business day to answer the polite exit."""
MAIL_ANSWER_BUSINESS_DAYS: Final = 10
"""A polite exit that was delivered by mail alone needs ten business days."""


PROMISES: Final = {
    Rule.OPT_OUT: "nothing after an opt-out, on that channel or at all",
    Rule.SPACED_CAP: "at most six spaced calls in a silence",
    Rule.GAP: "gaps never shrink as silence grows",
    Rule.POLITE_EXIT: "the last word is a polite exit with time to answer",
    Rule.BOUNDED: "every silence ends",
    Rule.FORGOTTEN: "an open prospect always has exactly one next thing",
    Rule.CONCERN: '"are you OK?" once, after five attempts and 21 days',
    Rule.CONTACT_POINT: "a contact point that failed is never used again",
    Rule.GUARD: "a guard only delays or vetoes",
    Rule.DETERMINISTIC: "the same history gives the same decision",
    Rule.ORDER: "outreach moves forward through the stages",
}
"""What each rule of the charter promises."""


# opt_out and contact_point ------------------------------------------------------------------------


def allowed_channels(prospect: Prospect, channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
    """``channels`` without those that are opted out, the preferred one first if it is among them.

    "Write when they don't pick up the phone, on the channel they prefer."
    """
    preferred = prospect.preferred_channel
    if preferred is not None and preferred in channels and channels[0] is not preferred:
        channels = (preferred, *(channel for channel in channels if channel is not preferred))
    if not prospect.opted_out:
        return channels
    return tuple(channel for channel in channels if channel not in prospect.opted_out)


def contact_points_left(prospect: Prospect) -> tuple[tuple[Channel, str], ...]:
    """Every contact point that may still be used, in the order in which they became known."""
    if prospect.stage is Stage.OPTED_OUT:
        return ()
    opted_out, failed = prospect.opted_out, prospect.failed
    return tuple(
        [
            (point.channel, point.address)
            for point in prospect.contact_points
            if point.channel not in opted_out and (point.channel, point.address) not in failed
        ]
    )


# What the plan proposes, and the charter stops ----------------------------------------------------


class Counts(msgspec.Struct, frozen=True):
    """What of a silence the charter and a plan's requirements count.

    A decision takes it from a prospect, the prover from a state that stands for many.
    """

    attempts: int
    spaced_calls: int
    concern_asked: bool
    guidelines: bool


def counts(prospect: Prospect) -> Counts:
    """The counts of the running silence."""
    silence = prospect.silence
    asked = AttemptStage.CONCERN in [attempt.stage for attempt in silence.attempts]
    return Counts(len(silence.attempts), silence.spaced_calls, asked, prospect.guidelines_agreed)


def stops(planned_touch: PlannedTouch, so_far: Counts) -> Rule | None:
    """The rule that never lets ``touchpoint`` be made after what was counted ``so_far``, if any."""
    if planned_touch.behind_exit:
        return Rule.POLITE_EXIT
    if planned_touch.backward:
        return Rule.ORDER
    if (
        so_far.spaced_calls >= SPACED_CAP
        and planned_touch.stage is Stage.SPACED
        and Channel.CALL in planned_touch.channels
    ):
        return Rule.SPACED_CAP
    if planned_touch.stage is Stage.CONCERN and (
        so_far.concern_asked or so_far.attempts < CONCERN_ATTEMPTS
    ):
        return Rule.CONCERN
    return None


def spaced_cap_reached(prospect: Prospect) -> bool:
    """Whether no further spaced call may be made in this silence."""
    return prospect.silence.spaced_calls >= SPACED_CAP


# polite_exit --------------------------------------------------------------------------------------


def answer_business_days(given: Distance | None, channels: frozenset[Channel]) -> int:
    """How long they have to answer a polite exit that was delivered on ``channels``.

    Args:
        given: what the policy gives them; less than the charter's least counts as that.
        channels: those that it reached them on.
    """
    days = MIN_ANSWER_BUSINESS_DAYS
    if given is not None and given.business_days is not None:
        days = max(days, given.business_days)
    if channels == {Channel.MAIL}:
        days = max(days, MAIL_ANSWER_BUSINESS_DAYS)
    return days


# gap ----------------------------------------------------------------------------------------------


def largest_gap(
    prospect: Prospect, time: WorkCalendar, suspended: tuple[SuspendedTime, ...] | None
) -> Gap:
    """The largest gap of the silence since the on-time attempt.

    As measured when the attempts were made; only where a late fact came between two of them is
    the distance measured now.
    """
    silence = prospect.silence
    largest = silence.largest_gap
    for position in silence.unmeasured:
        before, after = silence.attempts[position - 1], silence.attempts[position]
        largest = max(largest, time.gap(before.at, after.at, suspended))
    return largest


def gap_allows_from(
    prospect: Prospect, time: WorkCalendar, suspended: tuple[SuspendedTime, ...] | None
) -> tuple[datetime, Gap] | None:
    """From when on an attempt keeps the gaps from shrinking, and the gap that it must keep.

    No attempt comes sooner after the last one than the largest gap so far of the silence, whether
    lateness, a holiday or a guard made it so large. ``None`` if there is nothing to keep.
    """
    attempts = prospect.silence.attempts
    if not attempts:
        return None
    largest = largest_gap(prospect, time, suspended)
    if not (largest.business_days or largest.minutes):
        return None
    return time.earliest_with_gap(attempts[-1].at, largest, suspended), largest


def gap_made_by(prospect: Prospect, largest: Gap) -> tuple[int, ...]:
    """The attempts that the ratchet comes from: the one that made the gap so large, and the last.

    Of several as large it is the latest; of a gap that is measured only now, the last attempt.
    """
    attempts = prospect.silence.attempts
    last = attempts[-1].version
    made = next((one.version for one in reversed(attempts) if one.gap == largest), last)
    return tuple(sorted({made, last}))
