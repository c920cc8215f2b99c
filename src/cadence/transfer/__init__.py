"""Import and export: JSONL, CSV, XES and their mappings."""

from cadence.transfer.cadence_csv import export_csv
from cadence.transfer.cadence_xes import export_xes
from cadence.transfer.formats import EXPORTS, choose_source, import_file, mapping_for
from cadence.transfer.importer import (
    ImportRefused,
    ImportResult,
    PreparedImport,
    import_all,
    prepare,
)
from cadence.transfer.input_file import open_input
from cadence.transfer.jsonl import export_jsonl, import_jsonl
from cadence.transfer.mapping_loader import MappingError
from cadence.transfer.source import BadLine, FieldCounts, Source

__all__ = [
    "EXPORTS",
    "BadLine",
    "FieldCounts",
    "ImportRefused",
    "ImportResult",
    "MappingError",
    "PreparedImport",
    "Source",
    "choose_source",
    "export_csv",
    "export_jsonl",
    "export_xes",
    "import_all",
    "import_file",
    "import_jsonl",
    "mapping_for",
    "open_input",
    "prepare",
]
