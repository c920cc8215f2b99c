"""The scripts: named templates, rendered in a sandbox with every placeholder defined."""

from __future__ import annotations

import difflib
import tomllib
from functools import lru_cache
from importlib import resources

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cadence.errors import PolicyError

__all__ = ["ENVIRONMENT", "script_names", "script_text", "template"]

ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
"""Templates can't reach Python from here, and a placeholder without a value is an error."""


@lru_cache(maxsize=1)
def _scripts() -> dict[str, str]:
    folder = resources.files("cadence.messages").joinpath("scripts")
    found: dict[str, str] = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        tables = tomllib.loads(entry.read_text(encoding="utf-8"))
        found.update((name, table["text"].strip()) for name, table in tables.items())
    return found


def script_names() -> list[str]:
    """Every script there is."""
    return sorted(_scripts())


def script_text(name: str) -> str:
    """The template of a script.

    Raises:
        PolicyError: there is none of this name.
    """
    scripts = _scripts()
    if name not in scripts:
        near = difflib.get_close_matches(name, scripts, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(scripts)}"
        raise PolicyError(f"script: {name!r} is none", hint)
    return scripts[name]


@lru_cache(maxsize=256)
def template(name: str) -> Template:
    """The compiled template of a script."""
    return ENVIRONMENT.from_string(script_text(name))
