"""Validate commands and turn them into events.

A *command* is our own next action (make this attempt, set this appointment). It may be refused,
with the rule that forbids it, why, and until when, before any event exists. A *fact*
(they replied, the rep already called) is passed through: it happened. Both come out as event data,
complete with what was decided.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec

from cadence.domain.addresses import UNUSABLE
from cadence.domain.channels import BUILT_IN, ChannelName
from cadence.domain.codec import check_channels, in_utc
from cadence.domain.events import (
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    Aware,
    Data,
    EndReason,
    EventCorrected,
    EventRetracted,
    FollowUpEnded,
    FollowUpReopened,
    Intent,
    Part,
    PreferenceStated,
    ProspectAdded,
    ProspectsMerged,
    ProspectUpdated,
    ReplyReceived,
    ValueKind,
    ValueNoted,
)
from cadence.domain.keys import KeyReader
from cadence.domain.plurals import plural
from cadence.domain.prospect import Prospect
from cadence.domain.stages import ENDED, Stage
from cadence.engine.claims import Claimed
from cadence.engine.context import calendar_for
from cadence.engine.decision import Close, Decision, Due, Wait
from cadence.engine.invariants import contact_points_left
from cadence.engine.judgement import (
    AttemptContext,
    AttemptTime,
    Judgement,
    decision_of,
    judge,
    objections,
)
from cadence.engine.next_touch import decide_silently
from cadence.engine.reasons import Reason, stop_facts
from cadence.engine.wording import because, refusal
from cadence.errors import InputError, Refused
from cadence.policy.model import Policy
from cadence.policy.rules import Rule
from cadence.policy.touch import GuardDelay, Touch, TouchPart, Veto
from cadence.worktime.holidays import check_country
from cadence.worktime.hours import parse_hours
from cadence.worktime.zones import zone

__all__ = [
    "LASTING",
    "CancelAppointment",
    "Command",
    "EndFollowUp",
    "MakeAttempt",
    "NoteValue",
    "ReopenFollowUp",
    "SetAppointment",
    "Undo",
    "check_fact",
    "checked",
    "complete_attempt",
    "decide",
    "delayed_until",
    "make_attempt",
    "unchecked_attempt",
    "why_refused",
    "with_addresses",
    "with_keys",
]


class MakeAttempt(msgspec.Struct, frozen=True):
    """Log an attempt that was made; it is recorded also where a rule forbids it.

    Attributes:
        parts: what was done, one part a channel.
        why: why it was made although a rule forbids it, if one does.
        note: private; no script may use it.
        is_strict: refuse it where a rule forbids it, for programs that ask before they act.
    """

    parts: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1)]
    why: str | None = None
    note: str | None = None
    is_strict: bool = False


class SetAppointment(msgspec.Struct, frozen=True):
    """Agree to call at ``at``. ``agreed_by``: the channel on which they agreed just now."""

    at: Aware
    agreed_by: ChannelName | None = None


class CancelAppointment(msgspec.Struct, frozen=True):
    """Cancel the standing appointment."""


class EndFollowUp(msgspec.Struct, frozen=True):
    """End the follow-up."""

    reason: EndReason


class ReopenFollowUp(msgspec.Struct, frozen=True):
    """Reopen a follow-up that has ended."""

    why: str


class NoteValue(msgspec.Struct, frozen=True):
    """Note a reason worth a call, or several at once; each id is the next that is free.

    ``more``: further ones of the same kind; all are noted, or none.
    """

    text: str
    kind: ValueKind = ValueKind.PROFESSIONAL
    more: tuple[str, ...] = ()


class Undo(msgspec.Struct, frozen=True):
    """Take the last command back, all its events; one that is itself an undo is left alone.

    Attributes:
        why: needed for an opt-out, a refusal or an end, and for what another user recorded.
        version: an event of the command to take back; ``None``: the last one. Where an undo was
            recorded last, the version is needed, so that pressing twice takes back nothing more.
    """

    why: str | None = None
    version: int | None = None


Command = (
    MakeAttempt
    | SetAppointment
    | CancelAppointment
    | EndFollowUp
    | ReopenFollowUp
    | NoteValue
    | Undo
    | Data
)
"""A command, or a fact as event data."""

LASTING: Final = frozenset({Rule.OPT_OUT, Rule.CONTACT_POINT, Rule.POLITE_EXIT})
"""Rules that no waiting helps against."""

_MOST_DELAYS: Final = 60  # that guards may name one after the other, for a time that none forbids


def decide(
    prospect: Prospect | None,
    command: Command,
    policy: Policy,
    at: datetime,
    recorded_at: datetime | None = None,
    claimed: Claimed | None = None,
) -> tuple[Data, ...]:
    """Return the event data that ``command`` leads to.

    Args:
        prospect: the fold so far; ``None`` if nothing is known of it (then only
            ``ProspectAdded`` is in order).
        command: what is to be done, or what happened.
        policy: the policy the prospect is under.
        at: when it happens or happened.
        recorded_at: when we learn of it. What is logged at once is judged by everything recorded;
            what is logged later, or where this is left out, by what was recorded at ``at``.
        claimed: the claim on the prospect that stands, for an attempt.

    Raises:
        Refused: a command that a rule forbids; carries the rule and until when.
        InputError: a fact with values that can't be: an unknown zone, country or hours.
    """
    command = checked(command)
    if isinstance(command, Undo | EventRetracted | EventCorrected):
        raise InputError(
            f"{type(command).__name__}: invalid without the history",
            "use corrections.take_back",
        )
    if isinstance(command, ProspectsMerged) or (
        isinstance(command, EndFollowUp | FollowUpEnded) and command.reason is EndReason.MERGED
    ):
        raise InputError(
            f"{type(command).__name__}: invalid alone; a merge is of two records",
            "merge the two: cadence merge P INTO",
        )
    if isinstance(command, ProspectAdded):
        if prospect is not None:
            raise Refused(
                f"prospect {prospect.id!r} already exists ({prospect.identity.name})",
                "use another id, or record what changed as ProspectUpdated",
                rule=Rule.PLAN,
            )
        check_fact(command)
        return (command,)
    if prospect is None:
        raise InputError(f"{type(command).__name__}: unknown prospect", "add the prospect first")
    if isinstance(command, MakeAttempt):
        return (make_attempt(prospect, command, policy, at, recorded_at, claimed),)
    if isinstance(command, SetAppointment):
        return _appoint(prospect, command, policy, at)
    if isinstance(command, CancelAppointment):
        return (_cancel(prospect),)
    if isinstance(command, EndFollowUp):
        return (_end(prospect, command, policy, at),)
    if isinstance(command, ReopenFollowUp):
        return (_reopen(prospect, command),)
    if isinstance(command, NoteValue):
        return _values(prospect, command)
    if isinstance(command, AttemptMade):
        return (complete_attempt(prospect, command, policy, at, recorded_at, claimed=claimed),)
    check_fact(command, prospect.identity.country)
    return (command,)


_OneCommand = TypeVar("_OneCommand", bound=Command)


def checked(command: _OneCommand) -> _OneCommand:
    """Return ``command`` with every value checked: Python does not check those of a struct.

    Raises:
        InputError: a value is of another type than its field, or out of range.
    """
    try:
        plain = msgspec.to_builtins(command, builtin_types=(datetime,))
        value = in_utc(msgspec.convert(plain, type=type(command)))
    except msgspec.ValidationError as error:
        text = " ".join(str(error).replace("`", "'").split())
        raise InputError(
            f"{type(command).__name__}: {text}", "use the table of events in the docs"
        ) from None
    check_channels(value)
    return value


def check_fact(data: Data, of_country: str | None = None) -> None:
    """Check the values of a fact that the types alone can't.

    Args:
        data: the fact.
        of_country: the country that the prospect has already.

    Raises:
        InputError: an unknown zone, country or subdivision, or hours that are none.
    """
    if isinstance(data, ProspectAdded | ProspectUpdated):
        names = (data.timezone,) if isinstance(data.timezone, str) else data.timezone
        if names is not None and not names:
            raise InputError("timezone: missing", "give at least one IANA zone")
        for name in names or ():
            zone(name)
        country = of_country if data.country is None else data.country
        if country is not None:
            check_country(country, data.subdivision)
        elif data.subdivision is not None:
            raise InputError(
                f"subdivision: invalid {data.subdivision!r} without a country",
                "give the country too",
            )
    elif isinstance(data, PreferenceStated) and data.hours is not None:
        parse_hours(data.hours)
    elif isinstance(data, EventCorrected):
        check_fact(data.data, of_country)


def with_keys(command: Command, reader: KeyReader) -> Command:
    """Return ``command`` with the keys of its addresses.

    Raises:
        InputError: an address can't be read.
    """
    if isinstance(command, MakeAttempt):
        return msgspec.structs.replace(command, parts=reader.each(command.parts))
    if isinstance(
        command,
        SetAppointment | CancelAppointment | EndFollowUp | ReopenFollowUp | NoteValue | Undo,
    ):
        return command
    return reader.data(command)


# Attempts -----------------------------------------------------------------------------------------


def make_attempt(
    prospect: Prospect,
    command: MakeAttempt,
    policy: Policy,
    at: datetime,
    recorded_at: datetime | None = None,
    claimed: Claimed | None = None,
    due: Due | None = None,
) -> AttemptMade:
    """Return the attempt that ``command`` leads to, with its place and the rules it broke.

    Args:
        prospect: the fold of the events before it.
        command: what is done.
        policy: the policy to judge it by.
        at, recorded_at: when it is made, and recorded; see :meth:`AttemptTime.of`.
        claimed: the claim on the prospect that stands.
        due: what was decided at ``at``, if it is known that a touch is due.

    Raises:
        Refused: it breaks a rule, and the command is strict.
    """
    parts = with_traits(command.parts, policy)
    # Also one that is dated back is only asked for now: whatever we know by now counts.
    time = AttemptTime.of(prospect, at, recorded_at).knowing_all()
    attempt = AttemptContext(prospect, policy, parts, time, claimed=claimed)
    decision = due or decision_of(attempt)
    attempt.parts = with_addresses(prospect, parts, decision.touch)
    judged = judge(attempt, decision)
    if judged.broke and command.is_strict:
        raise _refusal(prospect, judged, at)
    return AttemptMade(
        parts=attempt.parts,
        stage=judged.stage,
        step=judged.step,
        touch=judged.touch,
        gap=judged.gap,
        # Another part of the touch just made brings the same.
        value=prospect.value_used(judged.stage) if attempt.joins is None else None,
        policy=policy.ref,
        broke=judged.broke,
        why=command.why if judged.broke else None,
        gap_from=judged.gap_from,
        note=command.note,
    )


def complete_attempt(
    prospect: Prospect,
    data: AttemptMade,
    policy: Policy,
    at: datetime,
    recorded_at: datetime | None = None,
    *,
    given: frozenset[str] | None = None,
    claimed: Claimed | None = None,
) -> AttemptMade:
    """Fill in what is missing of an attempt that was recorded elsewhere.

    Args:
        prospect: the fold of the events before it.
        data: the attempt; ``parts`` alone is enough.
        policy: the policy to fill in under.
        at, recorded_at: when it was made, and recorded; see :meth:`AttemptTime.of`.
        given: names of the fields to keep as they are; by default those that are set.
        claimed: the claim on the prospect that stands.
    """
    if given is None:
        given = frozenset(
            name for name in data.__struct_fields__ if getattr(data, name) not in (None, ())
        )
    if given >= {"stage", "step", "touch", "gap", "policy", "broke"}:
        return data
    data = msgspec.structs.replace(data, parts=with_traits(data.parts, policy))
    time = AttemptTime.of(prospect, at, recorded_at)
    attempt = AttemptContext(prospect, policy, data.parts, time, data.stage, claimed)
    decision = decision_of(attempt)
    attempt.parts = with_addresses(prospect, data.parts, decision.touch)
    judged = judge(attempt, decision)
    changed: dict[str, object] = {"parts": attempt.parts}
    if "stage" not in given:
        changed["stage"] = judged.stage
    if judged.stage == changed.get("stage", data.stage):
        changed |= {"step": judged.step, "touch": judged.touch}
    changed |= {"gap": judged.gap, "policy": policy.ref, "broke": judged.broke}
    if "gap" not in given:
        changed["gap_from"] = judged.gap_from
    kept = {name: value for name, value in changed.items() if name == "parts" or name not in given}
    return msgspec.structs.replace(data, **kept)


def unchecked_attempt(
    prospect: Prospect, data: AttemptMade, claimed: Claimed | None = None
) -> AttemptMade:
    """Keep an attempt under a policy that is not at hand, with nothing judged or measured.

    What a claim says needs no policy: the place that it was taken for, and that another holds it.

    Args:
        prospect: the fold of the events before it.
        data: the attempt.
        claimed: the claim on the prospect that stands.
    """
    if claimed is not None and not claimed.is_own:
        broke = dict.fromkeys((*data.broke, str(Rule.CLAIMED)))
        data = msgspec.structs.replace(data, broke=tuple(broke))
    elif claimed is not None and claimed.claim.is_about(data.parts) and data.stage is None:
        claim = claimed.claim
        data = msgspec.structs.replace(data, stage=claim.stage, step=claim.step, touch=claim.touch)
    return msgspec.structs.replace(
        data, stage=data.stage or AttemptStage.EXTRA, policy=data.policy or prospect.policy
    )


def with_traits(parts: tuple[Part, ...], policy: Policy) -> tuple[Part, ...]:
    """Return ``parts``; those on a channel that the policy declares say whether it is spoken.

    So a reader whose policy does not know the channel can count them.
    """
    if all(part.spoken is not None or part.channel in BUILT_IN for part in parts):
        return parts
    return tuple(
        part
        if part.spoken is not None or part.channel in BUILT_IN
        else msgspec.structs.replace(part, spoken=part.channel in policy.spoken)
        for part in parts
    )


def with_addresses(
    prospect: Prospect, parts: tuple[Part, ...], touch: Touch | None
) -> tuple[Part, ...]:
    """Return ``parts`` with the address that was used: the touch's, or the first that is left."""
    if all(part.address is not None for part in parts):
        return parts
    points = prospect.reach.contact_points
    known = {
        point.channel: point
        for point in reversed(points)
        if point.key != UNUSABLE and not prospect.reach.has_failed(point.same)
    }
    if not prospect.elsewhere.is_silent:
        known |= {point.channel: point for point in reversed(contact_points_left(prospect))}
    for planned in () if touch is None else touch.parts:
        used = (p for p in points if (p.channel, p.same) == (planned.channel, planned.same))
        known[planned.channel] = next(used, known[planned.channel])
    return tuple(
        part
        if part.address is not None or part.channel not in known
        else msgspec.structs.replace(
            part, address=known[part.channel].address, key=known[part.channel].key
        )
        for part in parts
    )


