"""The scripts: named templates, rendered in a sandbox with every placeholder defined."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cadence.errors import PolicyError

__all__ = ["ENVIRONMENT", "render", "script_names", "script_text"]

ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
"""Templates can't reach Python from here, and a placeholder without a value is an error."""


_NONE: Mapping[str, str] = {}


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


def script_text(name: str, own: Mapping[str, str] = _NONE) -> str:
    """The template of a script.

    Args:
        name: what a policy's part asks for.
        own: the policy's own scripts, which come first.

    Raises:
        PolicyError: there is none of this name.
    """
    if name in own:
        return own[name].strip()
    scripts = _scripts()
    if name not in scripts:
        known = [*own, *scripts]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
        raise PolicyError(f"script: {name!r} is none", hint)
    return scripts[name]


def render(name: str, own: Mapping[str, str], words: Mapping[str, object]) -> str:
    """The text of a script with its placeholders filled in.

    A script that can't be rendered says so in place of its words: whom to contact, and when, must
    not depend on a misspelt placeholder.

    Args:
        name: what a policy's part asks for.
        own: the policy's own scripts, which come first.
        words: a value for each placeholder.
    """
    try:
        return _compiled(script_text(name, own)).render(words)
    except PolicyError as error:
        return f"[{error.what}]"
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        return f"[script {name} can't be said: {error}]"


@lru_cache(maxsize=256)
def _compiled(text: str) -> Template:
    return ENVIRONMENT.from_string(text)
