"""What was it like? Replay; import and export."""

from cadence.history.jsonl import BadLine, Imported, ImportRefused, export_jsonl, import_jsonl
from cadence.history.moments import Measure, Moment, Undone, UndoneKind, moments
from cadence.history.replay import Replayed, replay, until

__all__ = [
    "BadLine",
    "ImportRefused",
    "Imported",
    "Measure",
    "Moment",
    "Replayed",
    "Undone",
    "UndoneKind",
    "export_jsonl",
    "import_jsonl",
    "moments",
    "replay",
    "until",
]
