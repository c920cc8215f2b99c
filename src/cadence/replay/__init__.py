"""Replay a history: its steps, and the decision after each."""

from cadence.replay.steps import (
    AnnotatedStep,
    Measure,
    Overdue,
    OverdueKind,
    ReplayStep,
    annotate,
    replay,
    until,
)

__all__ = [
    "AnnotatedStep",
    "Measure",
    "Overdue",
    "OverdueKind",
    "ReplayStep",
    "annotate",
    "replay",
    "until",
]
