"""What the service and an import fill in of an event: compare events without it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cadence.domain.codec import to_builtins
from cadence.domain.events import Event

FILLED_IN = {"key", "gap_from", "spoken"}


def as_given(events: Iterable[Event]) -> list[Any]:
    """The events as a caller may have given them: without keys, and without the first policy."""
    plain = [to_builtins(event) for event in events]
    for one in plain:
        if one["type"] == "ProspectAdded":
            one["data"].pop("policy", None)
    return [_without(one) for one in plain]


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(one) for name, one in value.items() if name not in FILLED_IN}
    if isinstance(value, list | tuple):
        return [_without(one) for one in value]
    return value