def _refusal(prospect: Prospect, judged: Judgement, at: datetime) -> Refused:
    rule, *more = judged.broke
    decision = judged.decision
    until = decision.at if isinstance(decision, Wait) and decision.touch is not None else None
    if rule in LASTING:
        until = None
    if rule == Rule.CLAIMED and judged.held is not None:
        until = judged.held.until
    others = f" (also {', '.join(more)})" if more else ""
    why = why_refused(rule, judged, at)
    when = f"wait until {until:%Y-%m-%dT%H:%M:%SZ}, or if" if until is not None else "if"
    return Refused(
        f"{prospect.id}: attempt refused by {rule}{others}: {why}",
        f"{when} it was made already, log it without --strict",
        rule=rule,
        until=until,
    )


def why_refused(rule: str, judged: Judgement, at: datetime) -> str:
    """Return why ``rule`` forbids an attempt at ``at``, as it was judged, in a sentence.

    The reason that delays the touch says it best; one of the same rule may be about another. Where
    no touch was next, a guard's own answer says it.
    """
    decision = judged.decision
    if rule == Rule.CLAIMED and judged.held is not None:
        return f"{judged.held.by} holds it until {judged.held.until:%Y-%m-%dT%H:%M:%SZ}"
    if rule == Rule.SUPPRESSED and judged.obstacle is not None:
        return because(rule, "stopped_elsewhere", (), stop_facts(judged.obstacle))
    if rule == Rule.PLAN and isinstance(decision, Due):
        channels = " and ".join(part.channel for part in decision.touch.parts)
        return f"the policy proposes {decision.touch.step} by {channels} now"
    delay = _delay(rule, decision, at)
    if delay is not None:
        return delay.because
    objection = _objection(rule, judged)
    return refusal(rule) if objection is None else objection.because


