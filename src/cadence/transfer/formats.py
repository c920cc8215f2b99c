"""Which format is a file in? What reads it, and what writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from cadence.errors import InputError
from cadence.store.service import Cadence
from cadence.transfer.cadence_csv import OwnCsv, export_csv, is_own_header
from cadence.transfer.cadence_xes import OwnXes, export_xes
from cadence.transfer.importer import Imported, Source, import_all
from cadence.transfer.input_file import Input, open_input
from cadence.transfer.jsonl import Jsonl, export_jsonl
from cadence.transfer.mapped_csv import CsvSource
from cadence.transfer.mapped_xes import XesSource
from cadence.transfer.mapping_loader import load_mapping, mapping_names
from cadence.transfer.mapping_model import Mapping, fields_of

__all__ = ["EXPORTS", "choose_source", "import_file", "mapping_for"]

EXPORTS: Final[dict[str, Callable[..., int]]] = {
    "jsonl": export_jsonl,
    "csv": export_csv,
    "xes": export_xes,
}
"""What writes every history of a :class:`~cadence.Cadence` into a file, by the format's name."""


def mapping_for(name: str, *, timezone: str | None = None, country: str | None = None) -> Mapping:
    """A mapping by name or file, with what holds for people whose row does not say.

    Raises:
        MappingError: there is none, it can't be read, or is no mapping.
    """
    mapping = load_mapping(name)
    about = mapping.prospect
    if timezone is not None:
        about = replace(about, timezone=(*fields_of(about.timezone), timezone))
    if country is not None:
        about = replace(about, country=(*fields_of(about.country), country))
    return replace(mapping, prospect=about)


def import_file(app: Cadence, file: str, mapping: Mapping | str | None = None) -> Imported:
    """Import a file, all of it or nothing; importing twice changes nothing.

    Args:
        app: where to.
        file: its name; ``-`` is standard input. Plain or gzip.
        mapping: what its rows stand for, or the name or file of one; without, what export wrote.

    Raises:
        ImportRefused: lines are bad; names each with its number and field.
        InputError: the file or the mapping can't be read at all.
        Conflict: somebody else wrote to one of the prospects meanwhile.
        StoreError: the database can't be written.
    """
    chosen = load_mapping(mapping) if isinstance(mapping, str) else mapping
    with open_input(file) as found:
        return import_all(app, choose_source(found, chosen))


def choose_source(file: Input, mapping: Mapping | None = None) -> Source:
    """What reads ``file``: as the mapping says, or as what was exported here.

    Raises:
        InputError: it needs a mapping, or another one.
    """
    head = file.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_xml = head.startswith((b"<", b"\xff\xfe<", b"\xfe\xff\x00<"))
    if mapping is not None:
        if is_xml != (mapping.format == "xes"):
            raise InputError(
                f"{file.name}: is {'XML' if is_xml else 'no XML'}, but the mapping "
                f"{mapping.name} is for {mapping.format}",
                "name the mapping that belongs to the file",
            )
        if is_xml:
            return XesSource(mapping, file.blocks(), file.name, file.position)
        return CsvSource(mapping, file.lines(), file.name, file.position)
    if is_xml:
        return OwnXes(file.blocks(), file.name, file.position)
    first = file.head.partition(b"\n")[0]
    if is_own_header(first):
        return OwnCsv(file.lines(), file.name, file.position)
    plain = file.name.casefold().removesuffix(".gz")
    if plain.endswith((".csv", ".tsv")):
        raise InputError(
            f"{file.name}: is CSV, and was not exported here",
            f"say what its rows stand for: --mapping NAME (one of {', '.join(mapping_names())}), "
            "or a file of your own",
        )
    return Jsonl(file.lines(), file.position)
