"""What was it like? Replay, its page, the overview, the audit; import and export.

Nearly all of it is loaded when it is first asked for: the commands that need little of it start
without the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

# A function that is called as its module is must be there before the module is.
from cadence.history.moments import Measure, Moment, Undone, UndoneKind, moments
from cadence.history.overview import Overview, overview
from cadence.history.replay import Replayed, replay, until

if TYPE_CHECKING:
    from cadence.history.formats import EXPORTS, choose_source, import_file, mapping_for
    from cadence.history.importing import (
        BadLine,
        Imported,
        ImportRefused,
        Source,
        import_all,
        prepare,
    )
    from cadence.history.jsonl import export_jsonl, import_jsonl
    from cadence.history.mapping_load import MappingError
    from cadence.history.overview_html import overview_page
    from cadence.history.own_csv import export_csv
    from cadence.history.own_xes import export_xes
    from cadence.history.page import replay_page

__all__ = [
    "EXPORTS",
    "BadLine",
    "ImportRefused",
    "Imported",
    "MappingError",
    "Measure",
    "Moment",
    "Overview",
    "Replayed",
    "Source",
    "Undone",
    "UndoneKind",
    "choose_source",
    "export_csv",
    "export_jsonl",
    "export_xes",
    "import_all",
    "import_file",
    "import_jsonl",
    "mapping_for",
    "moments",
    "overview",
    "overview_page",
    "prepare",
    "replay",
    "replay_page",
    "until",
]

_LATER: Final = {
    "formats": ("EXPORTS", "choose_source", "import_file", "mapping_for"),
    "importing": ("BadLine", "ImportRefused", "Imported", "Source", "import_all", "prepare"),
    "jsonl": ("export_jsonl", "import_jsonl"),
    "mapping_load": ("MappingError",),
    "overview_html": ("overview_page",),
    "own_csv": ("export_csv",),
    "own_xes": ("export_xes",),
    "page": ("replay_page",),
}


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:
            return getattr(import_module(f"cadence.history.{module}"), name)
    raise AttributeError(f"module 'cadence.history' has no attribute {name!r}")