def delayed_until(rule: str, judged: Judgement, at: datetime) -> datetime | None:
    """Return until when ``rule`` delays an attempt, seen at ``at``; ``None`` if it does not."""
    if rule == Rule.CLAIMED and judged.held is not None:
        return judged.held.until
    delay = _delay(rule, judged.decision, at)
    if delay is not None:
        return delay.until
    objection = _objection(rule, judged)
    return objection.until if isinstance(objection, GuardDelay) else None


def _objection(rule: str, judged: Judgement) -> GuardDelay | Veto | None:
    return next((answer for name, answer in judged.objections if name == rule), None)


def _delay(rule: str, decision: Decision, at: datetime) -> Reason | None:
    for reason in decision.reasons:
        if reason.rule == rule and reason.until is not None and reason.until > at:
            return reason
    return None


# Appointments and ends ----------------------------------------------------------------------------


def _appoint(
    prospect: Prospect, command: SetAppointment, policy: Policy, at: datetime
) -> tuple[Data, ...]:
    _check_stage(prospect, "appointment")
    _check_time(prospect, command.at, policy, at)
    if command.agreed_by is not None:
        return ReplyReceived(command.agreed_by, Intent.YES), AppointmentSet(command.at)
    stage, attempts = prospect.stage, prospect.silence.attempts
    may_begin = stage in (Stage.NEW, Stage.ENGAGED, Stage.SCHEDULED)
    if not may_begin or attempts or prospect.ending.reopened:
        raise Refused(
            f"{prospect.id}: appointment refused by plan: the prospect has not agreed to it since "
            f"the silence began (stage {stage}, {plural(len(attempts), 'attempt')})",
            "if they agreed just now, give the channel (agreed_by)",
            rule=Rule.PLAN,
        )
    return (AppointmentSet(command.at),)


