"""What comes next: the invariants, next_touch, commands and the loop."""

from cadence.engine.commands import (
    CancelAppointment,
    Command,
    EndFollowUp,
    MakeAttempt,
    ReopenFollowUp,
    SetAppointment,
    check_fact,
    complete_attempt,
    decide,
)
from cadence.engine.context import calendar_for
from cadence.engine.decision import Decision, Reason, Verdict
from cadence.engine.loop import advance
from cadence.engine.next_touch import next_touch

__all__ = [
    "CancelAppointment",
    "Command",
    "Decision",
    "EndFollowUp",
    "MakeAttempt",
    "Reason",
    "ReopenFollowUp",
    "SetAppointment",
    "Verdict",
    "advance",
    "calendar_for",
    "check_fact",
    "complete_attempt",
    "decide",
    "next_touch",
]
