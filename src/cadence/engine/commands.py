"""May we? Commands become events here, or are refused before any event exists.

A *command* is our own next action (make this attempt, set this appointment) and may be refused with
the rule that forbids it, why, and until when. A *fact* (they replied, the rep already called) is
passed through: it happened. Both come out as event data, complete with what was decided.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from cadence.domain.codec import in_utc
from cadence.domain.events import (
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    Aware,
    Channel,
    Data,
    EndReason,
    FollowUpEnded,
    FollowUpReopened,
    Gap,
    Intent,
    Part,
    PreferenceStated,
    ProspectAdded,
    ProspectUpdated,
    ReplyReceived,
)
from cadence.domain.prospect import Prospect
from cadence.domain.stages import ENDED, Stage
from cadence.engine import invariants
from cadence.engine.context import calendar_for, preferred_hours
from cadence.engine.decision import Decision, Verdict
from cadence.engine.next_touch import next_touch
from cadence.engine.schedule import reached
from cadence.errors import InputError, Refused
from cadence.policy.guard_runner import GuardFailed
from cadence.policy.model import Policy
from cadence.policy.rules import Rule
from cadence.policy.touch import GuardDelay, Touch, TouchPart, Veto
from cadence.worktime.calendar import WorkCalendar, parse_hours
from cadence.worktime.holidays import check_country
from cadence.worktime.zones import zone

__all__ = [
    "CancelAppointment",
    "Command",
    "EndFollowUp",
    "MakeAttempt",
    "ReopenFollowUp",
    "SetAppointment",
    "check_fact",
    "complete_attempt",
    "decide",
    "unchecked_attempt",
]


class MakeAttempt(msgspec.Struct, frozen=True):
    """Try them, or have tried. ``off_policy`` says why it was made although a rule forbids it."""

    parts: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1)]
    off_policy: str | None = None


class SetAppointment(msgspec.Struct, frozen=True):
    """Agree to call at ``at``. ``agreed_by``: the channel on which they agreed just now."""

    at: Aware
    agreed_by: Channel | None = None


class CancelAppointment(msgspec.Struct, frozen=True):
    """Call the standing appointment off."""


class EndFollowUp(msgspec.Struct, frozen=True):
    """End the file."""

    reason: EndReason


class ReopenFollowUp(msgspec.Struct, frozen=True):
    """Take an ended file up again."""

    why: str


Command = MakeAttempt | SetAppointment | CancelAppointment | EndFollowUp | ReopenFollowUp | Data
"""A command, or a fact as event data."""

# Attempts off policy take the place of the touch that was next, if it was one of these.
# Whatever was recorded, also by a clock that was ahead, and has been set back since.
_BY_NOW: Final = datetime.max.replace(tzinfo=UTC)
_REPLACEABLE: Final = frozenset({Stage.TEN_MINUTES, Stage.HALF_DAY, Stage.SPACED, Stage.NURTURE})


def decide(
    prospect: Prospect | None, command: Command, policy: Policy, at: datetime
) -> tuple[Data, ...]:
    """The event data that ``command`` leads to.

    Args:
        prospect: the fold so far; ``None`` if nothing is known of it (then only
            ``ProspectAdded`` is in order).
        command: what is to be done, or what happened.
        policy: the policy the prospect is under.
        at: when it happens or happened.

    Raises:
        Refused: a command that a rule forbids; carries the rule and until when.
        InputError: a fact with values that can't be: an unknown zone, country or hours.
    """
    command = _checked(command)
    if isinstance(command, ProspectAdded):
        if prospect is not None:
            raise Refused(
                f"{prospect.id}: is known already, as {prospect.name!r}",
                "choose another id, or correct it with: cadence update",
                rule=Rule.PLAN,
            )
        check_fact(command)
        return (command,)
    if prospect is None:
        raise InputError(
            f"{type(command).__name__}: the prospect is not known", "add the prospect first"
        )
    if isinstance(command, MakeAttempt):
        return (_attempt(prospect, command, policy, at),)
    if isinstance(command, SetAppointment):
        return _appoint(prospect, command, policy, at)
    if isinstance(command, CancelAppointment):
        return (_cancel(prospect),)
    if isinstance(command, EndFollowUp):
        return (_end(prospect, command, policy, at),)
    if isinstance(command, ReopenFollowUp):
        return (_reopen(prospect, command),)
    if isinstance(command, AttemptMade):
        return (complete_attempt(prospect, command, policy, at),)
    check_fact(command, prospect.country)
    return (command,)


def _checked(command: Command) -> Command:
    """``command`` with every value of its type: structs made in Python are not checked by then."""
    try:
        plain = msgspec.to_builtins(command, builtin_types=(datetime,))
        return in_utc(msgspec.convert(plain, type=type(command)))
    except msgspec.ValidationError as error:
        text = " ".join(str(error).replace("`", "'").split())
        raise InputError(
            f"{type(command).__name__}: {text}", "see the table of events in docs/events.md"
        ) from None


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
            raise InputError("timezone: the list is empty", "name at least one IANA zone")
        for name in names or ():
            zone(name)
        country = of_country if data.country is None else data.country
        if country is not None:
            check_country(country, data.subdivision)
        elif data.subdivision is not None:
            raise InputError(
                f"subdivision: {data.subdivision!r} without a country", "name the country too"
            )
    elif isinstance(data, PreferenceStated) and data.hours is not None:
        parse_hours(data.hours)


# Attempts -----------------------------------------------------------------------------------------


class _Place(msgspec.Struct, frozen=True):
    """The place an attempt takes, and the rules it breaks."""

    stage: AttemptStage
    step: str | None
    touch: str | None
    gap: Gap | None
    broke: tuple[str, ...]
    decision: Decision


def _attempt(prospect: Prospect, command: MakeAttempt, policy: Policy, at: datetime) -> AttemptMade:
    # Also one that is dated back is only asked for now: whatever we know by now counts.
    place = _place(prospect, policy, command.parts, at, known_at=_BY_NOW)
    if place.broke and command.off_policy is None:
        raise _refusal(prospect, place, at)
    value = None
    if place.stage in (AttemptStage.SPACED, AttemptStage.NURTURE):
        value = prospect.next_value()
    return AttemptMade(
        parts=_with_addresses(prospect, command.parts, place.decision.touch),
        stage=place.stage,
        step=place.step,
        touch=place.touch,
        gap=place.gap,
        value=None if value is None else value.id,
        policy=policy.ref,
        broke=tuple(map(str, place.broke)),
        why=command.off_policy if place.broke else None,
    )


def complete_attempt(
    prospect: Prospect,
    data: AttemptMade,
    policy: Policy,
    at: datetime,
    given: frozenset[str] | None = None,
) -> AttemptMade:
    """An attempt that was recorded elsewhere, with what is missing filled in.

    Args:
        prospect: the fold of the events before it.
        data: the attempt; ``parts`` alone is enough.
        policy: the policy to fill in under.
        at: when it was made.
        given: names of the fields to keep as they are; by default those that are set.
    """
    if given is None:
        given = frozenset(
            name for name in data.__struct_fields__ if getattr(data, name) not in (None, ())
        )
    if given >= {"stage", "step", "touch", "gap", "policy", "broke"}:
        return data
    place = _place(prospect, policy, data.parts, at, known_at=at)
    changed: dict[str, object] = {
        "parts": _with_addresses(prospect, data.parts, place.decision.touch)
    }
    if "stage" not in given:
        changed["stage"] = place.stage
    if place.stage == changed.get("stage", data.stage):
        if "step" not in given:
            changed["step"] = place.step
        if "touch" not in given:
            changed["touch"] = place.touch
    if "gap" not in given:
        changed["gap"] = place.gap
    if "policy" not in given:
        changed["policy"] = policy.ref
    if "broke" not in given:
        changed["broke"] = tuple(map(str, place.broke))
    return msgspec.structs.replace(data, **changed)


def unchecked_attempt(prospect: Prospect, data: AttemptMade) -> AttemptMade:
    """An attempt under a policy that is not at hand: kept, with nothing judged or measured."""
    return msgspec.structs.replace(
        data, stage=data.stage or AttemptStage.EXTRA, policy=data.policy or prospect.policy
    )


def _place(
    prospect: Prospect, policy: Policy, parts: tuple[Part, ...], at: datetime, *, known_at: datetime
) -> _Place:
    """The place of an attempt made at ``at``, judged by the decision of that moment.

    ``known_at`` is until when what had been recorded was known to whoever made it.
    """
    decision = next_touch(prospect, policy, at)
    if at < prospect.silence.since:
        # It belongs to a silence that is over; what was next then is not known any more. What
        # holds without that still holds.
        lasting = _lasting_breaches(prospect, parts, known_at)
        return _Place(AttemptStage.EXTRA, None, None, None, lasting, decision)
    touch = decision.touch
    broke = _breaches(prospect, policy, parts, at, decision, known_at)
    attempts = prospect.silence.attempts
    # What was next at its time is known only if nothing was tried since; and before an appointment
    # there is no place to take.
    placeless = (bool(attempts) and attempts[-1].at > at) or (
        prospect.appointment is not None and at < prospect.appointment.at
    )
    stage, step, touch_id = AttemptStage.EXTRA, None, None
    if (
        touch is not None
        and not placeless
        and (touch.stage in _REPLACEABLE or (decision.verdict is Verdict.DUE and not broke))
    ):
        stage, step, touch_id = AttemptStage(touch.stage.value), touch.step, touch.id
    elif (
        touch is None
        and not broke
        and not placeless
        and decision.verdict is Verdict.TASK
        and prospect.stage in (Stage.NEW, Stage.SCHEDULED, Stage.ENGAGED)
    ):
        # An owner's own attempt; unanswered, it is the first spaced one.
        stage, step = AttemptStage.SPACED, _next_spaced(prospect, policy)
    if (
        stage in (AttemptStage.SPACED, AttemptStage.EXTRA)
        and invariants.spaced_cap_reached(prospect)
        and any(part.channel is Channel.CALL for part in parts)
    ):
        broke = (*broke, Rule.SPACED_CAP)
        if touch is None:
            stage, step = AttemptStage.EXTRA, None
    return _Place(stage, step, touch_id, _gap(prospect, policy, at), broke, decision)


# What a contact changes: the plan, and what it waits for.
_OF_THE_PLAN: Final = frozenset(
    {Rule.PLAN, Rule.APPOINTMENT, Rule.CONCERN, Rule.POLITE_EXIT, Rule.SUSPENDED}
)


def _breaches(
    prospect: Prospect,
    policy: Policy,
    parts: tuple[Part, ...],
    at: datetime,
    decision: Decision,
    known_at: datetime,
) -> tuple[str, ...]:
    """The rules that an attempt at ``at`` breaks, each once, the charter's first."""
    found: list[str] = list(_lasting_breaches(prospect, parts, known_at))
    touch, verdict = decision.touch, decision.verdict
    planned = {part.channel for part in touch.parts} if touch is not None else set()
    others = [part for part in parts if part.channel not in planned]
    due = verdict is Verdict.DUE
    if due:
        assert touch is not None  # due is always a touch
        # What was lost since is not planned any more; when it was used it may have been.
        if touch.stage is not Stage.POLITE_EXIT and not all(
            _lost_since(prospect, part, known_at) for part in others
        ):
            found.append(Rule.PLAN)
    elif verdict is Verdict.STOP and prospect.stage is not Stage.OPTED_OUT:
        found.append(Rule.POLITE_EXIT if prospect.stage is Stage.CLOSED else Rule.PLAN)
    elif prospect.stage is Stage.POLITE_EXIT and prospect.exit_delivered() is not None:
        found.append(Rule.POLITE_EXIT)  # nothing comes after the last word
    elif verdict is Verdict.CLOSE:
        found.append(Rule.PLAN)
    elif verdict is Verdict.TASK and prospect.stage is Stage.ENGAGED:
        if prospect.reopened or prospect.response.intent is Intent.NO:
            found.append(Rule.PLAN)
    elif verdict is Verdict.TASK and prospect.appointment is not None:
        if at < prospect.appointment.at:
            found.append(Rule.APPOINTMENT)
    elif verdict is Verdict.WAIT:
        found += [
            reason.rule
            for reason in decision.reasons
            if reason.until is not None
            and reason.until > at
            and reason.rule in (Rule.PLAN, Rule.APPOINTMENT, Rule.CONCERN)
        ]
    if not due:
        found += _untimely(prospect, policy, at, decision)
    # What is due has passed the guards, but on its own channels.
    if not due or others:
        found += _guarded(prospect, policy, parts, at, decision)
    if verdict is Verdict.WAIT and not found:
        found.append(Rule.PLAN)  # a wait is never in order, whatever delay it is for
    if prospect.response.recorded_at > known_at:
        # They had spoken, and nobody knew: it carried out what was next before that.
        found = [rule for rule in found if rule not in _OF_THE_PLAN]
    return tuple(dict.fromkeys(found))