def _check_stage(prospect: Prospect, what: str) -> None:
    """Refuse what needs a follow-up that is open and not opted out of."""
    if prospect.stage is Stage.OPTED_OUT:
        raise Refused(
            f"{prospect.id}: {what} refused by opt_out: they opted out of everything",
            "record an opt-in if they give one; only they can take an opt-out back",
            rule=Rule.OPT_OUT,
        )
    if prospect.stage in (Stage.WON, Stage.LOST):
        raise Refused(
            f"{prospect.id}: {what} refused by plan: the follow-up is {prospect.stage}",
            "reopen it first",
            rule=Rule.PLAN,
        )


def _check_time(prospect: Prospect, meeting: datetime, policy: Policy, at: datetime) -> None:
    """Refuse an appointment in the past, in quiet hours, or when a guard forbids its touch."""
    if meeting <= at:
        raise Refused(
            f"{prospect.id}: appointment refused by appointment: {meeting:%Y-%m-%dT%H:%M:%SZ} "
            f"is not after {at:%Y-%m-%dT%H:%M:%SZ}",
            "give a later time",
            rule=Rule.APPOINTMENT,
        )
    waking = calendar_for(prospect, policy).next_waking(meeting)
    if waking is None:
        hint = "find out which zone they are in; no hour is waking in all of these"
        raise Refused(_in_quiet_hours(prospect, meeting), hint, rule=Rule.QUIET_HOURS)
    touch = _on_time_touch(prospect, policy)
    rule: str = Rule.QUIET_HOURS
    what = _in_quiet_hours(prospect, meeting)
    if waking == meeting:
        objection = next(iter(objections(prospect, policy, touch, meeting)), None)
        if objection is None:
            return
        rule, answer = objection
        what = (
            f"{prospect.id}: appointment refused by {rule}: {answer.because} "
            f"({meeting:%Y-%m-%dT%H:%M:%SZ})"
        )
    until = _first_allowed(prospect, policy, touch, waking)
    hint = "give another time"
    if until is not None:
        hint = f"give {until:%Y-%m-%dT%H:%M:%SZ} ({_clocks(prospect, until, '%a %H:%M')}) or later"
    raise Refused(what, hint, rule=rule, until=until)


