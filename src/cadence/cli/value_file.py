"""Read the values that a file keeps back for a prospect."""

from __future__ import annotations

from typing import Final

from cadence.domain.limits import ITEMS
from cadence.domain.plurals import plural
from cadence.errors import InputError
from cadence.messages.notes import LONGEST
from cadence.transfer.input_file import open_input

__all__ = ["read_values"]

_SHOWN: Final = 5
"""How many bad lines an error names."""


def read_values(file: str) -> list[str]:
    """Read values: one a line, where an indented line goes on with the one above.

    Empty lines do not count.

    Args:
        file: its path; ``-`` is standard input.

    Raises:
        InputError: it can't be read, holds none or too many, or lines of it are at fault: too long,
            not UTF-8, or a value that stands there twice.
    """
    texts: list[str] = []
    starts: list[int] = []
    bad: list[str] = []
    with open_input(file) as read:
        for number, line in enumerate(read.lines(), 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip()
            except UnicodeDecodeError:
                bad.append(f"line {number}: invalid: not UTF-8")
                continue
            if text[:1].isspace() and texts:
                texts[-1] += f" {text.strip()}"
            elif text.strip():
                texts.append(text.strip())
                starts.append(number)
            if len(texts) > ITEMS:
                raise InputError(
                    f"{file}: line {number}: invalid: more than {ITEMS:,} values", "give fewer"
                )
    first: dict[str, int] = {}
    for text, number in zip(texts, starts, strict=True):
        if len(text) > LONGEST:
            bad.append(f"line {number}: invalid: {len(text):,} characters, more than {LONGEST}")
        if first.setdefault(text.casefold(), number) != number:
            there = first[text.casefold()]
            bad.append(f"line {number}: invalid: it stands in line {there} already")
    if bad:
        more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise InputError(
            f"{file}: {plural(len(bad), 'bad line')}: {'; '.join(bad[:_SHOWN])}{more}",
            "fix the lines; no value was noted",
        )
    if not texts:
        raise InputError(f"{file}: no value in it", "give one value a line")
    return texts
