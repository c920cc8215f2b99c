"""Writing a policy: the file that, read again, is the same policy; and the schema of such files."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import tomli_w

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
        return {key: one for key, one in made.items() if one is not None and one not in ({}, [])}
    if isinstance(value, list | tuple):
        return [_without_empty(one) for one in value]
    return value


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file, for editors that check TOML against one."""
    schema = msgspec.json.schema(Policy)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A policy of cadence"
    return schema