def _in_quiet_hours(prospect: Prospect, meeting: datetime) -> str:
    return (
        f"{prospect.id}: appointment refused by quiet_hours: {meeting:%Y-%m-%dT%H:%M:%SZ} "
        f"lies between 21:00 and 08:00 ({_clocks(prospect, meeting)})"
    )


def _first_allowed(
    prospect: Prospect, policy: Policy, touch: Touch, at: datetime
) -> datetime | None:
    """Return the first waking time from ``at`` on that no guard forbids; ``None``: none is known.

    A guard may name an hour at night, and another guard may forbid what it names.
    """
    calendar = calendar_for(prospect, policy)
    for _ in range(_MOST_DELAYS):
        waking = calendar.next_waking(at)
        if waking is None:
            return None
        answer = next((one for _, one in objections(prospect, policy, touch, waking)), None)
        if answer is None:
            return waking
        if not isinstance(answer, GuardDelay) or answer.until <= waking:
            return None
        at = answer.until
    return None


def _on_time_touch(prospect: Prospect, policy: Policy) -> Touch:
    """The touch that guards are asked about for an appointment."""
    planned = [one for one in policy.planned_touches if one.step.at is not None]
    parts = tuple(
        TouchPart(point.channel, point.address, part.script, key=point.same)
        for one in planned[:1]
        for part in one.parts
        for point in contact_points_left(prospect)
        if point.channel in part.channels
    )
    return Touch(f"{prospect.id}:appointment", Stage.ON_TIME, "on_time", parts)


