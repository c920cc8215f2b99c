"""Numbers with their nouns, as every message says them."""

from __future__ import annotations

__all__ = ["plural"]


def plural(count: int, noun: str, many: str = "") -> str:
    """Return a number with its noun: ``1 prospect``, ``2,000 prospects``.

    Args:
        count: how many.
        noun: the word for one.
        many: the word for more; left out: ``noun`` with an ``s``.
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
