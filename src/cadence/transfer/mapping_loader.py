"""Read mapping files, with errors that name the key, its value and what is allowed.

``policy/toml_errors.py`` reads the TOML and checks keys and types; here is what only holds for
mappings.
"""

from __future__ import annotations

import codecs
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from cadence.domain.channels import CHANNELS
from cadence.domain.events import Disposition, EndReason, Intent
from cadence.errors import InputError, did_you_mean
from cadence.policy.toml_errors import TomlFile, read_file, show_value
from cadence.transfer.mapping_model import (
    FORMATS,
    At,
    ContactPointField,
    Field,
    From,
    Mapping,
    Rule,
    fields_of,
)
from cadence.transfer.notations import NOTATIONS, ZONE_NOTATION
from cadence.worktime.zones import zone

__all__ = ["MappingError", "load_mapping", "mapping_names", "read_mapping"]


class MappingError(InputError):
    """A mapping file that can't be read; names the key path, the value and what is allowed."""

    code = "invalid_mapping"


_EVENT_KEYS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "attempt": (("channel", "disposition"), ("address",)),
    "reply": (("channel",), ("intent",)),
    "end": (("reason",), ()),
    "opt_out": ((), ("channel",)),
    "interest": (("text",), ()),
    "person": ((), ()),
    "pass_over": (("because",), ()),
    "bad_line": (("because",), ()),
}
"""The keys that a rule for each kind of event must have, and those that it may have."""

_WORDS: Final[dict[str, list[str]]] = {
    "disposition": [one.value for one in Disposition],
    "intent": [one.value for one in Intent],
    "reason": [one.value for one in EndReason],
}
"""The words that a rule's key, or the table that translates it, may give."""

_RULE_FIELDS: Final = ("channel", "disposition", "address", "intent", "reason", "text")


