"""Write lines to stdout and stderr; the other modules of the command line write nothing else.

Names, notes, files and databases may hold escape sequences, text that reads backwards, and line
breaks that forge a line of ours. All of them are shown as escapes here, whichever command writes
them. A style is a mark in the text: a lone surrogate, which no decoded text holds. It becomes an
escape sequence on the way out.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from cadence.errors import printable

if TYPE_CHECKING:
    from rich.text import Text

__all__ = [
    "bare",
    "from_ansi",
    "neutral",
    "paint",
    "printable_json",
    "to_rich",
    "write",
    "write_error",
    "write_json",
]

# The codes of the escape sequence that sets each style (SGR).
_CODES: Final = {
    "bold": 1,
    "dim": 2,
    "underline": 4,
    "strike": 9,
    "red": 31,
    "green": 32,
    "yellow": 33,
    "blue": 34,
    "magenta": 35,
    "cyan": 36,
}
_RESET: Final = 0
_FIRST_MARK: Final = 0xD800
_MARKS: Final = re.compile(r"([\ud800-\ud83f]+)")
_SEQUENCE: Final = re.compile(r"\x1b\[([0-9;]*)m")
_NOT_PLAIN_ASCII: Final = re.compile(r"[^ -~\n]")


def paint(text: str, style: str) -> str:
    """Mark ``text`` with a style such as ``"bold green"``; only a terminal shows it."""
    return _marks(_CODES[word] for word in style.split()) + text + _marks([_RESET])


def _marks(codes: Any) -> str:
    return "".join(chr(_FIRST_MARK + code) for code in codes)


def bare(line: str) -> str:
    """Return ``line`` without its styles."""
    return _MARKS.sub("", line)


def neutral(line: str) -> str:
    """Return ``line`` in one line, with its styles, and nothing else that steers a terminal."""
    if line.isprintable():
        return line
    parts = _MARKS.split(line)
    parts[::2] = map(printable, parts[::2])
    return "".join(parts)


def from_ansi(line: str) -> str:
    """Return a line that rich drew, with marks in place of its escape sequences."""
    return _SEQUENCE.sub(lambda found: _marks(map(int, found[1].split(";"))), line)


def _to_ansi(line: str) -> str:
    def sequence(found: re.Match[str]) -> str:
        return f"\x1b[{';'.join(str(ord(mark) - _FIRST_MARK) for mark in found[0])}m"

    return _MARKS.sub(sequence, neutral(line))


def to_rich(line: str) -> Text:
    """Return ``line`` as a text that rich can wrap and draw."""
    from rich.text import Text

    return Text.from_ansi(_to_ansi(line))


def _has_colours() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def write(line: str) -> None:
    """Write one line to stdout."""
    if not line.isprintable():
        line = _to_ansi(line) if _has_colours() else bare(neutral(line))
    sys.stdout.write(line + "\n")


def write_json(text: str) -> None:
    """Write JSON to stdout, in one line or indented."""
    sys.stdout.write(printable_json(text) + "\n")


def printable_json(text: str) -> str:
    """Return the same JSON with an escape for each character that is not printable."""
    if text.isprintable():
        return text
    return _NOT_PLAIN_ASCII.sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    sign = found[0]
    if sign.isprintable():
        return sign
    units = sign.encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def write_error(*lines: str) -> None:
    """Write lines to stderr, if it is open."""
    try:
        sys.stderr.writelines(f"{bare(neutral(line))}\n" for line in lines)
        sys.stderr.flush()
    except (AttributeError, OSError):
        pass  # stderr is closed; the exit code says it
