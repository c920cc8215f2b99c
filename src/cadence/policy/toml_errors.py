"""Read TOML files into structs, with errors that name the key, its value and what is allowed.

Policy files, mappings and scripts are read here. What is allowed is read off the types of the
structs, so that no error suggests a value that they would refuse.
"""

from __future__ import annotations

import enum
import io
import tomllib
import types
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    NewType,
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import msgspec

from cadence.domain.limits import TOML_BYTES
from cadence.errors import InputError, PolicyError, did_you_mean

__all__ = ["TomlFile", "read_file", "show_value"]

_MAX_SHOWN: Final = 60
"""How many characters of a wrong value an error shows."""

_Root = TypeVar("_Root", bound=msgspec.Struct)


def read_file(path: Path | str, error: type[InputError] = PolicyError) -> str:
    """Read the text of a TOML file.

    Args:
        path: the file.
        error: the class of the errors.

    Raises:
        InputError: the file can't be read, is too large or is not in UTF-8; of class ``error``.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:  # a device has no size, and no end
            content = file.read(TOML_BYTES + 1)
        if len(content) > TOML_BYTES:
            raise error(f"{path}: larger than {TOML_BYTES:,} bytes", "use a shorter file")
        return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8").read()
    except UnicodeDecodeError:
        raise error(f"{path}: not in UTF-8", "save the file as UTF-8") from None
    except (OSError, ValueError) as reason:
        what = getattr(reason, "strerror", None) or str(reason)
        raise error(f"{path}: {what}", "give a file that can be read") from None


class TomlFile(NamedTuple):
    """A TOML file that is being read: its name and the class of its errors."""

    name: str
    error: type[InputError] = PolicyError

    def parse(self, text: str) -> dict[str, Any]:
        """Parse TOML into plain tables, lists and values.

        Raises:
            InputError: the text is not TOML.
        """
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # syntax; a number or nesting without end
            reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
            raise self.error(
                f"{self.name}: invalid TOML: {reason}", "fix the syntax there"
            ) from None

    def convert(self, table: dict[str, Any], root: type[_Root]) -> _Root:
        """Turn a parsed file into its struct.

        Args:
            table: what :meth:`parse` gave.
            root: the struct of the whole file; its structs forbid unknown fields.

        Raises:
            InputError: a key is unknown or missing, or a value does not fit its type.
        """
        with suppress(msgspec.ValidationError):
            return msgspec.convert(table, type=root, str_keys=True)
        self._refuse_unknown_keys(table, root, "")
        raise self._misfit(table, root, "")

    # Errors -------------------------------------------------------------------------------------

    def invalid(
        self, key: str, value: object, allowed: str, choices: Sequence[str] = ()
    ) -> InputError:
        """Make the error for a value that is not allowed.

        Args:
            key: the path of the key, such as ``steps[3].times``.
            value: the value of the key.
            allowed: what may stand there, as it follows "use".
            choices: the words of which the value must be one; the nearest is suggested.
        """
        near = did_you_mean(str(value), choices, otherwise="")
        return self.error(
            f"{self.name}: {key}: invalid {show_value(value)}",
            f"{near} (allowed: {allowed})" if near else f"use {allowed}",
        )

    def missing(self, key: str, allowed: str) -> InputError:
        """Make the error for a key that is missing; ``allowed`` says what it may hold."""
        last = key.rpartition(".")[2]
        return self.error(f"{self.name}: {key}: missing", f"give {last}: {allowed}")

    def _unknown_key(self, key: str, known: Sequence[str], where: str) -> InputError:
        hint = did_you_mean(key, known, otherwise="")
        all_known = ", ".join(known)
        return self.error(
            f"{self.name}: {where if where.isprintable() else show_value(where)}: unknown key",
            f"{hint} (allowed: {all_known})" if hint else f"use one of: {all_known}",
        )

    # Search for what is wrong -------------------------------------------------------------------

    def _refuse_unknown_keys(self, value: object, kind: Any, path: str) -> None:
        """Raise the error for the first key in ``value`` that ``kind`` does not know."""
        if isinstance(value, list):
            item = _item_type(kind)
            for index, one in enumerate(value):
                self._refuse_unknown_keys(one, item, f"{path}[{index}]")
        if not isinstance(value, dict):
            return
        struct = self._struct_at(value, kind, path)
        if struct is None:
            return
        fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
        tag = struct.__struct_config__.tag_field
        known = [*([tag] if tag else []), *fields]
        for key, inner in value.items():
            where = _join(path, key)
            if key not in known:
                raise self._unknown_key(key, known, where)
            if key in fields:
                self._refuse_unknown_keys(inner, fields[key].type, where)

    def _struct_at(
        self, value: dict[str, Any], kind: Any, path: str
    ) -> type[msgspec.Struct] | None:
        """The struct that a table stands for; of a tagged union the one that its tag names."""
        structs = [one for one in _options(kind) if _is_struct(one)]
        tags = {str(one.__struct_config__.tag): one for one in structs}
        tag_field = structs[0].__struct_config__.tag_field if structs else None
        if tag_field is None:
            return structs[0] if structs else None
        tag = value.get(tag_field)
        if tag is None:
            raise self.missing(_join(path, tag_field), f"one of {', '.join(tags)}")
        if not isinstance(tag, str) or tag not in tags:
            raise self.invalid(_join(path, tag_field), tag, ", ".join(tags), list(tags))
        return tags[tag]

    def _misfit(self, value: object, kind: Any, path: str) -> InputError:
        """Make the error for the first value in ``value``, which does not fit ``kind``."""
        for key, inner, inner_kind in self._inner(value, kind, path):
            if not _fits(inner, inner_kind):
                return self._misfit(inner, inner_kind, key)
        return self.invalid(path, value, _describe(kind), _choices(kind))

    def _inner(self, value: object, kind: Any, path: str) -> Iterator[tuple[str, object, Any]]:
        """What a table or list holds: the path of each value, the value and its type."""
        if isinstance(value, list):
            item = _item_type(kind)
            if item is not None:
                yield from ((f"{path}[{n}]", one, item) for n, one in enumerate(value))
        if not isinstance(value, dict):
            return
        struct = self._struct_at(value, kind, path)
        if struct is None:
            for option in _options(kind):
                if get_origin(option) is dict:
                    keys, inner = get_args(option)
                    for key, one in value.items():
                        yield _join(path, key), key, keys
                        yield _join(path, key), one, inner
            return
        for field in msgspec.structs.fields(struct):
            where = _join(path, field.encode_name)
            if field.encode_name in value:
                yield where, value[field.encode_name], field.type
            elif field.required:
                raise self.missing(where, _describe(field.type))


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, type=kind, str_keys=True)
    except msgspec.ValidationError:
        return False
    return True


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def show_value(value: object) -> str:
    """Word a value as a TOML file has it, cut if it is long."""
    if isinstance(value, float):
        return str(value)  # inf and nan as TOML has them; JSON has none
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}…"


# Types in words -----------------------------------------------------------------------------------


def _options(kind: Any) -> list[Any]:
    """The alternatives of a type without their bounds, ``None`` apart: TOML has none."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _options(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [one for part in get_args(kind) for one in _options(part)]
    if isinstance(kind, NewType):
        return _options(kind.__supertype__)
    return [] if kind is type(None) else [kind]


