"""A policy written and read again is the same policy; its digest is of its meaning alone."""

from __future__ import annotations

import json
import random
import re
import tomllib
from datetime import date
from typing import Any

import paths
import policies
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from cadence.policy import builtin, builtin_names
from cadence.policy.loader import parse_text
from cadence.policy.model import Policy
from cadence.policy.writer import json_schema, to_toml

RICH = policies.rich()
DOCS = paths.DOCS


# Written and read ---------------------------------------------------------------------------------


def written_and_read(policy: Policy) -> None:
    text = to_toml(policy)
    again = parse_text(text, "again.toml")
    assert again == policy
    assert again.digest == policy.digest
    assert to_toml(again) == text


@given(policies.policies())
def test_a_policy_written_and_read_again_is_the_same(policy: Policy) -> None:
    written_and_read(policy)


@pytest.mark.parametrize("name", builtin_names())
def test_every_policy_of_the_catalogue_written_and_read_again_is_the_same(name: str) -> None:
    written_and_read(builtin(name))


def test_a_policy_with_every_key_written_and_read_again_is_the_same() -> None:
    written_and_read(RICH)


def _shuffled(value: Any, turn: random.Random) -> Any:
    """The same data with the keys of every table in another order."""
    if isinstance(value, dict):
        keys = list(value)
        turn.shuffle(keys)
        return {key: _shuffled(value[key], turn) for key in keys}
    if isinstance(value, list):
        return [_shuffled(one, turn) for one in value]
    return value


@given(policies.raw_policies(), st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_layout(raw: policies.Raw, turn: random.Random) -> None:
    plain = tomli_w.dumps(_shuffled(raw, turn))
    text = "# a comment\n\n" + plain.replace("\n[", "  # more\n\n\n[")
    assert parse_text(text, "other.toml").digest == policies.made(raw).digest


@pytest.mark.parametrize("name", policies.SAME)
def test_what_means_the_same_has_the_same_digest(name: str) -> None:
    assert policies.changed(RICH, policies.SAME[name]).digest == RICH.digest


def test_an_id_that_is_the_kind_changes_no_digest_whatever_stands_beside_it() -> None:
    day = {"kind": "pause", "first_day": date(2026, 8, 3), "last_day": date(2026, 8, 7)}
    first = policies.changed(RICH, lambda raw: raw.update(guards=[day, {**day, "id": "a"}]))
    said = policies.changed(
        RICH, lambda raw: raw.update(guards=[{**day, "id": "pause"}, {**day, "id": "a"}])
    )
    assert first.digest == said.digest


@pytest.mark.parametrize("name", {**policies.CHANGES, **policies.RENAMED})
def test_every_change_of_meaning_changes_the_digest(name: str) -> None:
    changed = policies.changed(RICH, {**policies.CHANGES, **policies.RENAMED}[name])
    assert changed.digest != RICH.digest
    written_and_read(changed)


def test_every_key_of_the_language_is_changed_by_one_of_these() -> None:
    """A key that is added to the language is added here, or this fails."""
    keys = set(_keys(json_schema(), json_schema()["$defs"]))
    assert keys == set(_used(tomllib.loads(policies.RICH))) | {
        # Nothing here has hours on these days, or functions of a team's own.
        *("sat", "sun", "function"),
        # It lists the channels that it uses, and so declares none.
        *("address", "spoken", "answer_business_days", "used", "caller_id"),
    }


def _keys(schema: Any, defs: dict[str, Any]) -> list[str]:
    tables = [schema["$defs"]["Policy"], *defs.values()] if "$defs" in schema else []
    return [key for table in tables for key in table.get("properties", ())]


def _is_name(key: str) -> bool:
    """Whether a key is a name of the file's own: a script, a language or a date."""
    return key in ("ours", "formed", "es") or key[0].isdigit()


def _used(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for one in value.values() for key in _used(one) if not _is_name(key))]
    if isinstance(value, list):
        return [key for one in value for key in _used(one)]
    return []


# The schema ---------------------------------------------------------------------------------------


