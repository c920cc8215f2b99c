"""What comes next: the invariants, next_touch, commands and the loop."""

from cadence.engine.claims import Claim
from cadence.engine.commands import (
    CancelAppointment,
    Command,
    EndFollowUp,
    MakeAttempt,
    NoteValue,
    ReopenFollowUp,
    SetAppointment,
    Undo,
    check_fact,
    complete_attempt,
    decide,
)
from cadence.engine.context import calendar_for
from cadence.engine.decision import Close, Decision, Due, Stop, Task, TaskKind, Verdict, Wait
from cadence.engine.loop import advance
from cadence.engine.next_touch import decide_silently, next_touch
from cadence.engine.precheck import BrokenRule, Precheck
from cadence.engine.reasons import Reason, ReasonKind

__all__ = [
    "BrokenRule",
    "CancelAppointment",
    "Claim",
    "Close",
    "Command",
    "Decision",
    "Due",
    "EndFollowUp",
    "MakeAttempt",
    "NoteValue",
    "Precheck",
    "Reason",
    "ReasonKind",
    "ReopenFollowUp",
    "SetAppointment",
    "Stop",
    "Task",
    "TaskKind",
    "Undo",
    "Verdict",
    "Wait",
    "advance",
    "calendar_for",
    "check_fact",
    "complete_attempt",
    "decide",
    "decide_silently",
    "next_touch",
]