def _lasting_breaches(
    prospect: Prospect, parts: tuple[Part, ...], known_at: datetime
) -> tuple[Rule, ...]:
    """The rules that hold in every silence: an opt-out, and a contact point that failed.

    Each holds from its recording: what was tried before broke nothing that was known.
    """
    found: list[Rule] = []
    lost = _lost(prospect, known_at)
    left = prospect.stage is Stage.OPTED_OUT and prospect.stage_at <= known_at
    if left or any((part.channel, None) in lost for part in parts):
        found.append(Rule.OPT_OUT)
    if any(_uses_failed(prospect, part, lost) for part in parts):
        found.append(Rule.CONTACT_POINT)
    return tuple(found)


_Points = Set[tuple[Channel, str | None]]


def _lost(prospect: Prospect, known_at: datetime) -> _Points:
    """The contact points, and with ``None`` the whole channels, known to be lost at an instant."""
    return {(one.channel, one.address) for one in prospect.lost if one.at <= known_at}


def _lost_since(prospect: Prospect, part: Part, known_at: datetime) -> bool:
    """Whether what ``part`` uses has been lost, but was not known to be."""
    then, now = (
        (part.channel, None) in lost or _uses_failed(prospect, part, lost)
        for lost in (_lost(prospect, known_at), _lost(prospect, _BY_NOW))
    )
    return now and not then


