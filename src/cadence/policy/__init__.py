"""What comes next? The policy as data, business time, the charter, next_touch, decide.

Pure, like the core: ``now`` is an argument, and nothing here knows a store.
"""

from cadence.policy.business_time import BusinessTime, business_time
from cadence.policy.case import time_for
from cadence.policy.catalogue import Policies
from cadence.policy.charter import Rule
from cadence.policy.decide import (
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
from cadence.policy.decision import Decision, Delay, Reason, Touch, TouchPart, Verdict, Veto
from cadence.policy.load import DEFAULT_POLICY, builtin, builtin_names, load, loads
from cadence.policy.load import read as read_unproved
from cadence.policy.load import read_text as read_unproved_text
from cadence.policy.loop import advance
from cadence.policy.model import Policy
from cadence.policy.next_touch import next_touch
from cadence.policy.prove import Proof, prove

__all__ = [
    "DEFAULT_POLICY",
    "BusinessTime",
    "CancelAppointment",
    "Command",
    "Decision",
    "Delay",
    "EndFollowUp",
    "MakeAttempt",
    "Policies",
    "Policy",
    "Proof",
    "Reason",
    "ReopenFollowUp",
    "Rule",
    "SetAppointment",
    "Touch",
    "TouchPart",
    "Verdict",
    "Veto",
    "advance",
    "builtin",
    "builtin_names",
    "business_time",
    "check_fact",
    "complete_attempt",
    "decide",
    "load",
    "loads",
    "next_touch",
    "prove",
    "read_unproved",
    "read_unproved_text",
    "time_for",
]
