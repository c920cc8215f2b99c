"""What a history was like: its steps, with the decision after each."""

from cadence.replay.moments import (
    Measure,
    Moment,
    Undone,
    UndoneKind,
    moments,
)
from cadence.replay.steps import Replayed, replay, until

__all__ = [
    "Measure",
    "Moment",
    "Replayed",
    "Undone",
    "UndoneKind",
    "moments",
    "replay",
    "until",
]