def _clocks(prospect: Prospect, at: datetime, form: str = "%H:%M") -> str:
    zones = prospect.identity.zones
    return ", ".join(f"{at.astimezone(zone(name)):{form}} {name}" for name in zones)


def _cancel(prospect: Prospect) -> AppointmentCancelled:
    if prospect.appointment is None:
        raise Refused(
            f"{prospect.id}: no appointment stands (stage {prospect.stage})",
            "set one, or leave it; nothing needs to be cancelled",
            rule=Rule.APPOINTMENT,
        )
    return AppointmentCancelled()


def _end(prospect: Prospect, command: EndFollowUp, policy: Policy, at: datetime) -> FollowUpEnded:
    reason = command.reason
    if reason is EndReason.NO_RESPONSE:
        _check_silence_is_over(prospect, decide_silently(prospect, policy, at))
    if reason is EndReason.UNREACHABLE:
        tried = {(part.channel, part.same) for one in prospect.exits() for part in one.parts}
        points = contact_points_left(prospect)
        left = [point for point in points if (point.channel, point.same) not in tried]
        if left:
            channel, address = left[0].channel, left[0].address
            raise Refused(
                f"{prospect.id}: closing refused by contact_point: {channel} {address} is left",
                "record it as failed if it is",
                rule=Rule.CONTACT_POINT,
            )
    return FollowUpEnded(reason)


def _check_silence_is_over(prospect: Prospect, decision: Decision) -> None:
    """Refuse to close for silence before the polite exit was left unanswered for its time."""
    if isinstance(decision, Close) and decision.end is EndReason.NO_RESPONSE:
        return
    awaits = isinstance(decision, Wait) and decision.touch is None
    until = decision.at if awaits and prospect.stage is Stage.POLITE_EXIT else None
    raise Refused(
        f"{prospect.id}: closing refused by polite_exit: no polite exit was delivered and "
        f"left unanswered for its time (stage {prospect.stage})",
        f"wait until {until:%Y-%m-%dT%H:%M:%SZ}"
        if until is not None
        else "make the touches that are due, or end it with another reason",
        rule=Rule.POLITE_EXIT,
        until=until,
    )


def _reopen(prospect: Prospect, command: ReopenFollowUp) -> FollowUpReopened:
    if prospect.stage is Stage.OPTED_OUT:
        _check_stage(prospect, "reopening")
    if prospect.stage not in ENDED:
        raise Refused(
            f"{prospect.id}: reopening refused by plan: the follow-up has not ended "
            f"(stage {prospect.stage})",
            "leave it; it is open",
            rule=Rule.PLAN,
        )
    return FollowUpReopened(command.why)


def _values(prospect: Prospect, command: NoteValue) -> tuple[ValueNoted, ...]:
    known = {value.id for value in prospect.values}
    texts = (command.text, *command.more)
    numbers = range(1, len(known) + len(texts) + 1)
    free = (f"value-{number}" for number in numbers if f"value-{number}" not in known)
    return tuple(
        ValueNoted(id_, text, command.kind) for id_, text in zip(free, texts, strict=False)
    )
