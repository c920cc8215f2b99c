"""The invariants: what holds for every history, whatever a policy says.

One table, :data:`INVARIANTS`, with a row for each. ``next_touch`` skips and delays by it, commands
are refused by it, ``explain`` words its skips from it, the prover proves each row, the audit names
its findings by the same ids, and ``docs/reference/invariants.md`` is generated from it. A new
invariant is one row here, its check (and, where it counts something of its own, a second statement
for the prover), and its tests; CONTRIBUTING.md shows one.

An invariant binds what we do, never what happened: a fact that breaks one is recorded, names it in
``broke``, and is a finding of the audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cadence.domain.addresses import UNUSABLE
from cadence.domain.channels import Channel, ChannelTraits
from cadence.domain.events import AttemptStage, ContactPoint, Gap
from cadence.domain.prospect import Attempt, Prospect
from cadence.domain.stages import Stage, rank
from cadence.domain.words import Obstacle
from cadence.policy.model import EXACT, Distance, PlannedTouch
from cadence.policy.rules import Rule
from cadence.worktime.calendar import WorkCalendar
from cadence.worktime.suspensions import SuspendedTime

if TYPE_CHECKING:
    from cadence.engine.judgement import AttemptContext

__all__ = [
    "CONCERN_ATTEMPTS",
    "CONCERN_DAYS",
    "DESIGN",
    "INVARIANTS",
    "MIN_ANSWER_BUSINESS_DAYS",
    "MOST_PARTS",
    "MOST_PARTS_IN_TOUCH",
    "SPACED_CAP",
    "Counts",
    "Effect",
    "Facts",
    "Invariant",
    "Phase",
    "ProvedBy",
    "Violation",
    "allowed_channels",
    "answer_business_days",
    "contact_points_left",
    "counts",
    "find",
    "frequency_allows_from",
    "gap_allows_from",
    "gap_made_by",
    "in_order",
    "largest_gap",
    "of_policies",
    "stops_elsewhere",
    "violation",
]

DESIGN: Final = "the invariants of cadence"
"""What a reason names as the source of an invariant."""

SPACED_CAP: Final = 6
"""At most six spaced calls in a silence."""
CONCERN_ATTEMPTS: Final = 5
"""The concern message needs at least five attempts before it …"""
CONCERN_DAYS: Final = 21
"""… and 21 elapsed days since the first of them."""
MIN_ANSWER_BUSINESS_DAYS: Final = 1
"""The polite exit leaves them at least a business day to answer."""
MOST_PARTS_IN_TOUCH: Final = 2
"""A touch has at most two parts, on different channels."""
MOST_PARTS: Final = ((timedelta(hours=24), 3), (timedelta(days=7), 5), (timedelta(days=30), 12))
"""At most so many parts in any such span of a silence, the shortest span first."""

# Looked up once: to look a member up in its class costs more than to compare it.
_CONCERN: Final = AttemptStage.CONCERN
_CONCERN_STAGE: Final = Stage.CONCERN
_OPTED_OUT: Final = Stage.OPTED_OUT

Facts = dict[str, Any]
"""What a reason is worded from, by name."""


class Effect(StrEnum):
    """What the engine does where the plan would break an invariant."""

    SKIP = "skip"
    DELAY = "delay"
    ASK = "ask"
    NONE = "none"
    """Nothing: no decision can break it, because of how one is built, or because it is about what
    came of an attempt, which is judged when that is logged."""


class Phase(StrEnum):
    """When an attempt is checked against an invariant, among the other rules."""

    LASTING = "lasting"
    """First, and also for an attempt of a silence that is over: it holds in every silence."""
    PLAN = "plan"
    """With the plan: a response that was not known yet excuses it."""
    TIME = "time"
    """With the rules of time and distance, unless the touch is due."""
    PLACE = "place"
    """Last, when the place of the attempt is known (``takes``; ``extra`` in every other phase).

    The place comes from the decision, from which ``stops`` has removed the touch already. So an
    attempt beyond a limit of nurture touches does not take the place of one: it takes that of what
    is next instead, or is an extra. A check that asks for ``takes == NURTURE`` looks right and is
    never true. Ask for what the attempt is then, as ``spaced_cap`` does.
    An owner's own attempt that breaks such a row takes no place: it is an extra."""


