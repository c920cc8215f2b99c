"""What a policy file may say at a place, in the words of whoever writes one.

Read off the types of ``policy/model.py`` and ``policy/guards.py``, so that no error names a value
that they would refuse.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from msgspec import inspect

from cadence.domain.events import AttemptStage
from cadence.policy.model import Policy

__all__ = ["allowed_at", "words_at"]

_NO_STEP: Final = AttemptStage.EXTRA  # a stage of attempts that no plan has


def words_at(raw: dict[str, Any], path: Sequence[str | int]) -> list[str]:
    """The words of which the value at ``path`` must be one; none, if it is no choice of words.

    Args:
        raw: the file.
        path: keys and places in lists, from the top.
    """
    return _choices(_type_at(raw, path))


def allowed_at(raw: dict[str, Any], path: Sequence[str | int]) -> str:
    """What may stand at ``path``, in words.

    Args:
        raw: the file.
        path: keys and places in lists, from the top.
    """
    return _words(_type_at(raw, path))


@lru_cache(maxsize=1)
def _policy() -> inspect.Type:
    return inspect.type_info(Policy)


def _type_at(raw: dict[str, Any], path: Sequence[str | int]) -> inspect.Type:
    found: inspect.Type = _policy()
    value: Any = raw
    for part in path:
        found = _inner(found, value, part)
        value = value.get(part) if isinstance(value, dict) else value[part]
    return found


def _inner(outer: inspect.Type, value: Any, part: str | int) -> inspect.Type:
    """The type of what ``outer`` has at a key or a place."""
    for one in _options(outer):
        if isinstance(one, inspect.VarTupleType) and isinstance(part, int):
            return one.item_type
        if isinstance(one, inspect.DictType):
            return one.value_type
        if isinstance(one, inspect.StructType) and one.tag in (None, value.get("kind")):
            return next(field.type for field in one.fields if field.name == part)
    raise LookupError(part)  # the loader looks at types only where the keys are known


def _options(one: inspect.Type) -> list[inspect.Type]:
    """What a type may be, ``None`` apart: TOML has none."""
    if isinstance(one, inspect.Metadata):
        return _options(one.type)
    if isinstance(one, inspect.UnionType):
        return [option for option in one.types if not isinstance(option, inspect.NoneType)]
    return [one]


def _choices(one: inspect.Type) -> list[str]:
    found: list[str] = []
    for option in _options(one):
        values: Iterable[object] = ()
        if isinstance(option, inspect.EnumType):
            values = option.cls
        elif isinstance(option, inspect.LiteralType):
            values = option.values
        for value in values:
            if value is not _NO_STEP:
                found.append(str(value.value if isinstance(value, enum.Enum) else value))
    return found


def _words(one: inspect.Type) -> str:
    if isinstance(one, inspect.Metadata) and one.extra_json_schema:
        return str(one.extra_json_schema["description"])
    choices = _choices(one)
    if choices:
        return ", ".join(choices)
    options = _options(one)
    tags = [option.tag for option in options if isinstance(option, inspect.StructType)]
    if any(tags):
        return f"a table with the key kind: {', '.join(map(str, tags))}"
    return ", or ".join(map(_one, options))


def _one(one: inspect.Type) -> str:
    if isinstance(one, inspect.IntType):
        return "a whole number" + _range(one.ge, one.le)
    if isinstance(one, inspect.FloatType):
        most = "" if one.le is None else f", at most {one.le:g}"
        return f"a number above {one.gt:g}{most}"
    if isinstance(one, inspect.StrType):
        return "a text that is not empty" if one.min_length else "a text"
    if isinstance(one, inspect.BoolType):
        return "true or false"
    if isinstance(one, inspect.DateType):
        return "a date such as 2026-12-24, without quotes"
    if isinstance(one, inspect.VarTupleType):
        one_of = "one of " if _choices(one.item_type) else ""
        length = _length(one.min_length, one.max_length)
        return f"a list{length}, each {one_of}{_words(one.item_type)}"
    if isinstance(one, inspect.DictType):
        return f"a table, with {_words(one.value_type)} by each key"
    assert isinstance(one, inspect.StructType)  # a policy is made of nothing else
    return f"a table with some of the keys {', '.join(field.name for field in one.fields)}"


def _range(least: float | None, most: float | None) -> str:
    if least is None:
        return ""
    return f" of at least {least}" if most is None else f" from {least} to {most}"


def _length(least: int | None, most: int | None) -> str:
    if most is None:
        return " of at least one" if least else ""
    return f" of {least or 0} to {most}"
