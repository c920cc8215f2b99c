"""A policy as a picture of characters: one lane a channel, from the first day to the last."""

from __future__ import annotations

from collections.abc import Sequence

from cadence.core.events import Channel
from cadence.policy.timetable import Entry

__all__ = ["picture"]

_WIDTH = 64


def picture(entries: Sequence[Entry], width: int = _WIDTH) -> list[str]:
    """Lines that show which touch comes when; a digit is so many touches in one place.

    Args:
        entries: the timetable.
        width: how many characters wide the lanes may be.
    """
    if not entries:
        return []
    last = max(entry.business_day for entry in entries)
    # One column a business day where that fits, fewer for longer plans.
    scale = 1 if last < width else (last + width) // width
    columns = last // scale + 1
    used = [c for c in Channel if any(c.value in entry.channels for entry in entries)]
    lanes = [
        (c.value, [e.business_day // scale for e in entries if c.value in e.channels]) for c in used
    ]
    for end in dict.fromkeys(e.step for e in entries if not e.channels):
        lanes.append((end, [e.business_day // scale for e in entries if e.step == end]))
    margin = max(len(name) for name, _ in lanes)
    lines = [f"{'day':{margin}} {_axis(columns, scale)}"]
    for name, places in lanes:
        marks = [_mark(n, name) for n in _counts(places, columns)]
        lines.append(f"{name:{margin}} {''.join(marks)}".rstrip())
    if scale > 1:
        lines.append(f"{'':{margin}} one column is {scale} business days")
    return lines


def _counts(places: list[int], columns: int) -> list[int]:
    counts = [0] * columns
    for place in places:
        counts[place] += 1
    return counts


def _mark(number: int, lane: str) -> str:
    if not number:
        return " "
    if lane not in set(Channel):
        return "■"
    return "●" if number == 1 else str(number) if number < 10 else "+"


def _axis(columns: int, scale: int) -> str:
    axis = [" "] * (columns + 6)
    for column in range(0, columns, 10 if columns > 20 else 5):
        for offset, digit in enumerate(str(column * scale)):
            axis[column + offset] = digit
    return "".join(axis).rstrip()
