"""Recorded histories as a whole: what-if and the funnel."""

from cadence.analysis.funnel import Overview, overview

__all__ = [
    "Overview",
    "overview",
]
