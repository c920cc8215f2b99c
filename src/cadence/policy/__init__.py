"""The policy language: the model, reading and writing policy files, guards, the catalogue."""

from cadence.policy.loader import (
    DEFAULT_POLICY,
    builtin,
    builtin_names,
    parse,
    parse_text,
)
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry
from cadence.policy.rules import Rule
from cadence.policy.touch import (
    GuardDelay,
    Touch,
    TouchPart,
    Veto,
)

__all__ = [
    "DEFAULT_POLICY",
    "GuardDelay",
    "Policy",
    "PolicyRegistry",
    "Rule",
    "Touch",
    "TouchPart",
    "Veto",
    "builtin",
    "builtin_names",
    "parse",
    "parse_text",
]
