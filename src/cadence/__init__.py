"""cadence: follow up exactly as promised, patiently, and never as a pest.

These are the public names. The packages ``domain``, ``policy`` and ``engine`` are pure and can be
used alone. :class:`Cadence` keeps histories in a store. It is imported when it is first used, so
that the pure packages never load a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cadence.domain import Event, Prospect, Stage, evolve, fold
from cadence.engine import (
    Decision,
    Verdict,
    advance,
    decide,
    next_touch,
)
from cadence.errors import CadenceError, InputError, Refused
from cadence.policy import Policy, PolicyRegistry, builtin

if TYPE_CHECKING:
    from cadence.store import Cadence, Outcome

__version__ = "0.1.0"

__all__ = [
    "Cadence",
    "CadenceError",
    "Decision",
    "Event",
    "InputError",
    "Outcome",
    "Policy",
    "PolicyRegistry",
    "Prospect",
    "Refused",
    "Stage",
    "Verdict",
    "__version__",
    "advance",
    "builtin",
    "decide",
    "evolve",
    "fold",
    "next_touch",
]


def __getattr__(name: str) -> Any:
    if name in ("Cadence", "Outcome"):
        from cadence import store

        return getattr(store, name)
    raise AttributeError(f"module 'cadence' has no attribute {name!r}")
