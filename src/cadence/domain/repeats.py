"""Tell whether what is given now is what was recorded before.

What is recorded is what was given and what was filled in: the keys of addresses, the policy, the
place of an attempt. Commands with an id and lines of an import are compared by the same rule.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from cadence.domain.events import AttemptMade, Data

__all__ = ["is_filled_in", "is_repeated"]

_FILLED_IN: Final = frozenset({"key", "spoken", "policy"})
"""What is filled in where the data of an event lacks it."""
_OF_ATTEMPTS: Final = _FILLED_IN | {"address"}


def is_repeated(given: Data, recorded: Data, fields: frozenset[str] | None = None) -> bool:
    """Return whether ``recorded`` is ``given``, but for what was filled in.

    Args:
        given: the data that is given now.
        recorded: that of an event.
        fields: of an attempt, the names of the fields that are given; those that are set.
    """
    if type(given) is not type(recorded):
        return False
    ours, theirs = msgspec.to_builtins(given), msgspec.to_builtins(recorded)
    if not isinstance(given, AttemptMade):
        return is_filled_in(ours, theirs)
    # Whatever an attempt does not give was filled in.
    names = ours.keys() if fields is None else fields | {"type"}
    theirs = {name: value for name, value in theirs.items() if name in names}
    return is_filled_in(ours, theirs, _OF_ATTEMPTS)


def is_filled_in(given: Any, stored: Any, names: frozenset[str] = _FILLED_IN) -> bool:
    """Return whether ``stored`` is ``given`` but for values of ``names`` that ``given`` lacks."""
    if isinstance(given, dict) and isinstance(stored, dict):
        more = stored.keys() - given.keys()
        return (
            given.keys() <= stored.keys()
            and more <= names
            and all(is_filled_in(one, stored[name], names) for name, one in given.items())
        )
    if isinstance(given, list | tuple) and isinstance(stored, list | tuple):
        return len(given) == len(stored) and all(
            is_filled_in(one, other, names) for one, other in zip(given, stored, strict=True)
        )
    return bool(given == stored)
