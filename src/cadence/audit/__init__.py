"""Hold every history against the invariants and the policy that it ran under.

The invariants are judged from the events alone, by code of the audit's own (``state.py``,
``invariants.py``). It imports neither what folds events nor what decides: a mistake there can't
hide itself here. Whether an attempt was the plan's is asked of the engine (``plan_rules.py``).
``auditor.py`` walks a history, ``runner.py`` a store.
"""

from cadence.audit.auditor import Auditor
from cadence.audit.findings import Finding, Noticed

__all__ = ["Auditor", "Finding", "Noticed"]
