"""Find scripts by their names, and render them in a form and a language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from cadence.errors import PolicyError, did_you_mean
from cadence.messages.languages import ENGLISH, Language, builtin_languages
from cadence.messages.sms import sms_text
from cadence.messages.templates import placeholders, render_template
from cadence.policy.script_forms import Form, Script, ScriptForms

__all__ = ["FoundScript", "Message", "find_script", "render_message", "script_names"]

_NONE: Mapping[str, Script] = {}

# What is said where a script lacks a form, in this order.
_OTHERWISE: Final = {
    Form.VOICEMAIL: (Form.SMS, Form.LIVE),
    Form.LIVE: (Form.VOICEMAIL, Form.SMS),
    Form.EMAIL: (Form.LETTER, Form.VOICEMAIL, Form.SMS),
    Form.SMS: (Form.VOICEMAIL, Form.EMAIL),
    Form.LETTER: (Form.EMAIL, Form.VOICEMAIL, Form.SMS),
}
# A letter says what an email says; the languages put other lines around it.
_AS_GOOD: Final = {(Form.LETTER, Form.EMAIL)}


class FoundScript(NamedTuple):
    """A template, and how it was found.

    Attributes:
        text: the template.
        subject: the one of an email; empty for others.
        language: the code of the language that it is in.
        is_whole: nothing is put before and after it.
        lacks: what the script lacks: a form or a language; empty where it has what was asked for.
    """

    text: str
    subject: str
    language: str
    is_whole: bool = False
    lacks: str = ""


class Message(NamedTuple):
    """A message as it is said; ``subject`` is empty for all but emails."""

    text: str
    subject: str = ""


def script_names() -> list[str]:
    """List the scripts that come with cadence."""
    return sorted(builtin_languages()[ENGLISH].scripts)


def find_script(
    name: str,
    form: Form,
    language: str,
    languages: Mapping[str, Language],
    own: Mapping[str, Script] = _NONE,
) -> FoundScript:
    """Find the template of a script.

    A policy's own script comes first. A script that lacks a language is said in English or in the
    one it is written in; one that lacks a form in another form of it.

    Args:
        name: the script that a policy's part names.
        form: how it is said.
        language: the code of the language.
        languages: those that the team has, by code.
        own: the policy's own scripts.

    Raises:
        PolicyError: the name is unknown; the hint names the nearest.
    """
    script = own.get(name)
    if isinstance(script, str):
        return FoundScript(script.strip(), "", language, is_whole=True)
    if script is not None:
        translated = script.languages.get(language)
        if translated is not None:
            return _in_form(translated, form, language, "")
        # A policy does not say in which language it is; English is the one of the catalogue.
        lacks = "" if language == ENGLISH else f"language {language}"
        return _in_form(script, form, ENGLISH, lacks)
    for code in (language, ENGLISH):
        if code in languages and name in languages[code].scripts:
            lacks = "" if code == language else f"language {language}"
            return _in_form(languages[code].scripts[name], form, code, lacks)
    known = [*own, *script_names()]
    raise PolicyError(f"script: unknown {name!r}", did_you_mean(name, known))


def _in_form(script: ScriptForms, form: Form, language: str, lacks: str) -> FoundScript:
    for one in (form, *_OTHERWISE[form]):
        found = getattr(script, one.value)
        if found is None:
            continue
        if one is not form and (form, one) not in _AS_GOOD:
            lacks = lacks or f"form {form}"
        text, subject = (found, "") if isinstance(found, str) else (found.text, found.subject)
        subject = subject if form is Form.EMAIL else ""
        # Lines around another form's text would greet twice.
        is_whole = one in (Form.VOICEMAIL, Form.SMS) and form in (Form.EMAIL, Form.LETTER)
        return FoundScript(text.strip(), subject, language, is_whole, lacks)
    return FoundScript("", "", language, lacks=f"form {form}")


def render_message(
    found: FoundScript, form: Form, languages: Mapping[str, Language], words: Mapping[str, object]
) -> Message:
    """Render a script.

    Args:
        found: the script.
        form: how it is said.
        languages: those that the team has, by code.
        words: a value for each placeholder that is no phrase.

    Raises:
        PolicyError: it can't be rendered.
    """
    language = languages.get(found.language) or languages[ENGLISH]
    filled = dict(words)
    pieces = [found.text]
    if not found.is_whole:
        pieces = [language.before.get(form, ""), found.text, language.after.get(form, "")]
    text = "".join(_fill(piece, language, filled) for piece in pieces)
    subject = _fill(found.subject or language.phrases["subject"], language, filled)
    text = _tidy(text)
    if form is Form.SMS:
        text = sms_text(text)
    return Message(text, " ".join(_tidy(subject).split()) if form is Form.EMAIL else "")


def _fill(text: str, language: Language, words: dict[str, object]) -> str:
    """Render a template; the phrases that it uses are rendered first, and kept in ``words``."""
    for name in placeholders(text):
        if name not in words and name in language.phrases:
            words[name] = _fill(language.phrases[name].strip("\n"), language, words)
    return render_template(text, words) if text else ""


def _tidy(text: str) -> str:
    """Take out the spaces that empty placeholders leave, line by line, and empty lines in a row."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        line = " ".join(line.split()).replace(" ,", ",")
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).strip()
