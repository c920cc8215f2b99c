"""Find words that a language avoids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cadence.messages.languages import Avoid, Language

__all__ = ["contains", "faults_of_wording"]


def faults_of_wording(text: str, language: Language) -> Iterator[tuple[Avoid, str]]:
    """Yield the words of ``text`` that the language avoids, each with its rule."""
    for avoid in language.avoid:
        for words in avoid.words:
            if contains(text, words):
                yield avoid, words


def contains(text: str, words: str) -> bool:
    """Return whether ``text`` has these words, whole, in any case and spacing."""
    return _pattern(words).search(_folded(text)) is not None


@lru_cache(maxsize=64)
def _folded(text: str) -> str:
    return " ".join(text.casefold().replace("’", "'").split())


@lru_cache(maxsize=2048)
def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(_folded(words))}(?!\w)")
