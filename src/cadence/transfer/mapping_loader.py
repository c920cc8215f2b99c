"""Reading a mapping file, with errors that name the key path, the value and what is allowed."""

from __future__ import annotations

import codecs
import difflib
import re
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec

from cadence.domain.events import Channel, Disposition, EndReason, Intent
from cadence.errors import InputError
from cadence.transfer.mapping_model import (
    FORMATS,
    At,
    ContactPointField,
    Field,
    From,
    Mapping,
    ProspectFields,
    RecordFields,
    Rule,
    fields_of,
)
from cadence.worktime.zones import zone

__all__ = ["MappingError", "load_mapping", "mapping_names", "read_mapping"]


class MappingError(InputError):
    """A mapping file that can't be read; names the key path, the value and what is allowed."""

    code = "invalid_mapping"


_KINDS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "attempt": (("channel", "disposition"), ("address",)),
    "reply": (("channel",), ("intent",)),
    "end": (("reason",), ()),
    "opt_out": ((), ("channel",)),
    "interest": (("text",), ()),
    "pass_over": (("because",), ()),
    "bad_line": (("because",), ()),
}
"""Which keys each kind of event must have, and which it may have."""

_VALUES: Final = {
    "channel": [one.value for one in Channel],
    "disposition": [one.value for one in Disposition],
    "intent": [one.value for one in Intent],
    "reason": [one.value for one in EndReason],
}


