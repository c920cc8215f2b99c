"""Import and export: JSONL, CSV, XES and their mappings."""

from cadence.transfer.cadence_csv import export_csv
from cadence.transfer.cadence_xes import export_xes
from cadence.transfer.formats import (
    EXPORTS,
    choose_source,
    import_file,
    mapping_for,
)
from cadence.transfer.importer import (
    BadLine,
    Imported,
    ImportRefused,
    Source,
    import_all,
    prepare,
)
from cadence.transfer.jsonl import export_jsonl, import_jsonl
from cadence.transfer.mapping_loader import MappingError

__all__ = [
    "EXPORTS",
    "BadLine",
    "ImportRefused",
    "Imported",
    "MappingError",
    "Source",
    "choose_source",
    "export_csv",
    "export_jsonl",
    "export_xes",
    "import_all",
    "import_file",
    "import_jsonl",
    "mapping_for",
    "prepare",
]
