"""Check what is noted about a prospect before it is said to them."""

from __future__ import annotations

import re
from typing import Final

from cadence.domain.events import ValueKind
from cadence.messages.languages import Language
from cadence.messages.templates import render_template
from cadence.messages.wording import contains, faults_of_wording

__all__ = ["LONGEST", "completed", "faults_of_note", "sayable"]

LONGEST: Final = 300
"""Characters of a note that can be said: the part of a sentence."""
_LINK: Final = re.compile(r"https?://\S+")
_SIGNS: Final = re.compile(r"[?!{}<>\[\]|@#=_\\^*]")
# The end of one sentence and the begin of the next; "St. John" and "Mr. Lee" are none.
_TWO_SENTENCES: Final = re.compile(r"\w{4,}[.;:]\s+\w|\n")


def sayable(text: str, language: Language) -> str:
    """Return a note as it completes a sentence to them; empty where it can't be said.

    What looks like a private note is not said: better no reason than that.
    """
    text = " ".join(text.split()).rstrip(" .,;:")
    return "" if any(_structural(text, language)) else text


def faults_of_note(text: str, language: Language) -> list[str]:
    """List why a note reads badly as the end of a sentence to them."""
    plain = " ".join(text.split()).rstrip(" .,;:")
    found = [*_structural(plain, language)]
    found += [f"{words!r}: {avoid.why}" for avoid, words in faults_of_wording(plain, language)]
    return found


def completed(text: str, language: Language, kind: ValueKind | None = None) -> str:
    """Return the sentence that a note completes, to show it to its author.

    Args:
        text: what was noted.
        language: in which it is said.
        kind: of a value; ``None``: it is an interest.
    """
    key = "interest" if kind is None else "value"
    is_personal = kind is ValueKind.PERSONAL
    words = {key: " ".join(text.split()).rstrip(" .,;:"), "value_is_personal": is_personal}
    return render_template(language.phrases[f"{key}_sentence"].strip(), words)


def _structural(text: str, language: Language) -> list[str]:
    plain = _LINK.sub("", text)
    found = []
    if not text:
        found.append("it is empty")
    if len(text) > LONGEST:
        found.append(f"it has more than {LONGEST} characters")
    signs = sorted(set(_SIGNS.findall(plain)))
    if signs:
        found.append(f"it has {' '.join(signs)}")
    if _TWO_SENTENCES.search(plain):
        found.append("it is more than a part of a sentence")
    private = [word for word in language.private if contains(plain, word)]
    if private:
        found.append(f"it reads like a note about them: {', '.join(private)}")
    return found
