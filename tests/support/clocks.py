"""Clocks of machines, for tests whose histories lie in the future."""

from __future__ import annotations

from datetime import UTC, datetime

AFTER = "2027-06-01T00:00:00Z"
"""After all of the example histories: the ``--at`` of their imports."""


def ahead() -> datetime:
    """Show a time after every instant that can be recorded."""
    return datetime(2199, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
