"""Read languages: one file each, with phrases, scripts in every form, and words to avoid.

English and Spanish come with cadence (``languages/en.toml``). A team adds a language, or replaces
one of these, by a file of the same shape.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Annotated, Final

import msgspec

from cadence.domain.team import Team
from cadence.errors import InputError
from cadence.messages.templates import placeholders
from cadence.policy.script_forms import Form, ScriptForms
from cadence.policy.toml_errors import TomlFile

__all__ = ["ENGLISH", "Avoid", "Language", "builtin_languages", "languages_of", "parse_language"]

ENGLISH: Final = "en"
"""What every script that comes with cadence has."""

_MAX_NESTED: Final = 8

_Words = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class Avoid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words that a message may not have.

    Attributes:
        rule: its name, by which a policy makes it a warning.
        why: what is wrong with them.
        instead: a better wording.
        source: where the rule comes from.
        words: each as a whole, in lower case.
    """

    rule: str
    why: str
    instead: str
    source: str
    words: _Words


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a language says.

    Attributes:
        name: its own name for itself.
        day: the pattern of a day in Babel's letters; the locale's, where there is none.
        phrases: templates that others use as placeholders.
        before: what stands before the text of each form.
        after: what stands behind it.
        scripts: by name, in every form.
        way_out: wordings of which a message with a way out has one.
        concern: wordings of which the message "are you OK?" has one.
        capitals: words that may be in capital letters.
        private: words that tell a note about a prospect from a word to them.
        avoid: words that no message may have.
    """

    name: str
    phrases: dict[str, str]
    before: dict[Form, str]
    after: dict[Form, str]
    scripts: dict[str, ScriptForms]
    way_out: _Words
    concern: _Words
    day: str | None = None
    capitals: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    avoid: tuple[Avoid, ...] = ()


@lru_cache(maxsize=1)
def builtin_languages() -> dict[str, Language]:
    """Return the languages that come with cadence, by their codes."""
    folder = resources.files("cadence.messages").joinpath("languages")
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return {
        entry.name.removesuffix(".toml"): parse_language(
            entry.read_text(encoding="utf-8"), entry.name
        )
        for entry in entries
        if entry.name.endswith(".toml")
    }


def languages_of(team: Team) -> dict[str, Language]:
    """Return the languages that a team has: those of cadence, and its own in place of them."""
    if not team.languages:
        return builtin_languages()
    own = {code: parse_language(text, f"{code}.toml") for code, text in team.languages.items()}
    return {**builtin_languages(), **own}


@lru_cache(maxsize=64)
def parse_language(text: str, name: str) -> Language:
    """Read a language.

    Args:
        text: TOML.
        name: what to call it in errors.

    Raises:
        InputError: it is no TOML, a key is unknown or missing, or a phrase is no template.
    """
    file = TomlFile(name, InputError)
    found = file.convert(file.parse(text), Language)
    for phrase in found.phrases:
        _check_phrase(found, phrase, name, 0)
    return found


def _check_phrase(language: Language, phrase: str, name: str, depth: int) -> None:
    if depth > _MAX_NESTED:
        raise InputError(
            f"{name}: phrases.{phrase}: nested too deep", f"nest at most {_MAX_NESTED} phrases"
        )
    for used in placeholders(language.phrases[phrase]) & language.phrases.keys():
        _check_phrase(language, used, name, depth + 1)
