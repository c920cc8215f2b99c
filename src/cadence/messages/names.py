"""Turn a name as it was typed into what a person would say in greeting."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

from cadence.domain.prospect import Identity

__all__ = ["SpokenName", "spoken_name"]

_NOT_A_NAME: Final = re.compile(r"[^\w\s.,'’\-·()]|[\d_]")
# A name that begins with one of these, in lower case, has no given name before it.
_PARTICLES: Final = frozenset(
    (
        *("af", "al", "bin", "da", "das", "de", "del", "della", "der", "di", "dos", "du", "el"),
        *("la", "le", "ten", "ter", "van", "von", "zu", "zum", "zur"),
    )
)
_LONGEST: Final = 60  # characters; a longer name is no name that anybody says


class SpokenName(NamedTuple):
    """A name in its parts; an empty text for what is not known.

    Attributes:
        greeting: what follows "Hello": "Jane", "Dr. Smith"; empty where nothing can be said.
        given: the given name.
        family: the family name.
        salutation: as it was stated, or the title of the name.
    """

    greeting: str
    given: str
    family: str
    salutation: str


def spoken_name(identity: Identity) -> SpokenName:
    """Return how a prospect is greeted.

    What was stated by hand (``salutation``, ``given_name``, ``family_name``) comes first; the rest
    is read from the name. A title is said with the family name, otherwise the given name is said. A
    name in another script than Latin is said whole, because which part is which differs. A family
    name alone is not said without a title.
    """
    parsed = _read(identity.name)
    given = _tidy(identity.given_name) or parsed.given
    family = _tidy(identity.family_name) or parsed.family
    stated = _tidy(identity.salutation)
    if stated:
        # "Dr." and "Ms" need the name; "Dr. Smith" and "Janey" are the whole greeting.
        is_title = " " not in stated and _is_title(stated)
        greeting = f"{stated} {family}".strip() if is_title else stated
        return SpokenName(greeting, given, family, stated)
    if identity.given_name:
        return SpokenName(given, given, family, parsed.salutation)
    if identity.family_name:
        titled = f"{parsed.salutation} {family}" if parsed.salutation else ""
        return SpokenName(titled or parsed.given, given, family, parsed.salutation)
    return parsed


@lru_cache(maxsize=4096)
def _read(name: str) -> SpokenName:
    text = _tidy(name)
    if not text or _NOT_A_NAME.search(text) or len(text) > _LONGEST:
        return SpokenName("", "", "", "")
    if not _is_latin(text):
        return SpokenName(text, "", "", "")
    # Loaded here: it takes as long as the rest of the command (0.2 s).
    from nameparser import HumanName

    words = text.split()
    found = HumanName(text)
    if text == text.upper() or text == text.lower():
        found.capitalize(force=True)
    title, first, last = str(found.title), str(found.first), str(found.last)
    if title and last:
        return SpokenName(f"{title} {last}", first, last, title)
    if words[0] in _PARTICLES and text != text.lower():
        return SpokenName("", "", text, title)
    if len(first.strip(".")) < 2:  # an initial
        return SpokenName("", "", last, title)
    return SpokenName(first, first, last, title)


def _is_title(word: str) -> bool:
    from nameparser import HumanName

    return bool(str(HumanName(f"{word} Jane Smith").title))


def _tidy(text: str | None) -> str:
    if not text:
        return ""
    printable = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", text))
    return " ".join(printable.split()).strip(" ,")


def _is_latin(text: str) -> bool:
    return all(unicodedata.name(c, "").startswith("LATIN") for c in text if c.isalpha())
