"""Let a value say how a notebook shows it.

The words are made at the edge, in ``cadence.reports``, which stands above the packages that have
such values. It is found by its name when a notebook asks, so that they stay without it, and quick
to import.
"""

from __future__ import annotations

from importlib import import_module

__all__ = ["Shown"]


class Shown:
    """A value that a notebook shows as HTML."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """Return what IPython shows instead of the ``repr``."""
        cell: str = import_module("cadence.reports.cells").cell(self)
        return cell