def _untimely(prospect: Prospect, policy: Policy, at: datetime, decision: Decision) -> list[Rule]:
    """The rules of time and distance that an attempt at ``at`` breaks."""
    try:
        time = calendar_for(prospect, policy)
    except InputError:
        return []  # nobody knows what time it is there; the decision is a task that says so
    found: list[Rule] = []
    suspended = time.suspended(prospect.silence.suspensions)
    attempts = prospect.silence.attempts
    if attempts and attempts[-1].at <= at:
        largest = invariants.largest_gap(prospect, time, suspended)
        if time.gap(attempts[-1].at, at, suspended) < largest:
            found.append(Rule.GAP)
    if suspended is not None and any(
        start <= at < end for one in suspended for start, end in one.spans
    ):
        found.append(Rule.SUSPENDED)
    if time.next_waking(at) != at:
        found.append(Rule.QUIET_HOURS)
    touch = decision.touch
    if touch is not None and touch.stage not in (Stage.ON_TIME, Stage.TEN_MINUTES):
        hours = any(r.rule == Rule.BUSINESS_HOURS for r in decision.reasons)
        if hours and time.next_open(at, preferred_hours(prospect)) != at:
            found.append(Rule.BUSINESS_HOURS)
    return found


def _guarded(
    prospect: Prospect,
    policy: Policy,
    parts: tuple[Part, ...],
    at: datetime,
    decision: Decision,
) -> list[str]:
    """The guards that would not have let an attempt at ``at`` pass."""
    if not policy.guards:
        return []
    touch = _imagined(prospect, parts)
    if decision.touch is not None:
        # In its place, on the channels that were used, which may not be those proposed.
        touch = msgspec.structs.replace(decision.touch, parts=touch.parts)
    return [name for name, _ in _objections(prospect, policy, touch, at)]