def mapping_names() -> list[str]:
    """List the mappings that come with cadence."""
    folder = resources.files("cadence.transfer").joinpath("mappings")
    names = (entry.name for entry in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_mapping(name: str) -> Mapping:
    """Load a mapping that comes with cadence, or a mapping file.

    Args:
        name: the name of the mapping, or the path of a file that ends in ``.toml``.

    Raises:
        MappingError: the name is unknown, or the file can't be read or is not a mapping.
    """
    if name in mapping_names():
        return _builtin(name)
    if not name.endswith(".toml") and "/" not in name:
        every = f"use a file that ends in .toml, or one of: {', '.join(mapping_names())}"
        hint = did_you_mean(name, mapping_names(), otherwise=every)
        raise MappingError(f"mapping: unknown {name!r}", hint)
    return read_mapping(read_file(name, MappingError), Path(name).name)


@lru_cache(maxsize=16)
def _builtin(name: str) -> Mapping:
    return read_mapping(_builtin_text(name), f"{name}.toml")


def _builtin_text(name: str) -> str:
    source = resources.files("cadence.transfer").joinpath("mappings", f"{name}.toml")
    return source.read_text(encoding="utf-8")


def read_mapping(text: str, name: str) -> Mapping:
    """Read a mapping from TOML.

    Args:
        text: the file's content.
        name: what to call the file in errors.

    Raises:
        MappingError: invalid TOML, a key unknown or missing, a value out of range.
    """
    file = TomlFile(name, MappingError)
    tables = file.parse(text)
    base = tables.pop("extends", None)
    if base is not None:
        if base not in mapping_names():
            raise file.invalid("extends", base, ", ".join(mapping_names()), mapping_names())
        tables = _merge(TomlFile(base, MappingError).parse(_builtin_text(base)), tables)
    mapping = file.convert(tables, Mapping)
    _check(mapping, file)
    return mapping


def _merge(base: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Replace in ``base`` what ``ours`` has: tables key by key, everything else whole."""
    merged = dict(base)
    for key, value in ours.items():
        old = merged.get(key)
        # A table with a "from" is one value: where a field is read.
        if isinstance(value, dict) and isinstance(old, dict) and "from" not in {*value, *old}:
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged


# What the types alone can't say -------------------------------------------------------------------


def _check(mapping: Mapping, file: TomlFile) -> None:
    if not mapping.name or not mapping.name.isprintable() or ":" in mapping.name:
        raise file.invalid("name", mapping.name, "a short name without a colon")
    if not mapping.rules:
        raise MappingError(f"{file.name}: rules: missing", "give a [[rules]] with an event")
    if not mapping.record.times and not mapping.record.is_else_import:
        raise MappingError(
            f"{file.name}: record.at: missing", 'give a column, e.g. at = { from = "Date" }'
        )
    _check_format(mapping, file)
    several = len(mapping.record.times) > 1
    for number, at in enumerate(mapping.record.times):
        _check_time(at, f"record.at[{number}]" if several else "record.at", file)
    for number, rule in enumerate(mapping.rules):
        _check_rule(mapping, rule, f"rules[{number}]", file)
    for path, table, names in (
        ("prospect", mapping.prospect, mapping.prospect.field_names),
        ("record", mapping.record, ("id", "by")),
    ):
        for name in names:
            _check_field(mapping, getattr(table, name), f"{path}.{name}", file)
    _check_points(mapping, mapping.prospect.contact_points, "prospect", file)


def _check_format(mapping: Mapping, file: TomlFile) -> None:
    """Check what is said of the file itself."""
    if len(mapping.delimiter) != 1 or mapping.delimiter in '"\r\n':
        allowed = "one character, such as , or ; or a tab (\\t)"
        raise file.invalid("delimiter", mapping.delimiter, allowed)
    try:
        codecs.lookup(mapping.encoding)
        if "a\n".encode(mapping.encoding) != b"a\n":
            raise LookupError
    except (LookupError, ValueError):
        allowed = "an encoding whose line ends are those of ASCII, such as utf-8 or windows-1252"
        raise file.invalid("encoding", mapping.encoding, allowed) from None
    for key in ("columns", "ignore", "required"):
        if mapping.format == "xes" and getattr(mapping, key):
            value = getattr(mapping, key)
            raise file.invalid(key, value, "it with csv only; name attributes where they are read")


def _check_time(at: At, key: str, file: TomlFile) -> None:
    for one in at.formats:
        if one not in FORMATS and "%" not in one:
            allowed = f"{', '.join(FORMATS)}, or a pattern such as %d.%m.%Y %H:%M"
            raise file.invalid(f"{key}.formats", one, allowed, FORMATS)
    if not at.formats:
        raise file.invalid(f"{key}.formats", [], f"at least one of {', '.join(FORMATS)}")
    if at.zone is not None and at.zone != "prospect":
        try:
            zone(at.zone)
        except InputError as error:
            what = f"{file.name}: {key}.zone: unknown {show_value(at.zone)}"
            raise MappingError(what, f"{error.hint}, or prospect") from None


def _check_rule(mapping: Mapping, rule: Rule, key: str, file: TomlFile) -> None:
    required, optional = _EVENT_KEYS[rule.event]
    for name in ("id", "contact_points"):
        if mapping.format == "xes" and getattr(rule, name) is not None:
            raise file.invalid(
                f"{key}.{name}", getattr(rule, name), "it under [prospect]; a case has one person"
            )
    for name in required:
        if getattr(rule, name) is None:
            needs = " and ".join(required)
            raise file.missing(f"{key}.{name}", f"an event {rule.event!r} needs {needs}")
    if rule.state and rule.event != "opt_out":
        raise file.invalid(f"{key}.state", True, "it with opt_out, which lasts")
    allowed = (*required, *optional)
    for name in (*_RULE_FIELDS, "because"):
        if getattr(rule, name) is not None and name not in allowed:
            every = " and ".join(allowed) or "no more keys"
            raise file.invalid(
                f"{key}.{name}", getattr(rule, name), f"{every} for an event {rule.event!r}"
            )
    for table in ("when", "unless"):
        for column, texts in getattr(rule, table).items():
            for text in [texts] if isinstance(texts, str) else texts:
                # A rule that silently never fits is the worst kind: it may be for opt-outs.
                if "*" in text and text != "*":
                    meant = "a whole text; * stands only alone, for any value"
                    raise file.invalid(f"{key}.{table}.{column}", text, meant)
    for name in (*_RULE_FIELDS, "id"):
        _check_field(mapping, getattr(rule, name), f"{key}.{name}", file)
    _check_points(mapping, rule.contact_points or (), key, file)


def _check_points(
    mapping: Mapping, points: tuple[ContactPointField, ...], path: str, file: TomlFile
) -> None:
    for number, point in enumerate(points):
        where = f"{path}.contact_points[{number}].channel"
        _check_field(mapping, point.channel, where, file)
        _check_field(mapping, point.address, f"{path}.contact_points[{number}].address", file)


def _check_field(mapping: Mapping, field: Field | None, key: str, file: TomlFile) -> None:
    """Check the constants of a field, and what translates it: a table or a notation."""
    if field == ():
        raise file.invalid(key, [], "at least one text or column")
    words = _words(mapping, key)
    for one in fields_of(field):
        if isinstance(one, str):
            if words is not None and one not in words:
                raise file.invalid(key, one, ", ".join(words), words)
        elif one.notation is not None:
            _check_notation(one, key, file)
        elif one.table is not None:
            if one.table not in mapping.tables:
                tables = list(mapping.tables)
                allowed = f"a table of [tables]: {', '.join(tables) or 'none'}"
                raise file.invalid(f"{key}.table", one.table, allowed, tables)
            for theirs, ours in mapping.tables[one.table].items():
                if words is not None and ours not in words:
                    where = f"tables.{one.table}.{show_value(theirs)}"
                    raise file.invalid(where, ours, ", ".join(words), words)


def _words(mapping: Mapping, key: str) -> list[str] | None:
    """The words that a field may give; ``None``: any text."""
    name = key.rpartition(".")[2]
    if name == "channel":
        return [*CHANNELS, *mapping.channels]
    return _WORDS.get(name)


def _check_notation(one: From, key: str, file: TomlFile) -> None:
    names = [name for name in NOTATIONS if name != ZONE_NOTATION or key == "prospect.timezone"]
    if one.notation not in names:
        raise file.invalid(f"{key}.notation", one.notation, ", ".join(names), names)
    if one.table is not None:
        raise file.invalid(f"{key}.table", one.table, "a table or a notation, not both")
