"""Replay a history: its steps, and the decision after each."""

from cadence.replay.steps import (
    AnnotatedStep,
    History,
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
    "History",
    "Measure",
    "Overdue",
    "OverdueKind",
    "ReplayStep",
    "annotate",
    "replay",
    "until",
]