def _imagined(prospect: Prospect, parts: tuple[Part, ...]) -> Touch:
    """An attempt that no touch was next for, in the form that guards are asked about."""
    asked = tuple(TouchPart(part.channel, part.address or "", "") for part in parts)
    return Touch(f"{prospect.id}:own", prospect.stage, "own", asked)


def _objections(
    prospect: Prospect, policy: Policy, touch: Touch, at: datetime
) -> list[tuple[str, GuardDelay | Veto]]:
    """The guards that object to ``touch`` at ``at``, by name, with their answers.

    One that gives no answer that counts objects too, as rule ``guard``.
    """
    found: list[tuple[str, GuardDelay | Veto]] = []
    for guard in policy.guards:
        if not guard.concerns(touch):
            continue
        try:
            answer = guard.ask(prospect, touch, at, calendar_for(prospect, policy))
        except InputError:
            return found  # nobody knows what time it is there; the decision is a task
        except GuardFailed as error:
            found.append((Rule.GUARD, Veto(f"guard {guard.name} failed: {error}")))
            continue
        if isinstance(answer, Veto) or (answer is not None and answer.until > at):
            found.append((guard.name, answer))
    return found


def _uses_failed(prospect: Prospect, part: Part, lost: _Points) -> bool:
    if part.address is not None:
        return (part.channel, part.address) in lost
    known = [point.address for point in prospect.contact_points if point.channel is part.channel]
    return bool(known) and all((part.channel, address) in lost for address in known)