def mapping_names() -> list[str]:
    """The mappings that come with cadence."""
    folder = resources.files("cadence.transfer").joinpath("mappings")
    names = (entry.name for entry in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_mapping(name: str) -> Mapping:
    """The mapping that comes with cadence under this name, or that stands in this file.

    Raises:
        MappingError: there is none, it can't be read, or is no mapping.
    """
    if name in mapping_names():
        return _builtin(name)
    if not name.endswith(".toml") and "/" not in name:
        near = difflib.get_close_matches(name, mapping_names(), n=1)
        known = f"one of {', '.join(mapping_names())}, or a file that ends in .toml"
        raise MappingError(
            f"no mapping {name!r} is known", f"did you mean {near[0]}?" if near else known
        )
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise MappingError(f"{path}: not in UTF-8", "save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MappingError(f"{path}: {reason}", "name a file that can be read") from None
    return read_mapping(text, path.name)


@lru_cache(maxsize=16)
def _builtin(name: str) -> Mapping:
    return read_mapping(_builtin_text(name), f"{name}.toml")


def _builtin_text(name: str) -> str:
    source = resources.files("cadence.transfer").joinpath("mappings", f"{name}.toml")
    return source.read_text(encoding="utf-8")


def read_mapping(text: str, file: str) -> Mapping:
    """Read a mapping from TOML.

    Args:
        text: the file's content.
        file: what to call the file in errors.

    Raises:
        MappingError: no TOML, a key unknown or missing, a value out of range.
    """
    raw = _parse(text, file)
    base = raw.pop("extends", None)
    if base is not None:
        if base not in mapping_names():
            raise _fail(file, "extends", base, ", ".join(mapping_names()))
        raw = _merged(_parse(_builtin_text(base), base), raw)
    _check_keys(file, raw, Mapping, "")
    try:
        mapping = msgspec.convert(raw, type=Mapping)
    except msgspec.ValidationError as error:
        raise _explain(file, raw, str(error)) from None
    _check(mapping, file)
    return mapping


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise MappingError(f"{file}: no TOML: {reason}", "mend the syntax at that place") from None


def _merged(base: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """``base`` with what ``ours`` says instead: tables key by key, everything else whole."""
    found = dict(base)
    for key, value in ours.items():
        old = found.get(key)
        one = isinstance(value, dict) and isinstance(old, dict) and "from" not in {*value, *old}
        found[key] = _merged(old, value) if one and old is not None else value
    return found


# Errors -------------------------------------------------------------------------------------------


def _fail(file: str, key: str, value: object, allowed: str, hint: str = "") -> MappingError:
    return MappingError(f"{file}: {key} = {_show(value)}", f"{hint}allowed: {allowed}")


def _near(value: str, allowed: Iterable[str]) -> str:
    near = difflib.get_close_matches(value, list(allowed), n=1)
    return f"did you mean {near[0]}? " if near else ""


def _show(value: object) -> str:
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 60 else text[:57] + "…"


_FIELDS: Final[dict[type[msgspec.Struct], tuple[str, ...]]] = {
    ProspectFields: ("id", "timezone", "name", "country", "subdivision", "owner", "source"),
    RecordFields: ("id", "by"),
    ContactPointField: ("address",),
    Rule: ("channel", "disposition", "address", "intent", "reason", "text", "id"),
}
_TABLES: Final[dict[tuple[type[msgspec.Struct], str], type[msgspec.Struct]]] = {
    (Mapping, "prospect"): ProspectFields,
    (Mapping, "record"): RecordFields,
    (Mapping, "rules"): Rule,
    (ProspectFields, "contact_points"): ContactPointField,
    (Rule, "contact_points"): ContactPointField,
    (RecordFields, "at"): At,
    **{(kind, name): From for kind, names in _FIELDS.items() for name in names},
}
"""Which keys hold tables, or lists of them, of which kind."""


def _check_keys(file: str, table: object, kind: type[msgspec.Struct], path: str) -> None:
    """Look for keys that nobody knows, with the nearest that somebody does."""
    if not isinstance(table, dict):
        return  # the types say so better
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    if not path:
        known.append("extends")
    for key, value in table.items():
        where = f"{path}.{key}" if path else key
        if key not in known:
            raise MappingError(
                f"{file}: {where if where.isprintable() else _show(where)} is no key of a mapping",
                f"{_near(key, known)}allowed: {', '.join(known)}",
            )
        inner = _TABLES.get((kind, key))
        if inner is not None:
            for index, one in enumerate(value) if isinstance(value, list) else [("", value)]:
                _check_keys(file, one, inner, f"{where}[{index}]" if index != "" else where)


def _explain(file: str, raw: dict[str, Any], text: str) -> MappingError:
    """Turn msgspec's words into key path, value, what is allowed."""
    message, _, path = text.partition(" - at `")
    path = path.rstrip("`").removeprefix("$").lstrip(".")
    quoted = re.findall(r"`([^`]*)`", message)
    if message.startswith("Object missing required field"):
        key = f"{path}.{quoted[0]}" if path else quoted[0]
        return MappingError(f"{file}: {key} is missing", f"add {quoted[0]}")
    value: Any = raw
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        try:
            value = value[int(index)] if index else value[key]
        except (KeyError, IndexError, TypeError):
            return MappingError(f"{file}: {path}: {message.replace('`', '')}", "see docs/import.md")
    if message.startswith("Invalid enum value"):
        last = path.rpartition(".")[2].partition("[")[0]
        allowed = _VALUES.get(last) or _LITERALS.get(last, [])
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return MappingError(
            f"{file}: {path} = {_show(value)}", f"{hint}allowed: {', '.join(allowed)}"
        )
    return _fail(file, path, value, _in_words(message))


_LITERALS: Final = {
    "event": list(_KINDS),
    "format": ["csv", "xes"],
    "needs": ["attempt", "reply", "end"],
    "first_of": ["day"],
    "changed": ["refuse", "keep"],
}
_FIELD: Final = 'a text, { from = "column" }, or a list of these'


def _check(mapping: Mapping, file: str) -> None:
    """What the types alone can't say."""
    if not mapping.name or not mapping.name.isprintable() or ":" in mapping.name:
        raise _fail(file, "name", mapping.name, "a short name without a colon")
    if len(mapping.delimiter) != 1 or mapping.delimiter in '"\r\n':
        raise _fail(file, "delimiter", mapping.delimiter, "one sign, such as , or ; or a tab (\\t)")
    try:
        codecs.lookup(mapping.encoding)
        if "a\n".encode(mapping.encoding) != b"a\n":
            raise LookupError
    except (LookupError, ValueError):
        allowed = "an encoding whose line ends are those of ASCII, such as utf-8 or windows-1252"
        raise _fail(file, "encoding", mapping.encoding, allowed) from None
    if not mapping.rules:
        raise MappingError(f"{file}: rules is empty", "add a [[rules]] with an event")
    if not mapping.record.times:
        raise MappingError(f"{file}: record.at is empty", 'add e.g. at = { from = "Date" }')
    for number, at in enumerate(mapping.record.times):
        _check_at(
            at, f"record.at[{number}]" if len(mapping.record.times) > 1 else "record.at", file
        )
    for number, rule in enumerate(mapping.rules):
        _check_rule(mapping, rule, f"rules[{number}]", file)
    for name in _FIELDS[ProspectFields]:
        _check_field(mapping, getattr(mapping.prospect, name), f"prospect.{name}", file)
    for name in _FIELDS[RecordFields]:
        _check_field(mapping, getattr(mapping.record, name), f"record.{name}", file)
    if mapping.format == "xes" and (mapping.columns or mapping.ignore or mapping.required):
        raise MappingError(
            f"{file}: columns, ignore and required are for csv",
            "name attributes where they are used",
        )


def _check_at(at: At, key: str, file: str) -> None:
    for one in at.formats:
        if one not in FORMATS and "%" not in one:
            allowed = f"{', '.join(FORMATS)}, or a pattern such as %d.%m.%Y %H:%M"
            raise _fail(file, f"{key}.formats", one, allowed, _near(one, FORMATS))
    if not at.formats:
        raise _fail(file, f"{key}.formats", [], f"at least one of {', '.join(FORMATS)}")
    if at.zone is not None and at.zone != "prospect":
        try:
            zone(at.zone)
        except InputError as error:
            raise _fail(
                file, f"{key}.zone", at.zone, f"an IANA zone, or prospect; {error.hint}"
            ) from None


def _check_rule(mapping: Mapping, rule: Rule, key: str, file: str) -> None:
    needed, allowed = _KINDS[rule.event]
    if mapping.format == "xes" and (rule.id is not None or rule.contact_points is not None):
        raise MappingError(
            f"{file}: {key}: id and contact_points of a rule are for csv",
            "a case is about one person: say who under [prospect]",
        )
    for name in needed:
        if getattr(rule, name) is None:
            raise MappingError(
                f"{file}: {key}.{name} is missing",
                f"an event {rule.event!r} needs {', '.join(needed)}",
            )
    for name in ("channel", "disposition", "address", "intent", "reason", "text", "because"):
        if getattr(rule, name) is not None and name not in (*needed, *allowed):
            every = ", ".join((*needed, *allowed)) or "nothing else"
            raise MappingError(
                f"{file}: {key}.{name} does not belong to an event {rule.event!r}",
                f"allowed: {every}",
            )
        if name != "because":
            _check_field(mapping, getattr(rule, name), f"{key}.{name}", file)


def _check_field(mapping: Mapping, field: Field | None, key: str, file: str) -> None:
    allowed = _VALUES.get(key.rpartition(".")[2])
    for one in fields_of(field):
        if isinstance(one, str):
            if allowed is not None and one not in allowed:
                raise _fail(file, key, one, ", ".join(allowed), _near(one, allowed))
        elif one.table is not None:
            if one.table not in mapping.tables:
                tables = ", ".join(mapping.tables) or "none"
                raise _fail(file, f"{key}.table", one.table, f"a table of [tables]: {tables}")
            for word, ours in mapping.tables[one.table].items():
                if allowed is not None and ours not in allowed:
                    where = f"tables.{one.table}.{_show(word)}"
                    raise _fail(file, where, ours, ", ".join(allowed), _near(ours, allowed))
    if field == ():
        raise _fail(file, key, [], _FIELD)


def _in_words(message: str) -> str:
    if "object" in message and "str" in message:
        return _FIELD
    return message.replace("`", "").replace("Expected ", "").replace("object", "a table")
