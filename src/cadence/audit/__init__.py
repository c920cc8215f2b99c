"""Every history against the charter and the policy it ran under, from the events alone.

A second reading of the design: nothing in this package imports what folds events or decides
(``pyproject.toml`` has the import-linter contract that holds it to that), so a mistake there can't
hide itself here. ``steps.py`` holds what depends on the steps of a policy, ``charter.py`` the rest.
"""

from cadence.audit.auditor import Auditor
from cadence.audit.findings import Finding, Noticed

__all__ = ["Auditor", "Finding", "Noticed"]