class ProvedBy(StrEnum):
    """How the prover judges an invariant."""

    SEARCH = "search"
    """By trying every state: on plan ``stops`` is never needed, and in every state it stops each
    touch that ``breaks`` the row."""
    STRUCTURE = "structure"
    """By the policy file, the stage table and silences played through the engine."""
    STORE = "store"
    """By the tests of the store, which keeps it: no policy can break it."""


class Counts(msgspec.Struct, frozen=True):
    """What of a silence the invariants and a plan's requirements count.

    A decision takes it from a prospect, the prover from a state that stands for many.
    """

    attempts: int
    spaced_calls: int
    concern_asked: bool
    guidelines: bool


class Invariant(msgspec.Struct, frozen=True):
    """A row of the table.

    It has three checks, for three readers: ``stops`` is the engine's, of a touch that it plans;
    ``breaks`` the prover's alone; ``forbids`` that of the commands, of an attempt.

    Attributes:
        id: the rule id that decisions, refusals, ``broke``, the audit and the prover share.
        number: its place in the list of docs/design.md, section 7; a new row takes the next.
        promise: what holds, in one line.
        effect: what the engine does about a touch that would break it.
        how_proved: how it is proved, for a reader. It may name ``{states}``, ``{on_plan}``,
            ``{touches}``, ``{horizon}``, ``{guards}`` and ``{functions}``.
        stops: the check of a planned touch: the facts of what it would break, or ``None``. With
            one, the prover searches every state for a touch that it stops.
        because: the sentence of a skip, from those facts.
        counted: which attempts of the silence a skip names as its cause; ``None``: none of them.
        breaks: the same rule, written differently: whether making the touch between two states
            breaks it. Only the prover asks, so a mistake in ``stops`` can't hide. Neither of the
            two may change its answer with a larger count and then change it back.
        forbids: the check of an attempt, for refusing it and for ``broke``. A row needs one where
            an attempt can break it that takes no touch's place, or another's than it should:
            outreach can't go back (``order``), for an attempt out of turn is an extra.
        phase: when that check is made.
        refusal: why an attempt is refused, in a few words.
        proved_by: how the prover judges it.
        within_silence: it holds within a silence; the next one starts from nothing.
    """

    id: str
    number: int
    promise: str
    effect: Effect
    how_proved: str
    stops: Callable[[PlannedTouch, Counts], Facts | None] | None = None
    because: Callable[[Mapping[str, Any]], str] | None = None
    counted: Callable[[Attempt], bool] | None = None
    breaks: Callable[[PlannedTouch, Counts, Counts], bool] | None = None
    forbids: Callable[[AttemptContext], bool] | None = None
    phase: Phase = Phase.PLACE
    refusal: str = ""
    proved_by: ProvedBy = ProvedBy.STRUCTURE
    within_silence: bool = False


class Violation(msgspec.Struct, frozen=True):
    """The invariant that a planned touch would break, and the facts of it."""

    invariant: Invariant
    facts: Facts

    @property
    def rule(self) -> str:
        """The id of the invariant."""
        return self.invariant.id


# 1 and 8: opt_out and contact_point ---------------------------------------------------------------
#
# The two promises that outlast a silence. An opt-out is their word and ends only by their word; a
# failed contact point is a stranger's phone or a dead mailbox. Neither is a matter of counting, so
# they have no check of a planned touch: a touch is made on the channels and addresses that are
# left, and skipped where none is. For an attempt they are checked first, and also where it belongs
# to a silence that is over.
#
# Both hold from their *recording*, not from when they occurred. An attempt made on Monday broke
# nothing if we learnt on Tuesday of an opt-out said on Sunday; a command given on Tuesday did.


