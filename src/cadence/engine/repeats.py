"""Tell whether a command led to events that were recorded before.

A command that comes with an id a second time has no second effect. It must be the same command: one
id for "no more calls" and for "no more messages at all" would drop the second.
"""

from __future__ import annotations

from collections.abc import Sequence

from cadence.domain.codec import in_utc
from cadence.domain.events import (
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    Data,
    EventCorrected,
    EventRetracted,
    FollowUpEnded,
    FollowUpReopened,
    ReplyReceived,
    ValueNoted,
)
from cadence.domain.repeats import is_repeated
from cadence.engine.commands import (
    CancelAppointment,
    Command,
    EndFollowUp,
    MakeAttempt,
    NoteValue,
    ReopenFollowUp,
    SetAppointment,
    Undo,
)

__all__ = ["led_to"]


def led_to(command: Command, recorded: Sequence[Data]) -> bool:
    """Return whether ``recorded``, the data of the events of one command, is this command's."""
    command = in_utc(command)
    if isinstance(command, SetAppointment):
        agreed = [one.channel for one in recorded if isinstance(one, ReplyReceived)]
        if agreed != ([] if command.agreed_by is None else [command.agreed_by]):
            return False
    if isinstance(command, NoteValue):
        noted = [one.text for one in recorded if isinstance(one, ValueNoted)]
        if noted != [command.text, *command.more]:
            return False
    return any(_is_from(command, one) for one in recorded)


def _is_from(command: Command, data: Data) -> bool:
    match command, data:
        case MakeAttempt(), AttemptMade():
            given = AttemptMade(command.parts, note=command.note)
            return is_repeated(given, data, frozenset({"parts", "note"}))
        case SetAppointment(), AppointmentSet():
            return command.at == data.at
        case CancelAppointment(), AppointmentCancelled():
            return True
        case EndFollowUp(), FollowUpEnded():
            return command.reason == data.reason
        case ReopenFollowUp(), FollowUpReopened():
            return command.why == data.why
        case NoteValue(), ValueNoted():
            return data.kind is command.kind  # their texts are compared as a whole
        case Undo(), EventRetracted():
            return command.version in (None, data.version) and command.why == data.why
        case EventCorrected(), EventCorrected():
            return command.version == data.version and is_repeated(command.data, data.data)
    return is_repeated(command, data)  # type: ignore[arg-type]  # a fact is its own data
