"""Write a policy as a file that reads back as the same policy, and the schema of such files."""

from __future__ import annotations

import inspect
import re
from datetime import date
from typing import Any

import msgspec
import tomli_w

from cadence.domain.events import AttemptStage
from cadence.policy.model import Policy

__all__ = ["json_schema", "to_toml"]


def to_toml(policy: Policy) -> str:
    """Write ``policy`` as a policy file: every value, in the order of the model, no comments."""
    plain = msgspec.to_builtins(policy)
    # Written as TOML's own dates, which the reader turns back into dates.
    plain["calendar"] = msgspec.to_builtins(policy.calendar, builtin_types=(date,))
    if policy.calendar.on:  # but for keys, which TOML has as text
        plain["calendar"]["on"] = msgspec.to_builtins(policy.calendar.on, str_keys=True)
    plain["guards"] = [msgspec.to_builtins(guard, builtin_types=(date,)) for guard in policy.guards]
    return tomli_w.dumps(_without_empty(plain))


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        members = {key: _without_empty(member) for key, member in value.items()}
        # An empty `rotate` is written too: without it the file would read back differently.
        return {
            key: member
            for key, member in members.items()
            if member is not None and (member not in ({}, []) or key == "rotate")
        }
    if isinstance(value, list | tuple):
        return [_without_empty(member) for member in value]
    return value


def json_schema() -> dict[str, Any]:
    """Make the JSON Schema of a policy file, for editors that check TOML against one.

    The loader checks more, such as that exactly one unit is given.
    """
    schema = msgspec.json.schema(Policy)
    tables = {name: _table(table) for name, table in schema["$defs"].items()}
    stages = tables[AttemptStage.__name__]
    stages["enum"] = [one for one in stages["enum"] if one != AttemptStage.EXTRA]  # no step
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A policy of cadence",
        "$ref": schema["$ref"],
        "$defs": tables,
    }


def _table(table: dict[str, Any]) -> dict[str, Any]:
    """Describe each key of a table by the docstring of its struct."""
    # Python 3.13 removes the indentation of a docstring itself.
    text = inspect.cleandoc(table.get("description", ""))
    said, _, attributes = text.partition("\n\nAttributes:\n")
    found = {**table, "description": _prose(said)}
    explained = {
        name: _prose(text)
        for name, text in re.findall(
            r"^ {4}(\w+): (.*?)(?=^ {4}\w+: |\Z)", attributes, re.DOTALL | re.MULTILINE
        )
    }
    if "properties" in table:
        found["properties"] = {
            key: {**_without_null(value), **_description(explained.get(key))}
            for key, value in table["properties"].items()
        }
    return found


def _description(text: str | None) -> dict[str, str]:
    return {} if text is None else {"description": text}


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    """Remove null, which TOML does not have: a key is left out instead."""
    found = {key: one for key, one in value.items() if (key, one) != ("default", None)}
    kinds = [one for one in found.pop("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) == 1:
        return {**kinds[0], **found}
    if kinds:
        found["anyOf"] = kinds
    if isinstance(found.get("items"), dict):
        items = dict(found["items"])
        items.pop("discriminator", None)  # of another standard
        found["items"] = items
    return found


def _prose(text: str) -> str:
    """Turn a docstring into one line of plain text."""
    return re.sub(r":\w+:`([^`]*)`|``([^`]*)``", r"\1\2", " ".join(text.split()))
