"""Writing a policy: the file that, read again, is the same policy; and the schema of such files."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import msgspec
import tomli_w

from cadence.domain.events import AttemptStage
from cadence.policy.model import Policy

__all__ = ["json_schema", "to_toml"]


def to_toml(policy: Policy) -> str:
    """``policy`` as a policy file: every value, in the order of the model, without comments."""
    plain = msgspec.to_builtins(policy)
    # Written as TOML's own dates, which the reader turns back into dates.
    plain["calendar"] = msgspec.to_builtins(policy.calendar, builtin_types=(date,))
    plain["guards"] = [msgspec.to_builtins(one, builtin_types=(date,)) for one in policy.guards]
    return tomli_w.dumps(_without_empty(plain))


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        made = {key: _without_empty(one) for key, one in value.items()}
        # A rotation that turns nothing is written all the same: it was read.
        return {
            key: one
            for key, one in made.items()
            if one is not None and (one not in ({}, []) or key == "rotate")
        }
    if isinstance(value, list | tuple):
        return [_without_empty(one) for one in value]
    return value


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file, for editors that check TOML against one.

    It says less than the loader: that exactly one unit is given, for one, only the loader says.
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
    """A table with what its docstring says of each key said beside the key."""
    said, _, attributes = table.get("description", "").partition("\n\n    Attributes:\n")
    found = {**table, "description": _prose(said)}
    explained = {
        name: _prose(text)
        for name, text in re.findall(
            r"^ {8}(\w+): (.*?)(?=^ {8}\w+: |\Z)", attributes, re.DOTALL | re.MULTILINE
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
    """TOML has no null: a key is left out."""
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
    """A docstring as one line of plain text."""
    return re.sub(r":\w+:`([^`]*)`|``([^`]*)``", r"\1\2", " ".join(text.split()))