def _is_struct(kind: Any) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _item_type(kind: Any) -> Any:
    """The type of the items of a list; ``None`` if no list is allowed."""
    return next((get_args(one)[0] for one in _options(kind) if get_origin(one) is tuple), None)


def _choices(kind: Any) -> list[str]:
    """The words of which a value must be one; none if other values are allowed."""
    for meta in _metas(kind):
        if meta.extra and "choices" in meta.extra:
            return list(meta.extra["choices"])
    found: list[str] = []
    for option in _options(kind):
        if isinstance(option, type) and issubclass(option, enum.Enum):
            found += [str(one.value) for one in option]
        elif get_origin(option) is Literal:
            found += map(str, get_args(option))
    return found


def _metas(kind: Any) -> list[msgspec.Meta]:
    if get_origin(kind) is Annotated:
        return [one for one in get_args(kind)[1:] if isinstance(one, msgspec.Meta)]
    if get_origin(kind) in (Union, types.UnionType):
        parts = [part for part in get_args(kind) if part is not type(None)]
        return _metas(parts[0]) if len(parts) == 1 else []
    return []


def _describe(kind: Any) -> str:
    """Word what values of a type are."""
    descriptions = [meta.description for meta in _metas(kind) if meta.description]
    if descriptions:
        return descriptions[0]
    choices = _choices(kind)
    if choices:
        return ", ".join(choices)
    structs = [one for one in _options(kind) if _is_struct(one)]
    if any(one.__struct_config__.tag for one in structs):
        tags = ", ".join(str(one.__struct_config__.tag) for one in structs)
        return f"a table with the key {structs[0].__struct_config__.tag_field}: {tags}"
    return ", or ".join(_describe_option(one, meta) for one, meta in _bounded_options(kind))


def _bounded_options(kind: Any, bounds: msgspec.Meta | None = None) -> list[tuple[Any, Any]]:
    """The alternatives of a type, each with its bounds."""
    if get_origin(kind) is Annotated:
        inner, *metas = get_args(kind)
        return _bounded_options(inner, next(iter(metas), None))
    if get_origin(kind) in (Union, types.UnionType):
        return [one for part in get_args(kind) for one in _bounded_options(part)]
    if isinstance(kind, NewType):
        return _bounded_options(kind.__supertype__, bounds)
    return [] if kind is type(None) else [(kind, bounds or msgspec.Meta())]


_PLAIN: Final = {
    bool: "true or false",
    date: "a date such as 2026-12-24, without quotes",
}


def _describe_option(kind: Any, bounds: msgspec.Meta) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind is int:
        return "a whole number" + _range(bounds)
    if kind is float:
        most = "" if bounds.le is None else f", at most {bounds.le:g}"
        return f"a number above {bounds.gt:g}{most}"
    if kind is str:
        return "a text that is not empty" if bounds.min_length else "a text"
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        one_of = "one of " if _choices(item) else ""
        return f"a list{_length(bounds)}, each {one_of}{_describe(item)}"
    if get_origin(kind) is dict:
        return f"a table, with {_describe(get_args(kind)[1])} by each key"
    names = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
    return f"a table with some of the keys {names}"


def _range(bounds: msgspec.Meta) -> str:
    if bounds.ge is None:
        return ""
    return f" of at least {bounds.ge}" if bounds.le is None else f" from {bounds.ge} to {bounds.le}"


def _length(bounds: msgspec.Meta) -> str:
    if bounds.max_length is None:
        return " of at least one" if bounds.min_length else ""
    return f" of {bounds.min_length or 0} to {bounds.max_length}"
