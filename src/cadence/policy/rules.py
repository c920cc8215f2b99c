"""Define the rule ids that decisions, refusals, the audit and the prover share."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["RESERVED", "Rule"]


class Rule(StrEnum):
    """The id of a rule. A reason may also name a guard by its own id."""

    # The invariants: never broken, whatever a policy says.
    OPT_OUT = "opt_out"
    SPACED_CAP = "spaced_cap"
    GAP = "gap"
    POLITE_EXIT = "polite_exit"
    BOUNDED = "bounded"
    FORGOTTEN = "forgotten"
    CONCERN = "concern"
    CONTACT_POINT = "contact_point"
    GUARD = "guard"
    DETERMINISTIC = "deterministic"
    ORDER = "order"
    FREQUENCY = "frequency"
    CLAIMED = "claimed"
    SUPPRESSED = "suppressed"
    # How the plan and the calendar arrive at a time.
    APPOINTMENT = "appointment"
    PLAN = "plan"
    HORIZON = "horizon"
    BUSINESS_HOURS = "business_hours"
    QUIET_HOURS = "quiet_hours"
    SUSPENDED = "suspended"
    LAPSED = "lapsed"
    # What the audit finds in the store rather than in a history.
    DUE_LIST = "due_list"
    ADDRESS_INDEX = "address_index"


RESERVED: Final = frozenset(Rule)
"""What no guard may be called."""
