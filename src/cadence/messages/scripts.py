"""Find scripts by their names, and render them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from cadence.errors import PolicyError, did_you_mean
from cadence.messages.templates import render_template
from cadence.policy.toml_errors import TomlFile

__all__ = ["render", "script_names", "script_text"]

_NONE: Mapping[str, str] = {}


@lru_cache(maxsize=1)
def _scripts() -> dict[str, str]:
    folder = resources.files("cadence.messages").joinpath("scripts")
    found: dict[str, str] = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        tables = TomlFile(entry.name).parse(entry.read_text(encoding="utf-8"))
        found.update((name, table["text"].strip()) for name, table in tables.items())
    return found


def script_names() -> list[str]:
    """List the scripts that come with cadence."""
    return sorted(_scripts())


def script_text(name: str, own: Mapping[str, str] = _NONE) -> str:
    """Find the template of a script.

    Args:
        name: the script that a policy's part names.
        own: the policy's own scripts, which come first.

    Raises:
        PolicyError: the name is unknown; the hint names the nearest.
    """
    if name in own:
        return own[name].strip()
    scripts = _scripts()
    if name not in scripts:
        known = [*own, *scripts]
        raise PolicyError(f"script: unknown {name!r}", did_you_mean(name, known))
    return scripts[name]


def render(name: str, own: Mapping[str, str], words: Mapping[str, object]) -> str:
    """Render a script with its placeholders filled in.

    A script that can't be rendered gives its error in place of its text. So who to contact, and
    when, never depends on a misspelt placeholder.

    Args:
        name: the script that a policy's part names.
        own: the policy's own scripts, which come first.
        words: a value for each placeholder.
    """
    try:
        text = script_text(name, own)
    except PolicyError as error:
        return f"[{error.what}]"
    try:
        return render_template(text, words)
    except PolicyError as error:
        return f"[script {name} can't be rendered: {error.what}]"
