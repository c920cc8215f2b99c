"""Take back what did not happen, or happened otherwise: check it, and say what is recorded.

Nothing is deleted: a retraction and a correction are events themselves (design, section 4b). What
lifts an opt-out, a refusal or an end, or takes back what another user recorded, says why, because
the audit lists it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from cadence.domain.events import (
    AddressesRead,
    AttemptMade,
    Data,
    EndReason,
    Event,
    EventCorrected,
    EventRetracted,
    FollowUpEnded,
    Part,
    PolicyAdopted,
    ProspectAdded,
    ProspectsMerged,
    Unreadable,
    ends_outreach,
    type_name,
)
from cadence.domain.fold import fold
from cadence.domain.others import Others
from cadence.domain.plurals import plural
from cadence.domain.standing import TAKING_BACK, is_retraction, standing, taken_back_by
from cadence.engine.commands import (
    Undo,
    check_fact,
    checked,
    complete_attempt,
    unchecked_attempt,
)
from cadence.errors import InputError, Refused
from cadence.policy.registry import PolicyRegistry
from cadence.policy.rules import Rule

__all__ = [
    "TakeBack",
    "check_taking_back",
    "correct",
    "last_command",
    "retract",
    "take_back",
    "undone_last",
]


TakeBack = Undo | EventRetracted | EventCorrected
"""A command that takes an event back."""

_INSTEAD: Final[dict[type[Data], str]] = {
    ProspectAdded: "update what is wrong of it, or end the follow-up as mistaken",
    PolicyAdopted: "adopt the policy that it had before",
    AddressesRead: "remove or restore the contact point that is wrong",
    Unreadable: "use a version of cadence that can read it",
}


def check_taking_back(history: Sequence[Event], data: EventRetracted | EventCorrected) -> Event:
    """Return the event that ``data`` takes back.

    Args:
        history: what was recorded before it, in order of version.
        data: the retraction or correction.

    Raises:
        InputError: there is no such event, or a correction has data of another type.
        Refused: the event can't be taken back, or is retracted already.
    """
    prospect = history[-1].prospect
    found = next((event for event in history if event.version == data.version), None)
    if found is None:
        raise InputError(
            f"version: unknown {data.version}; "
            f"{prospect} has {plural(history[-1].version, 'event')}",
            "give the version of an event of its history",
        )
    what, kind = f"{prospect}: version {data.version}", type_name(found.data)
    instead = _INSTEAD.get(type(found.data))
    if instead is not None:
        raise Refused(f"{what} ({kind}) can't be taken back", instead, rule=Rule.PLAN)
    by = taken_back_by(history).get(found.version)
    if by is not None and isinstance(by.data, EventRetracted):
        raise Refused(
            f"{what} ({kind}) is retracted already (version {by.version})",
            f"to count it again, take version {by.version} back",
            rule=Rule.PLAN,
        )
    if not isinstance(data, EventCorrected):
        return found
    if isinstance(found.data, TAKING_BACK):
        raise Refused(
            f"{what} ({kind}) can't be corrected",
            f"correct version {found.data.version} again, or take version {found.version} back",
            rule=Rule.PLAN,
        )
    if type(data.data) is not type(found.data):
        raise InputError(
            f"data: invalid {type_name(data.data)}; version {data.version} of {prospect} is {kind}",
            "give data of the same type, or take the event back and record the other",
        )
    return found


def last_command(history: Sequence[Event]) -> tuple[Event, ...]:
    """Return the events of the last command that stands and does not itself undo; maybe none."""
    taken_back = taken_back_by(history)
    for event in reversed(history):
        is_retracted = is_retraction(taken_back.get(event.version))
        if not is_retracted and not isinstance(event.data, EventRetracted | AddressesRead):
            return _command_of(history, event)
    return ()


def undone_last(history: Sequence[Event]) -> bool:
    """Return whether the last command was an undo: another one has to name what it takes back."""
    return bool(history) and isinstance(history[-1].data, EventRetracted)


def _command_of(history: Sequence[Event], event: Event) -> tuple[Event, ...]:
    """Return the events of the command that an event came from; they follow each other."""
    if event.command_id is None:
        return (event,)
    return tuple(
        [
            one
            for one in history
            if one.command_id == event.command_id
            and one.merged_from == event.merged_from
            and not isinstance(one.data, AddressesRead)
        ]
    )


def take_back(
    history: Sequence[Event],
    command: TakeBack,
    policies: PolicyRegistry,
    by: str | None,
    others: Others | None = None,
) -> tuple[EventRetracted | EventCorrected, ...]:
    """Return what a command that takes an event back leads to; see :func:`retract`.

    Args:
        history: of the prospect, in order of version; not empty.
        command: what to take back.
        policies: where the policy is found that a corrected attempt is judged by.
        by: who takes it back.
        others: what the other holders of its addresses had said when; ``None``: there are none.

    Raises:
        InputError: there is no such event, or a correction has data of another type.
        Refused: it can't be taken back, or needs a reason that is not given.
    """
    command = checked(command)
    if isinstance(command, EventCorrected):
        check_fact(command)
        return (correct(history, command, policies, others),)
    return retract(history, command, by)


def retract(
    history: Sequence[Event], command: Undo | EventRetracted, by: str | None
) -> tuple[EventRetracted, ...]:
    """Return the retractions that a command leads to.

    Args:
        history: of the prospect, in order of version; not empty.
        command: what to take back.
        by: who takes it back.

    Raises:
        InputError: there is no such event.
        Refused: it can't be taken back, or needs a reason that is not given.
    """
    if isinstance(command, EventRetracted):
        return (_retraction(history, command.version, command.why, by),)
    if command.version is not None:
        named = next((one for one in history if one.version == command.version), None)
        events = () if named is None else _command_of(history, named)
        if not events:
            return (_retraction(history, command.version, command.why, by),)
    else:
        events = last_command(history)
        _check_is_last(history, events)
    return tuple(_retraction(history, one.version, command.why, by) for one in events)


def _check_is_last(history: Sequence[Event], events: Sequence[Event]) -> None:
    """Refuse to take back a second command without being told which."""
    prospect, last = history[-1].prospect, history[-1]
    if not events:
        raise Refused(f"{prospect}: no command is left to take back", "leave it", rule=Rule.PLAN)
    if not undone_last(history):
        return
    before = events[-1]
    raise Refused(
        f"{prospect}: the last command is an undo already (version {last.version}); before it "
        f"stands version {before.version}, {type_name(before.data)} of "
        f"{before.occurred_at:%Y-%m-%dT%H:%M:%SZ}",
        f"to take that back too, give version {before.version}",
        rule=Rule.PLAN,
    )


def _retraction(
    history: Sequence[Event], version: int, why: str | None, by: str | None
) -> EventRetracted:
    retraction = EventRetracted(version, why)
    event = check_taking_back(history, retraction)
    _check_is_no_merge(history, event)
    _check_why(event, why, by)
    return retraction


def _check_is_no_merge(history: Sequence[Event], event: Event) -> None:
    """Refuse to take back one half of a merge, of what took one back, or of what changed one."""
    target = event
    while isinstance(target.data, TAKING_BACK):
        taken_back = target.data.version
        target = next(one for one in history if one.version == taken_back)
    data = target.data
    if isinstance(data, ProspectsMerged):
        other, into = data.prospect, target.prospect
    elif isinstance(data, FollowUpEnded) and data.reason is EndReason.MERGED:
        other, into = target.prospect, data.into or "INTO"
    else:
        return
    what, how = "a merge", f"take the merge back: cadence unmerge {other} --why WHY"
    if isinstance(event.data, EventCorrected):
        what, how = f"what was taken back in {other}", f"take that back in {other}"
    elif target is not event:
        what, how = "what took a merge back", f"merge again: cadence merge {other} {into} --why WHY"
    raise Refused(
        f"{event.prospect}: version {event.version} ({type_name(event.data)}) can't be taken back "
        f"alone; it is half of {what}",
        how,
        rule=Rule.PLAN,
    )


def _check_why(event: Event, why: str | None, by: str | None) -> None:
    if why is not None and why.strip():
        return
    if event.by != by:
        reason = f"it was recorded by {event.by}" if event.by else "it does not say who recorded it"
    elif ends_outreach(event.data):
        reason = "it keeps us from contacting them"
    else:
        return
    raise Refused(
        f"{event.prospect}: version {event.version} ({type_name(event.data)}) is taken back only "
        f"with a reason: {reason}",
        "say why",
        rule=Rule.PLAN,
    )


def correct(
    history: Sequence[Event],
    command: EventCorrected,
    policies: PolicyRegistry,
    others: Others | None = None,
) -> EventCorrected:
    """Return a correction, complete with what an attempt lacks.

    The place, gap, value and broken rules of an attempt are kept, unless its time or its channels
    change. Then they are judged again, by what was recorded before it.

    Args:
        history: of the prospect, in order of version; not empty.
        command: what happened; of an attempt its ``parts`` alone is enough.
        policies: where the policy is found that the attempt is judged by.
        others: what the other holders of its addresses had said when; ``None``: there are none.

    Raises:
        InputError: there is no such event, or the data is of another type.
        Refused: it can't be corrected, nothing changes, or a reason is missing.
    """
    event = check_taking_back(history, command)
    _check_is_no_merge(history, event)
    if ends_outreach(event.data):
        _check_why(event, command.why, event.by)
    current = next(one for one, _ in standing(history) if one.version == event.version)
    occurred = command.occurred_at or current.occurred_at
    data = command.data
    if isinstance(data, AttemptMade) and isinstance(current.data, AttemptMade):
        is_elsewhere = occurred != current.occurred_at or _channels(data) != _channels(current.data)
        if not is_elsewhere:
            data = _with_outcome(current.data, data)
        else:
            given = _given(current.data, data)
            data = _judged_anew(history, event, given, occurred, policies, others)
    if data == current.data and occurred == current.occurred_at:
        raise Refused(
            f"{event.prospect}: version {event.version} ({type_name(event.data)}) says that "
            "already; nothing is corrected",
            "give what is to be different",
            rule=Rule.PLAN,
        )
    moved = None if occurred == event.occurred_at else occurred
    return EventCorrected(command.version, data, moved, command.why)


def _channels(data: AttemptMade) -> list[str]:
    return [part.channel for part in data.parts]


def _with_outcome(current: AttemptMade, new: AttemptMade) -> AttemptMade:
    """``current`` with other parts and notes."""
    parts = tuple(_with_means(was, now) for was, now in zip(current.parts, new.parts, strict=True))
    changed = {"why": new.why, "note": new.note}
    given = {name: text for name, text in changed.items() if text is not None}
    return msgspec.structs.replace(current, parts=parts, **given)


def _with_means(was: Part, now: Part) -> Part:
    """``now``, by what the part used where it does not say so."""
    if now.address is None:
        now = msgspec.structs.replace(now, address=was.address, key=was.key)
    return now if now.spoken is not None else msgspec.structs.replace(now, spoken=was.spoken)


def _given(current: AttemptMade, new: AttemptMade) -> AttemptMade:
    """``new`` without what was filled in of ``current``, which belongs to its old time or means."""
    kept = {"parts", "why", "note", "value"}
    same = {name for name in new.__struct_fields__ if getattr(new, name) == getattr(current, name)}
    defaults = AttemptMade(new.parts)
    return msgspec.structs.replace(new, **{name: getattr(defaults, name) for name in same - kept})


def _judged_anew(
    history: Sequence[Event],
    event: Event,
    data: AttemptMade,
    at: datetime,
    policies: PolicyRegistry,
    others: Others | None,
) -> AttemptMade:
    """``data`` with its place in what was recorded before the attempt that it corrects."""
    prospect = fold(None, [one for one, _ in standing(history) if one.version < event.version])
    if prospect is None:  # the history begins with the attempt
        return data
    policy = policies.of(prospect)
    if policy is None or prospect.unreadable is not None:
        return unchecked_attempt(prospect, data)
    if others is not None:
        prospect = others.tell(prospect, at)
    return complete_attempt(prospect, data, policy, at, event.recorded_at)
