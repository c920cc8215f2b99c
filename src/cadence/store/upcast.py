"""Old shapes of stored events, and how each becomes the next: the upcaster chain.

A stored type is the event's name, with ``.2``, ``.3`` … once its shape has changed; it is the
``topic`` in the database and the ``type`` inside the stored data. An upcaster takes the data of one
shape, as plain JSON, to the next shape. Stored events are never rewritten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["UPCASTERS", "upcast"]

Plain = dict[str, Any]


def _attempt_1_to_2(data: Plain) -> Plain:
    """Shape 1 knew one channel an attempt; since shape 2 a touch may use several at once."""
    part = {"channel": data.pop("channel"), "disposition": data.pop("disposition")}
    if "address" in data:
        part["address"] = data.pop("address")
    return {**data, "parts": [part]}


UPCASTERS: Final[dict[str, tuple[str, Callable[[Plain], Plain]]]] = {
    "AttemptMade": ("AttemptMade.2", _attempt_1_to_2),
}
"""Stored type → the next stored type, and the function that takes its data there."""


def upcast(data: Plain) -> Plain:
    """``data`` in its newest shape; data that is in it already is returned as it is."""
    while (step := UPCASTERS.get(data["type"])) is not None:
        stored_type, function = step
        data = {**function({k: v for k, v in data.items() if k != "type"}), "type": stored_type}
    return data
