"""What was it like? Replay; import and export."""

from cadence.history.jsonl import BadLine, Imported, ImportRefused, export_jsonl, import_jsonl
from cadence.history.replay import Replayed, replay, until

__all__ = [
    "BadLine",
    "ImportRefused",
    "Imported",
    "Replayed",
    "export_jsonl",
    "import_jsonl",
    "replay",
    "until",
]