def _gap(prospect: Prospect, policy: Policy, at: datetime) -> Gap | None:
    """The gap to the attempt before ``at``; ``None`` for the first of the silence."""
    before = [attempt for attempt in prospect.silence.attempts if attempt.at <= at]
    if not before:
        return None
    try:
        time: WorkCalendar = calendar_for(prospect, policy)
    except InputError:
        return None
    return time.gap(before[-1].at, at, time.suspended(prospect.silence.suspensions))


def _next_spaced(prospect: Prospect, policy: Policy) -> str:
    made = reached(prospect, policy).get(Stage.SPACED, 0)
    for planned_touch in policy.planned_touches:
        if planned_touch.step.stage is AttemptStage.SPACED and planned_touch.position >= made:
            return planned_touch.name
    return f"spaced#{made + 1}"


def _with_addresses(
    prospect: Prospect, parts: tuple[Part, ...], touch: Touch | None
) -> tuple[Part, ...]:
    """``parts`` with the address that was used: the touch's, or the first that is left."""
    if all(part.address is not None for part in parts):
        return parts
    planned = {} if touch is None else {part.channel: part.address for part in touch.parts}
    return tuple(
        part
        if part.address is not None
        else msgspec.structs.replace(
            part,
            address=planned.get(part.channel)
            or next(
                (
                    point.address
                    for point in prospect.contact_points
                    if point.channel is part.channel
                    and (point.channel, point.address) not in prospect.failed
                ),
                None,
            ),
        )
        for part in parts
    )


