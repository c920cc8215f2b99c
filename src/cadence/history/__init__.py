"""What was it like? Replay, its page, the overview; import and export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cadence.history.jsonl import BadLine, Imported, ImportRefused, export_jsonl, import_jsonl
from cadence.history.moments import Measure, Moment, Undone, UndoneKind, moments
from cadence.history.overview import Overview, overview
from cadence.history.replay import Replayed, replay, until

if TYPE_CHECKING:
    from cadence.history.overview_html import overview_page
    from cadence.history.page import replay_page

__all__ = [
    "BadLine",
    "ImportRefused",
    "Imported",
    "Measure",
    "Moment",
    "Overview",
    "Replayed",
    "Undone",
    "UndoneKind",
    "export_jsonl",
    "import_jsonl",
    "moments",
    "overview",
    "overview_page",
    "replay",
    "replay_page",
    "until",
]

_LATER = {"overview_page": "overview_html", "replay_page": "page"}


def __getattr__(name: str) -> Any:
    # Templates are slow to load, and most commands make no page.
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f"cadence.history.{_LATER[name]}"), name)
    raise AttributeError(f"module 'cadence.history' has no attribute {name!r}")
