"""What an audit reports: a finding, its rule, and whether the history declares it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["Finding", "Noticed"]


class Noticed(StrEnum):
    """What the history itself says about a violation."""

    DECLARED = "off policy, said so"
    """The attempt names the rule among those it broke, and says why it was made."""
    RECORDED = "recorded as a breach, no reason given"
    """The attempt names the rule among those it broke."""
    UNDECLARED = "off policy, unnoticed"
    """Nothing in the history says so."""
    HINDSIGHT = "before we knew of it"
    """In order as known then; what makes it wrong was learnt of afterwards. No violation."""
    TO_REVIEW = "to be reviewed"
    """In order, and worth a look: it took back what protects them. No violation."""
    BREACH_TAKEN_BACK = "a breach that was taken back"
    """Worth a look: it took back an attempt that broke a rule, so the violation is gone."""


class Finding(msgspec.Struct, frozen=True):
    """One event that violates one rule.

    Attributes:
        prospect: the prospect's id.
        version: the event.
        rule: the rule's id.
        because: one sentence.
        noticed: what the history itself says about it; not among the keys of the JSON.
        cause: version of the event that only later showed it, or 0; not in the JSON either.
        also: the rules that the attempt says it broke too, where the audit has no finding of them:
            one wrong act is one finding; not in the JSON either.
    """

    prospect: str
    version: int
    rule: str
    because: str
    noticed: Noticed
    cause: int = 0
    also: tuple[str, ...] = ()