def _refusal(prospect: Prospect, place: _Place, at: datetime) -> Refused:
    rule = place.broke[0]
    decision = place.decision
    # The reason that delays it, in its own words; a reason of the same rule may be about another.
    because = next(
        (r.because for r in decision.reasons if r.rule == rule and r.until and r.until > at),
        _SAYS.get(rule, f"guard {rule} does not let it pass"),
    )
    if rule is Rule.PLAN and decision.verdict is Verdict.DUE and decision.touch is not None:
        channels = " and ".join(part.channel for part in decision.touch.parts)
        because = f"the policy proposes {decision.touch.step} by {channels} now"
    until = decision.at if decision.verdict is Verdict.WAIT and decision.touch else None
    if rule in (Rule.OPT_OUT, Rule.CONTACT_POINT, Rule.POLITE_EXIT):
        until = None
    others = f" (also {', '.join(place.broke[1:])})" if len(place.broke) > 1 else ""
    when = f"wait until {until:%Y-%m-%dT%H:%M:%SZ}, or if" if until is not None else "if"
    return Refused(
        f"{prospect.id}: attempt refused by {rule}{others}: {because}",
        f"{when} it was made already, record it with --off-policy WHY",
        rule=rule,
        until=until,
    )


_SAYS: Final[dict[str, str]] = {
    Rule.OPT_OUT: "they want no more of this channel",
    Rule.CONTACT_POINT: "the contact point failed and must not be used again",
    Rule.PLAN: "the policy proposes something else now",
    Rule.POLITE_EXIT: "nothing comes after the polite exit",
    Rule.SPACED_CAP: f"{invariants.SPACED_CAP} spaced calls were made in this silence",
    Rule.GAP: "it would come sooner than the gap before",
    Rule.SUSPENDED: "they are away or asked for a pause",
    Rule.QUIET_HOURS: "quiet hours, 21:00 to 08:00 local",
    Rule.BUSINESS_HOURS: "outside business hours",
    Rule.APPOINTMENT: "an appointment stands",
    Rule.CONCERN: "the concern message is not in order yet",
    Rule.GUARD: "a guard gave no answer, so nothing passes",
}


# Appointments and ends ----------------------------------------------------------------------------


def _appoint(
    prospect: Prospect, command: SetAppointment, policy: Policy, at: datetime
) -> tuple[Data, ...]:
    stage = prospect.stage
    if stage is Stage.OPTED_OUT:
        raise Refused(
            f"{prospect.id}: appointment refused by opt_out: they want no more of us",
            "only they can take that back; record it with: cadence opt-in",
            rule=Rule.OPT_OUT,
        )
    if stage in (Stage.WON, Stage.LOST):
        raise Refused(
            f"{prospect.id}: appointment refused by plan: the file is {stage}",
            "reopen it first with: cadence reopen",
            rule=Rule.PLAN,
        )
    if command.at <= at:
        raise Refused(
            f"{prospect.id}: appointment refused by appointment: {command.at:%Y-%m-%dT%H:%M:%SZ} "
            f"is not after {at:%Y-%m-%dT%H:%M:%SZ}",
            "choose a time that lies ahead",
            rule=Rule.APPOINTMENT,
        )
    waking = calendar_for(prospect, policy).next_waking(command.at)
    if waking != command.at:
        raise Refused(
            f"{prospect.id}: appointment refused by quiet_hours: {command.at:%Y-%m-%dT%H:%M:%SZ} "
            f"lies between 21:00 and 08:00 ({_clocks(prospect, command.at)})",
            "find out which zone they are in; no hour is waking in all of these"
            if waking is None
            else f"choose {waking:%Y-%m-%dT%H:%M:%SZ} or later",
            rule=Rule.QUIET_HOURS,
            until=waking,
        )
    _check_guards(prospect, command, policy)
    if command.agreed_by is not None:
        return ReplyReceived(command.agreed_by, Intent.YES), AppointmentSet(command.at)
    if (
        stage not in (Stage.NEW, Stage.ENGAGED, Stage.SCHEDULED)
        or prospect.silence.attempts
        or prospect.reopened
    ):
        raise Refused(
            f"{prospect.id}: appointment refused by plan: nobody agreed to it since the silence "
            f"began (stage {stage}, {len(prospect.silence.attempts)} attempts)",
            "if they agreed just now, say on which channel with --agreed-by",
            rule=Rule.PLAN,
        )
    return (AppointmentSet(command.at),)


