"""Test what a team adds: Hypothesis strategies, and contracts for a policy, a guard or a store.

Needs the extra ``cadence[testing]``. Nothing else in cadence imports this package.
"""

from cadence.testing.contract import GuardContract, PolicyContract
from cadence.testing.invariants_check import Breach, breaches
from cadence.testing.store_contract import StoreContract
from cadence.testing.strategies import (
    History,
    Moment,
    histories,
    policies,
    policy_texts,
    prospects,
)

__all__ = [
    "Breach",
    "GuardContract",
    "History",
    "Moment",
    "PolicyContract",
    "StoreContract",
    "breaches",
    "histories",
    "policies",
    "policy_texts",
    "prospects",
]
