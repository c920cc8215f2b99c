"""Choose what reads a file and what writes one, by format."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from cadence.errors import InputError
from cadence.store.service import Cadence
from cadence.transfer.cadence_csv import CadenceCsvSource, export_csv, is_cadence_header
from cadence.transfer.cadence_xes import CadenceXesSource, export_xes
from cadence.transfer.exporter import Exported
from cadence.transfer.importer import ImportResult, import_all
from cadence.transfer.input_file import Input, open_input
from cadence.transfer.jsonl import JsonlSource, export_jsonl
from cadence.transfer.mapped_csv import MappedCsvSource
from cadence.transfer.mapped_xes import MappedXesSource
from cadence.transfer.mapping_loader import load_mapping, mapping_names
from cadence.transfer.mapping_model import Mapping, fields_of
from cadence.transfer.source import Source

__all__ = ["EXPORTS", "choose_source", "import_file", "mapping_for"]

EXPORTS: Final[dict[str, Callable[..., Exported]]] = {
    "jsonl": export_jsonl,
    "csv": export_csv,
    "xes": export_xes,
}
"""Writes every history of a :class:`~cadence.Cadence` into a file, by the name of the format."""

_XML_STARTS: Final = (b"<", b"\xff\xfe<", b"\xfe\xff\x00<")


def mapping_for(name: str, *, timezone: str | None = None, country: str | None = None) -> Mapping:
    """Load a mapping, with a time zone and country for rows that give none.

    Args:
        name: the name of a mapping that comes with cadence, or the path of a file.
        timezone: an IANA name.
        country: an ISO 3166 code.

    Raises:
        MappingError: the name is unknown, or the file can't be read or is not a mapping.
    """
    mapping = load_mapping(name)
    about = mapping.prospect
    if timezone is not None:
        about = replace(about, timezone=(*fields_of(about.timezone), timezone))
    if country is not None:
        about = replace(about, country=(*fields_of(about.country), country))
    return replace(mapping, prospect=about)


def import_file(
    app: Cadence,
    file: str,
    mapping: Mapping | str | None = None,
    *,
    at: datetime | None = None,
    force: bool = False,
) -> ImportResult:
    """Import a file, all of it or nothing; importing it again changes nothing.

    Args:
        app: the store to import into.
        file: its path, plain or gzip; ``-`` is standard input.
        mapping: what its rows stand for: a mapping, or the name or path of one; none for a file
            that cadence exported.
        at: the time of the import, after which nothing may lie; by default the machine's clock.
        force: record it also over a year after both the machine's clock and the newest event.

    Raises:
        ImportRefused: lines are bad; names each with its number and field.
        InputError: the file or the mapping can't be read at all.
        Conflict: another writer changed one of the prospects meanwhile.
        StoreError: the database can't be written.
    """
    chosen = load_mapping(mapping) if isinstance(mapping, str) else mapping
    with open_input(file) as opened:
        return import_all(app, choose_source(opened, chosen), at=at, force=force)


def choose_source(file: Input, mapping: Mapping | None = None) -> Source:
    """Choose what reads a file.

    Args:
        file: the opened file.
        mapping: what its rows stand for; none for a file that cadence exported.

    Raises:
        InputError: the file needs a mapping, or another one.
    """
    head = file.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_xml = head.startswith(_XML_STARTS)
    if mapping is not None:
        if is_xml != (mapping.format == "xes"):
            raise InputError(
                f"{file.name}: invalid {mapping.format.upper()}: the file is "
                f"{'XML' if is_xml else 'not XML'}, the mapping {mapping.name} is for "
                f"{mapping.format}",
                "use the mapping that belongs to the file",
            )
        if is_xml:
            return MappedXesSource(mapping, file.blocks(), file.name, file.position)
        return MappedCsvSource(mapping, file.lines(), file.name, file.position)
    if is_xml:
        return CadenceXesSource(file.blocks(), file.name, file.position)
    if is_cadence_header(file.head.partition(b"\n")[0]):
        return CadenceCsvSource(file.lines(), file.name, file.position)
    plain = file.name.casefold().removesuffix(".gz")
    if plain.endswith((".csv", ".tsv")):
        raise InputError(
            f"{file.name}: missing mapping; the CSV is of another program",
            f"give --mapping NAME (one of {', '.join(mapping_names())}) or a file of your own",
        )
    return JsonlSource(file.lines(), file.position)