def _check_guards(prospect: Prospect, command: SetAppointment, policy: Policy) -> None:
    """Refuse an appointment for a time at which a guard forbids the on-time touch."""
    if not policy.guards:
        return
    points = [
        planned_touch
        for planned_touch in policy.planned_touches
        if planned_touch.step.at is not None
    ]
    left = invariants.contact_points_left(prospect)
    parts = tuple(
        TouchPart(channel, address, part.script)
        for point in points[:1]
        for part in point.parts
        for channel, address in left
        if channel in part.channels
    )
    touch = Touch(f"{prospect.id}:appointment", Stage.ON_TIME, "on_time", parts)
    for name, answer in _objections(prospect, policy, touch, command.at):
        until = answer.until if isinstance(answer, GuardDelay) else None
        raise Refused(
            f"{prospect.id}: appointment refused by {name}: {answer.because} "
            f"({command.at:%Y-%m-%dT%H:%M:%SZ})",
            "choose another time"
            if until is None
            else f"choose {until:%Y-%m-%dT%H:%M:%SZ} or later",
            rule=name,
            until=until,
        )


def _clocks(prospect: Prospect, at: datetime) -> str:
    return ", ".join(f"{at.astimezone(zone(name)):%H:%M} {name}" for name in prospect.zones)


def _cancel(prospect: Prospect) -> AppointmentCancelled:
    if prospect.appointment is None:
        raise Refused(
            f"{prospect.id}: no appointment stands (stage {prospect.stage})",
            "nothing needs to be done",
            rule=Rule.APPOINTMENT,
        )
    return AppointmentCancelled()


def _end(prospect: Prospect, command: EndFollowUp, policy: Policy, at: datetime) -> FollowUpEnded:
    reason = command.reason
    if reason is EndReason.NO_RESPONSE:
        decision = next_touch(prospect, policy, at)
        if decision.end is not EndReason.NO_RESPONSE:
            waiting = prospect.stage is Stage.POLITE_EXIT and decision.touch is None
            until = decision.at if waiting and decision.verdict is Verdict.WAIT else None
            raise Refused(
                f"{prospect.id}: closing refused by polite_exit: no polite exit was delivered and "
                f"left unanswered for its time (stage {prospect.stage})",
                f"wait until {until:%Y-%m-%dT%H:%M:%SZ}"
                if until is not None
                else "make the touches that are due, or end it with another reason",
                rule=Rule.POLITE_EXIT,
                until=until,
            )
    if reason is EndReason.UNREACHABLE:
        tried = {(p.channel, p.address or "") for one in prospect.exits() for p in one.parts}
        left = [one for one in invariants.contact_points_left(prospect) if one not in tried]
        if left:
            raise Refused(
                f"{prospect.id}: closing refused by contact_point: {left[0][0]} {left[0][1]} "
                "is left",
                "record it as failed if it is, with: cadence failed",
                rule=Rule.CONTACT_POINT,
            )
    return FollowUpEnded(reason)


def _reopen(prospect: Prospect, command: ReopenFollowUp) -> FollowUpReopened:
    if prospect.stage is Stage.OPTED_OUT:
        raise Refused(
            f"{prospect.id}: reopening refused by opt_out: they want no more of us",
            "only they can take that back; record it with: cadence opt-in",
            rule=Rule.OPT_OUT,
        )
    if prospect.stage not in ENDED:
        raise Refused(
            f"{prospect.id}: can't be reopened: it has not ended (stage {prospect.stage})",
            "nothing needs to be done",
            rule=Rule.PLAN,
        )
    return FollowUpReopened(command.why)
