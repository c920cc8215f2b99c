"""What an audit says: a finding, its rule, and whether anybody had noticed."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

__all__ = [
    "APPOINTMENT",
    "BOUNDED",
    "BUSINESS_HOURS",
    "CONCERN",
    "CONTACT_POINT",
    "GAP",
    "HORIZON",
    "LAPSED",
    "OPT_OUT",
    "ORDER",
    "PLAN",
    "POLITE_EXIT",
    "QUIET_HOURS",
    "SPACED_CAP",
    "SUSPENDED",
    "Finding",
    "Noticed",
]

# The rule ids as plain words: the engine's own list belongs to the code that is being audited. A
# test holds the two together.
OPT_OUT: Final = "opt_out"
SPACED_CAP: Final = "spaced_cap"
GAP: Final = "gap"
POLITE_EXIT: Final = "polite_exit"
BOUNDED: Final = "bounded"
CONCERN: Final = "concern"
CONTACT_POINT: Final = "contact_point"
ORDER: Final = "order"
APPOINTMENT: Final = "appointment"
PLAN: Final = "plan"
HORIZON: Final = "horizon"
BUSINESS_HOURS: Final = "business_hours"
QUIET_HOURS: Final = "quiet_hours"
SUSPENDED: Final = "suspended"
LAPSED: Final = "lapsed"


class Noticed(StrEnum):
    """What the history itself says about a breach."""

    SAID_SO = "off policy, said so"
    """The attempt names the rule among those it broke, and says why it was made."""
    RECORDED = "recorded as a breach, no reason given"
    """The attempt names the rule among those it broke."""
    UNNOTICED = "off policy, unnoticed"
    """Nothing in the history says so."""
    HINDSIGHT = "before we knew of it"
    """In order as known then; what makes it wrong was learnt of afterwards. No breach."""


class Finding(msgspec.Struct, frozen=True):
    """One event that broke one rule.

    Attributes:
        prospect: the prospect's id.
        version: the event.
        rule: the rule's id.
        because: one sentence.
        noticed: what the history itself says about it; not among the keys of the JSON.
    """

    prospect: str
    version: int
    rule: str
    because: str
    noticed: Noticed