def accepts(schema: Any, value: Any, defs: dict[str, Any]) -> bool:
    """Whether ``schema`` accepts ``value``; of JSON Schema no more than these schemas use."""
    known = {
        *("$ref", "$schema", "$defs", "$id", "title", "description", "default", "type", "enum"),
        *("const", "properties", "required", "additionalProperties", "items", "anyOf", "pattern"),
        *("minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems"),
        *("maxItems", "propertyNames", "format", "discriminator", "examples"),
    }
    assert set(schema) <= known, set(schema) - known
    if "$ref" in schema:
        return accepts(defs[schema["$ref"].rsplit("/", 1)[1]], value, defs)
    if "anyOf" in schema:
        return any(accepts(one, value, defs) for one in schema["anyOf"])
    if isinstance(value, date):
        value = value.isoformat()  # how editors hand a TOML date to the schema
    kinds = {
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
        "string": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "null": value is None,
    }
    if "type" in schema and not kinds[schema["type"]]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if kinds["object"]:
        properties = schema.get("properties", {})
        more = schema.get("additionalProperties", True)
        for key, one in value.items():
            if key in properties:
                if not accepts(properties[key], one, defs):
                    return False
            elif more is False or (isinstance(more, dict) and not accepts(more, one, defs)):
                return False
        return all(key in value for key in schema.get("required", ()))
    if kinds["array"]:
        least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
        fits = least <= len(value) <= most
        return fits and all(accepts(schema.get("items", {}), one, defs) for one in value)
    if kinds["number"]:
        if schema.get("minimum", value) > value or schema.get("maximum", value) < value:
            return False
        return value > schema.get("exclusiveMinimum", value - 1)
    if kinds["string"]:
        if schema.get("format") == "date" and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return False
        if not re.search(schema.get("pattern", ""), value):
            return False
        return schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    return True


def fits(raw: policies.Raw) -> bool:
    schema = json_schema()
    return accepts(schema, raw, schema["$defs"])


@pytest.mark.parametrize("name", builtin_names())
def test_the_schema_accepts_the_catalogue(name: str) -> None:
    folder = paths.ROOT / "src/cadence/policy/builtin"
    assert fits(tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8")))


@given(policies.raw_policies())
def test_the_schema_accepts_whatever_can_be_read(raw: policies.Raw) -> None:
    assert policies.made(raw)
    assert fits(raw)


@pytest.mark.parametrize("name", {**policies.SAME, **policies.CHANGES})
def test_the_schema_accepts_every_key(name: str) -> None:
    raw = tomllib.loads(policies.RICH)
    {**policies.SAME, **policies.CHANGES}[name](raw)
    assert fits(raw)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("horizon_business_day", 3),
        ("horizon_business_days", 0),
        ("horizon_business_days", "3"),
        ("steps", []),
        ("steps.on_time.stage", "spacd"),
        ("steps.on_time.stage", "extra"),
        ("steps.on_time.parts.0.channels", ["Fax"]),
        ("steps.on_time.parts.0.channels", []),
        ("steps.on_time.at", "noon"),
        ("steps.half_day.after.hours", 1.5),
        ("steps.half_day.after.weeks", 1),
        ("steps.spaced.rotate.days", ["monday"]),
        ("guards.lunch.kind", "contact_windw"),
        ("guards.frequency_cap.attempts", None),
        ("guards.pause.last_day", "tomorrow"),
        ("calendar.monday", ["09:00-17:00"]),
        ("id", "Not An Id"),
        ("version", None),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(path: str, value: object) -> None:
    raw = tomllib.loads(policies.RICH)
    policies._set(path, value)(raw)
    assert not fits(raw)
    with pytest.raises(Exception, match=r"made\.toml"):
        policies.made(raw)


def test_the_schema_explains_its_keys() -> None:
    schema = json_schema()
    step = schema["$defs"]["Step"]["properties"]
    assert "answer" in step["answer_within"]["description"]
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_the_schema_in_the_docs_is_this_one() -> None:
    stored = json.loads((DOCS / "reference" / "policy.schema.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(json_schema()))
