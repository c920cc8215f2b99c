"""How the policy commands lay out lines: no wider than the terminal, and no word lost."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.cells import cell_len

from cadence.cli.terminal import bare, from_ansi, neutral, paint, to_rich

__all__ = ["columns", "folded", "table", "to_copy", "wide"]

_LEAST: Final = 20
_USUAL: Final = 80


def columns() -> int | None:
    """How wide a line may be; ``None``: any, since the output is piped.

    It is the window's width. ``COLUMNS`` is not asked: a program that loads readline sets it for
    all that it starts, and piped lines must not depend on that.
    """
    if not sys.stdout.isatty():
        return None
    try:
        window = os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        window = 0
    return max(_LEAST, window or _USUAL)


def wide(text: str) -> int:
    """How many columns ``text`` takes in a terminal."""
    return cell_len(bare(text))


def folded(lines: Iterable[str], indent: int | None = None) -> Iterator[str]:
    """``lines`` with those folded that are too wide.

    Args:
        lines: plain or painted.
        indent: of further lines, in columns; the line's own and two more, if none is given.
    """
    limit = columns()
    for line in map(neutral, lines):
        if limit is None or wide(line) <= limit:
            yield line
        else:
            own = len(line) - len(line.lstrip(" ")) + 2
            yield from _fold(line, limit, min(own if indent is None else indent, limit // 2))


def to_copy(said: str, call: str) -> Iterator[str]:
    """A command to be copied, in one piece whatever the width; on its own line where it is long."""
    limit = columns()
    if limit is None or wide(f"{said} {call}") <= limit:
        yield f"{said} {call}"
    else:
        yield from (said, call)


def _fold(line: str, limit: int, indent: int) -> Iterator[str]:
    from io import StringIO  # beside rich, which piped output does not wait for

    from rich.console import Console

    console = Console(file=StringIO(), width=limit, force_terminal=True, highlight=False)
    content = line.lstrip(" ")
    margin = min(len(line) - len(content), indent)
    for number, part in enumerate(to_rich(content).wrap(console, limit - indent)):
        with console.capture() as drawn:
            console.print(part, end="", soft_wrap=True)
        yield " " * (indent if number else margin) + from_ansi(drawn.get())


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, lead: int) -> Iterator[str]:
    """Rows in columns where they fit; else each row's other cells under its first ones.

    Args:
        titles: of the columns.
        rows: plain cells; the cells of a column of numbers come aligned.
        lead: how many cells stay side by side in any case.
    """
    limit = columns()
    rows = [[neutral(cell) for cell in row] for row in rows]
    widths = [max(map(wide, cells)) for cells in zip(titles, *rows, strict=True)]
    if limit is None or sum(widths) + 2 * (len(widths) - 1) <= limit:
        yield paint(_row(titles, widths), "bold")
        yield from (_row(row, widths) for row in rows)
        return
    first = widths[: lead - 1]
    yield from folded([paint(_row(titles[:lead], first), "bold")])
    under = sum(first) + 2 * len(first) or 2
    for row in rows:
        yield from folded([_row(row[:lead], first)], under)
        for title, cell in zip(titles[lead:], row[lead:], strict=True):
            if cell:
                yield from folded([f"{' ' * under}{title}: {cell}"], under + 2)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell + " " * (width - wide(cell)) for cell, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, *cells[len(padded) :]]).rstrip()