def allowed_channels(prospect: Prospect, channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
    """Return ``channels`` without those opted out of, the preferred one first if it is among them.

    "Write when they don't pick up the phone, on the channel they prefer."
    """
    reach = prospect.reach
    preferred = reach.preferred_channel
    if preferred is not None and preferred in channels and channels[0] != preferred:
        channels = (preferred, *(channel for channel in channels if channel != preferred))
    if not reach.opted_out:
        return channels
    return tuple(channel for channel in channels if channel not in reach.opted_out)


def contact_points_left(prospect: Prospect) -> tuple[ContactPoint, ...]:
    """Return every contact point that may still be used, in the order they became known."""
    if prospect.stage is _OPTED_OUT:
        return ()
    left = _own_points_left(prospect)
    elsewhere = prospect.elsewhere
    if elsewhere.is_silent:
        return left
    return tuple(
        [
            point
            for point in left
            if elsewhere.failure(point.same) is None
            and elsewhere.obstacle(point.channel, point.same) is None
        ]
    )


def _own_points_left(prospect: Prospect) -> tuple[ContactPoint, ...]:
    """Those that their own history leaves, whatever others said."""
    reach = prospect.reach
    opted_out = reach.opted_out
    return tuple(
        [
            point
            for point in reach.contact_points
            if point.key != UNUSABLE
            and point.channel not in opted_out
            and not reach.has_failed(point.same)
        ]
    )


def _is_opted_out(attempt: AttemptContext) -> bool:
    # An opt-out holds from its recording: an attempt made before that broke nothing known.
    prospect = attempt.prospect
    everything = prospect.stage is Stage.OPTED_OUT and prospect.stage_at <= attempt.known_at
    opted_out = prospect.reach.opted_out
    return everything or any(
        opted_out.known_by(part.channel, attempt.known_at) for part in attempt.parts
    )


def _uses_lost_point(attempt: AttemptContext) -> bool:
    return any(attempt.has_failed(part) for part in attempt.parts)


# 13: suppressed -----------------------------------------------------------------------------------
#
# People are several records in every CRM, and a person who opted out under one id was called under
# another. So a word about an address holds for everyone who has it, and a word of a person for who
# may be that person, until the owner says that they are not. What others say is no part of the
# fold: it is given with the prospect (``domain/words.py``).


def stops_elsewhere(prospect: Prospect) -> tuple[Obstacle, ...]:
    """Return what others say that leaves a prospect no contact point.

    Empty where one is left, or where their own history leaves none.
    """
    elsewhere = prospect.elsewhere
    if elsewhere.is_silent or prospect.stage is _OPTED_OUT or contact_points_left(prospect):
        return ()
    found: list[Obstacle] = []
    for point in _own_points_left(prospect):
        stop = elsewhere.obstacle(point.channel, point.same)
        if stop is not None and stop not in found:
            found.append(stop)
    return tuple(found)


def _is_suppressed(attempt: AttemptContext) -> bool:
    return attempt.obstacle is not None


# 2: spaced_cap ------------------------------------------------------------------------------------
#
# "Four to six calls, three business days apart" (Follow Up Tip #8): six is the most that a silent
# person is called in turn. The cap counts calls, not touches: an email in between rings no phone.
# An extra with a call counts as well, or a rep could call for ever off plan. Channels other than a
# call are bounded by the horizon and the exit alone, which is a weakness: a nurture step of an
# hour, by email, passes here.


def counts(prospect: Prospect) -> Counts:
    """Count the running silence."""
    silence = prospect.silence
    asked = False
    for attempt in silence.attempts:
        if attempt.stage is _CONCERN:
            asked = True
    return Counts(len(silence.attempts), silence.spaced_calls, asked, prospect.guidelines_agreed)


def _beyond_cap(planned: PlannedTouch, so_far: Counts) -> Facts | None:
    # Stage and call both: a spaced email is no call, and a call at another stage is not spaced.
    if so_far.spaced_calls >= SPACED_CAP and planned.stage is Stage.SPACED and planned.may_be_call:
        return {"spaced_calls": so_far.spaced_calls}
    return None


# The same for an attempt. It is asked after the place is known: what takes the place of a nurture
# touch is not spaced, whatever it is made on.
def _is_beyond_cap(attempt: AttemptContext) -> bool:
    # An extra with a call counts as a spaced call too: it rings the same phone.
    return (
        attempt.takes in (AttemptStage.SPACED, AttemptStage.EXTRA)
        and attempt.prospect.silence.spaced_calls >= SPACED_CAP
        and any(part.is_call for part in attempt.parts)
    )


# 3: gap -------------------------------------------------------------------------------------------
#
# "Let the gaps grow as the silence does." What a policy plans is only half of it: a late call, a
# holiday or a guard makes a gap larger than planned, and the next one must not fall behind it. So
# what really happened ratchets. The measure is the pair (business days, minutes), because elapsed
# time would call three business days over a weekend longer than the three that follow.
#
# The ratchet starts again at the on-time attempt: they agreed to that time, and ten minutes after
# it is what they expect, however long we had waited before. Lateness costs calls, not patience:
# what the ratchet pushes behind the horizon is skipped for the exit.


def largest_gap(
    prospect: Prospect, calendar: WorkCalendar, suspended: tuple[SuspendedTime, ...] | None
) -> Gap:
    """Return the largest gap of the silence since the on-time attempt.

    As measured when the attempts were made; only where a late fact came between two of them is
    the distance measured now.
    """
    silence = prospect.silence
    largest = silence.largest_gap
    for position in silence.unmeasured:
        after, known = silence.attempts[position], silence.known
        before = known[known.index(after) - 1]
        # What began later says nothing of it, though it takes away the rest of that day.
        begun = tuple([one for one in silence.suspensions if one.start < after.at])
        away = suspended if len(begun) == len(silence.suspensions) else calendar.suspended(begun)
        largest = max(largest, calendar.gap(before.at, after.at, away))
    return largest


def gap_allows_from(
    prospect: Prospect, calendar: WorkCalendar, suspended: tuple[SuspendedTime, ...] | None
) -> tuple[datetime, Gap] | None:
    """Return from when on an attempt keeps the gaps from shrinking, and the gap it must keep.

    No attempt comes sooner after the last one than the largest gap so far of the silence, whether
    lateness, a holiday or a guard made it so large. ``None`` if there is nothing to keep.
    """
    silence = prospect.silence
    if not silence.attempts:
        return None
    largest = largest_gap(prospect, calendar, suspended)
    if not (largest.business_days or largest.minutes):
        return None
    return calendar.earliest_with_gap(silence.known[-1].at, largest, suspended), largest


def gap_made_by(prospect: Prospect, largest: Gap) -> tuple[int, ...]:
    """Return the attempts that the ratchet comes from: the one that made the gap, and the last.

    Of several as large it is the latest; of a gap that is measured only now, the last attempt.
    """
    attempts = prospect.silence.attempts
    last = attempts[-1].version
    made = next((one.version for one in reversed(attempts) if one.gap == largest), last)
    return tuple(sorted({made, last}))


def _shrinks_the_gap(attempt: AttemptContext) -> bool:
    prospect, calendar, before = attempt.prospect, attempt.calendar, attempt.before
    if calendar is None or not before or attempt.joins is not None:
        return False
    if prospect.silence.attempts[-1].at > attempt.at:
        return False
    largest = largest_gap(prospect, calendar, attempt.suspended)
    return calendar.gap(before[-1].at, attempt.at, attempt.suspended) < largest


# 4: polite_exit -----------------------------------------------------------------------------------
#
# "Leave them a polite way out." Two halves. Nothing comes after the last word: that is the check
# below, of the place in the file. And no follow-up is closed for silence before the last word was
# delivered and its time to answer has passed: that is how ``next_touch`` ends a silence, and what
# closing is refused by. An exit that bounced was not delivered, and goes to the next channel. A
# letter takes days to arrive and days to be answered, hence the ten business days of mail alone.


def answer_business_days(given: Distance | None, traits: Iterable[ChannelTraits]) -> int:
    """Return how many business days they have to answer a polite exit.

    Args:
        given: what the policy gives them; less than the least that is allowed counts as that.
        traits: those of the channels that the exit was delivered on; the quickest counts.
    """
    days = min((one.answer_business_days for one in traits), default=MIN_ANSWER_BUSINESS_DAYS)
    if given is not None and given.business_days is not None:
        days = max(days, given.business_days)
    return days


def _behind_exit(planned: PlannedTouch, so_far: Counts) -> Facts | None:
    return {} if planned.behind_exit else None


# A closed follow-up has had its last word. So has one at the exit, once that was delivered; before,
# another channel is still to be tried.
def _follows_the_last_word(attempt: AttemptContext) -> bool:
    prospect = attempt.prospect
    if prospect.stage is Stage.CLOSED:
        return True
    return prospect.stage is Stage.POLITE_EXIT and prospect.exit_delivered() is not None


# 7: concern ---------------------------------------------------------------------------------------
#
# "Are you OK?" are three words of concern; said early or twice they are a trick. Late means both
# of two things, and either alone is too soon: five attempts could be made in two days, and 21 days
# could pass without an attempt. The days delay the message (``schedule.py``); too few attempts
# skip it, because waiting brings none.


def _concern_too_soon(planned: PlannedTouch, so_far: Counts) -> Facts | None:
    if planned.stage is _CONCERN_STAGE and (
        so_far.concern_asked or so_far.attempts < CONCERN_ATTEMPTS
    ):
        return {"asked": so_far.concern_asked, "attempts": so_far.attempts}
    return None


def _why_no_concern(facts: Mapping[str, Any]) -> str:
    if facts["asked"]:
        return "it has been asked in this silence"
    were = "was" if facts["attempts"] == 1 else "were"
    return f"only {facts['attempts']} of {CONCERN_ATTEMPTS} attempts {were} made"


# 11: order ----------------------------------------------------------------------------------------
#
# Outreach moves forward only: a person who was asked whether they are all right must not be called
# ten minutes later. The stage table holds it for attempts; here a step that stands in the wrong
# place of a policy file is skipped wherever it is met. Only a response turns the line around.


def _goes_back(planned: PlannedTouch, so_far: Counts) -> Facts | None:
    return {} if planned.backward else None


# 12: frequency ------------------------------------------------------------------------------------
#
# "Persistent, patient, never a pest." Caps on calls alone are no limit on pestering: a nurture step
# of an hour, by email, passed every other rule, and rang a silent person 93 times where it was a
# call. So parts are counted, whatever their stage and channel: a call and an email at once are two.
# From ``spaced`` on there is also a business day between two attempts.
#
# It delays and never skips: waiting brings the plan back into order. The appointment's own steps
# are not delayed, because they agreed to that time; what was made there counts for what follows.
# A span ends where the touch would be made, and begins behind the instant a span before that: a
# part made exactly 24 hours ago is not in it.

_LATER_STAGES: Final = frozenset(
    stage
    for stage in AttemptStage
    if stage is not AttemptStage.EXTRA and rank(Stage(stage.value)) >= rank(Stage.SPACED)
)
_ONE_BUSINESS_DAY: Final = Gap(1, 0)
_ANOTHERS: Final = 0
"""Stands for the event of an attempt of another holder of the address, which has its own count."""


def frequency_allows_from(
    prospect: Prospect,
    stage: AttemptStage,
    parts: int,
    calendar: WorkCalendar,
    suspended: tuple[SuspendedTime, ...] | None,
    *,
    is_days_apart: bool = False,
) -> tuple[datetime, tuple[int, ...], Facts] | None:
    """Return from when on a touch keeps to ``frequency``; ``None`` if it does so at any time.

    Args:
        prospect: whose silence is counted.
        stage: of the touch.
        parts: how many it has.
        calendar: the prospect's.
        suspended: the suspended time of the silence.
        is_days_apart: it is planned business days after the last attempt anyway.

    Returns:
        The instant, the attempts that it comes from, and the facts of the limit.
    """
    silence, others = prospect.silence, prospect.elsewhere.attempts
    if not (silence.attempts or others) or stage in EXACT:
        return None
    own = silence.known
    # One entry a part: the one that has to be out of a span is found by its number.
    made = [(attempt.at, attempt.version) for attempt in own for _ in attempt.parts]
    if others:
        made += [(attempt.at, _ANOTHERS) for _, attempt in others for _ in attempt.parts]
        made.sort()
    if not made:
        return None
    from_, facts = made[0][0], Facts()
    events: tuple[int, ...] = ()
    if own:
        from_, events = own[-1].at, (own[-1].version,)
        if not is_days_apart and stage in _LATER_STAGES:
            from_ = calendar.earliest_with_gap(from_, _ONE_BUSINESS_DAY, suspended)
            facts = {"business_days": 1}
    for span, most in MOST_PARTS:
        too_many = parts + len(made) - most
        if too_many > 0:
            until = made[too_many - 1][0] + span
            if until > from_:
                counted = [version for _, version in made[too_many - 1 :]]
                from_, facts = until, {"span": span, "most": most}
                if _ANOTHERS in counted:
                    facts["of_others"] = counted.count(_ANOTHERS)
                events = tuple(dict.fromkeys(one for one in counted if one != _ANOTHERS))
    # An attempt for another record moves nothing before a span has too many parts.
    return (from_, events, facts) if own or facts else None


def _is_too_frequent(attempt: AttemptContext) -> bool:
    if attempt.takes in EXACT:
        return False
    before = attempt.before
    made = [(one.at, len(one.parts)) for one in before]
    for _, other in attempt.prospect.elsewhere.attempts:
        if other.at <= attempt.at:
            made.append((other.at, len(other.parts)))
    for span, most in MOST_PARTS:
        since = attempt.at - span
        if sum(parts for at, parts in made if at > since) + len(attempt.parts) > most:
            return True
    calendar = attempt.calendar
    if calendar is None or not before or attempt.joins is not None:
        return False
    if attempt.takes not in _LATER_STAGES:
        return False
    # Suspended time counts in no gap: an attempt in it is too soon in any case.
    return not attempt.is_suspended and (
        calendar.gap(before[-1].at, attempt.at, attempt.suspended) < _ONE_BUSINESS_DAY
    )


# 14: claimed --------------------------------------------------------------------------------------
#
# Two workers who read one list at the same moment both dial. So a worker takes a claim before
# acting. It is kept by the store in one transaction with what it was judged by, and is no part of
# the fold: a decision never depends on who works on it.


def _is_held_by_another(attempt: AttemptContext) -> bool:
    return attempt.held is not None


# The table ----------------------------------------------------------------------------------------

_SEARCHED: Final = (
    "proved in {states} states: on plan ({on_plan}) the limit is never exceeded; "
    "off plan the engine always stops it"
)

INVARIANTS: tuple[Invariant, ...] = (
    # In the order in which a planned touch is checked, and an attempt within each phase: where a
    # touch breaks two, the first is named. A misplaced step comes first, because its place is the
    # fault to fix, whatever else it would break. Those that count come next; a new one that counts
    # goes behind them, or before one whose limit it makes narrower for some touches.
    #
    # ``breaks`` states each limit once more, in other words and with its number written out, so
    # that a slip in ``stops`` is seen by the prover instead of being repeated by it.
    Invariant(
        id=Rule.POLITE_EXIT,
        number=4,
        promise="the last outreach is a polite exit with time to answer",
        effect=Effect.SKIP,
        stops=_behind_exit,
        because=lambda facts: "nothing comes after the polite exit",
        breaks=lambda planned, before, after: planned.behind_exit,
        forbids=_follows_the_last_word,
        phase=Phase.PLAN,
        refusal="nothing comes after the polite exit",
        how_proved="one polite exit, the last step, with at least a business day to answer; every "
        "silence was played to its end",
    ),
    Invariant(
        id=Rule.ORDER,
        number=11,
        promise="outreach moves forward through the stages",
        effect=Effect.SKIP,
        stops=_goes_back,
        because=lambda facts: (
            "the policy file has it behind a later stage, and outreach moves forward"
        ),
        breaks=lambda planned, before, after: planned.backward,
        how_proved="no step is behind a later stage, and in all {states} states none goes back",
        within_silence=True,
    ),
    Invariant(
        id=Rule.SPACED_CAP,
        number=2,
        promise="at most six spaced calls in a silence",
        effect=Effect.SKIP,
        stops=_beyond_cap,
        because=lambda facts: (
            f"{facts['spaced_calls']} spaced calls were made; no more than {SPACED_CAP} in a "
            "silence"
        ),
        counted=lambda attempt: attempt.is_spaced_call,
        # Seven, and one more than before: a silence may come here with too many already.
        breaks=lambda planned, before, after: after.spaced_calls > max(6, before.spaced_calls),
        forbids=_is_beyond_cap,
        refusal=f"{SPACED_CAP} spaced calls were made in this silence",
        proved_by=ProvedBy.SEARCH,
        within_silence=True,
        how_proved=_SEARCHED,
    ),
    Invariant(
        id=Rule.CONCERN,
        number=7,
        promise='"are you OK?" once, after five attempts and 21 days',
        effect=Effect.SKIP,
        stops=_concern_too_soon,
        because=_why_no_concern,
        counted=lambda attempt: True,
        breaks=lambda planned, before, after: (
            planned.stage is Stage.CONCERN and (before.concern_asked or before.attempts < 5)
        ),
        refusal="the concern message is not in order yet",
        proved_by=ProvedBy.SEARCH,
        within_silence=True,
        how_proved=_SEARCHED,
    ),
    Invariant(
        id=Rule.OPT_OUT,
        number=1,
        promise="nothing after an opt-out, on that channel or at all",
        effect=Effect.SKIP,
        forbids=_is_opted_out,
        phase=Phase.LASTING,
        refusal="they opted out of this channel",
        how_proved="no cell of the stage table leads from opted_out to outreach; tried at "
        "every touch ({touches}), for all channels and for each",
    ),
    Invariant(
        id=Rule.CONTACT_POINT,
        number=8,
        promise="a contact point that failed is never used again",
        effect=Effect.SKIP,
        forbids=_uses_lost_point,
        phase=Phase.LASTING,
        refusal="the contact point failed and must not be used again",
        how_proved="a step without a channel left is skipped wherever the channel is lost; tried "
        "at every touch ({touches}), and with each channel alone",
    ),
    Invariant(
        id=Rule.SUPPRESSED,
        number=13,
        promise="nothing to an address that a holder opted out of, or that is on a suppression "
        "list; nothing to a person who may be one that opted out",
        effect=Effect.SKIP,
        forbids=_is_suppressed,
        phase=Phase.LASTING,
        refusal="the address is suppressed, or they may be a person who opted out",
        proved_by=ProvedBy.STORE,
        how_proved="the store reads what others say in the transaction that writes, whatever the "
        "policy; a step without an address left is skipped as after a failure",
    ),
    Invariant(
        id=Rule.GAP,
        number=3,
        promise="gaps never shrink as silence grows",
        effect=Effect.DELAY,
        forbids=_shrinks_the_gap,
        phase=Phase.TIME,
        refusal="it would come sooner than the largest gap so far of the silence",
        how_proved="no planned gap is smaller than one before it, whatever is skipped, and the "
        "engine takes the larger of plan and ratchet",
        within_silence=True,
    ),
    Invariant(
        id=Rule.FREQUENCY,
        number=12,
        promise="at most 3 parts in 24 hours, 5 in 7 days and 12 in 30 days of a silence; from "
        "spaced on a business day between two attempts",
        effect=Effect.DELAY,
        forbids=_is_too_frequent,
        phase=Phase.PLACE,
        refusal="it would be more than 3 parts in 24 hours, 5 in 7 days or 12 in 30 days, or less "
        "than a business day after the attempt before",
        how_proved="no touch has more than two parts, from spaced on each is planned a business "
        "day after the one before, and no path through the plan has more in any span; the engine "
        "delays what would",
        within_silence=True,
    ),
    Invariant(
        id=Rule.BOUNDED,
        number=5,
        promise="every silence ends",
        effect=Effect.NONE,
        how_proved="every move goes forward through the touches ({touches}), and only the exit is "
        "proposed behind {horizon} business days",
    ),
    Invariant(
        id=Rule.FORGOTTEN,
        number=6,
        promise="an open prospect always has exactly one next thing",
        effect=Effect.ASK,
        how_proved="each of {states} states has a touch, the exit or a task next; every silence "
        "that was played came to its end",
    ),
    Invariant(
        id=Rule.GUARD,
        number=9,
        promise="a guard only delays or vetoes",
        effect=Effect.ASK,
        refusal="a guard gave no valid answer, so the attempt is held",
        how_proved="{guards} may delay and veto in any state; the engine takes the later time, "
        "skips what is vetoed, and holds what fails",
    ),
    Invariant(
        id=Rule.DETERMINISTIC,
        number=10,
        promise="the same history gives the same decision",
        effect=Effect.NONE,
        how_proved="next_touch is a function of events, policy and now{functions}",
    ),
    Invariant(
        id=Rule.CLAIMED,
        number=14,
        promise="one touch is carried out by one worker: while one holds a claim, the others are "
        "refused",
        effect=Effect.NONE,
        forbids=_is_held_by_another,
        phase=Phase.LASTING,
        refusal="another holds the claim",
        proved_by=ProvedBy.STORE,
        how_proved="the store takes a claim in one transaction, whatever the policy",
    ),
)
"""Every invariant. The engine, the prover, the audit and the docs read it when they need it."""


def violation(planned: PlannedTouch, so_far: Counts) -> Violation | None:
    """Return the invariant that making ``planned`` would break after what was counted, if any."""
    for row, stops in _checks():
        facts = stops(planned, so_far)
        if facts is not None:
            return Violation(row, facts)
    return None


# The rows that check a planned touch: a third of the table, and every decision asks them.
_Check = tuple[Invariant, Callable[[PlannedTouch, Counts], Facts | None]]
_checked: tuple[tuple[Invariant, ...], tuple[_Check, ...]] = ((), ())


def _checks() -> tuple[_Check, ...]:
    global _checked
    if _checked[0] is not INVARIANTS:
        rows = tuple((row, row.stops) for row in INVARIANTS if row.stops is not None)
        _checked = INVARIANTS, rows
    return _checked[1]


def find(rule: str) -> Invariant | None:
    """Return the row of the invariant with this id; ``None`` if it is another rule."""
    return next((row for row in INVARIANTS if row.id == rule), None)


def in_order() -> tuple[Invariant, ...]:
    """Return the rows in the order of the design."""
    return tuple(sorted(INVARIANTS, key=lambda row: row.number))


def of_policies() -> tuple[Invariant, ...]:
    """Return the rows that are proved of a policy, in that order; the store keeps the others."""
    return tuple(row for row in in_order() if row.proved_by is not ProvedBy.STORE)
