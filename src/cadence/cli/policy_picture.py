"""A policy as a picture of characters: one lane a channel, from the first day to the last."""

from __future__ import annotations

from collections.abc import Sequence

from cadence.domain.channels import in_order
from cadence.prover.timetable import Entry

__all__ = ["picture"]

_WIDTH = 72


def picture(entries: Sequence[Entry], width: int = _WIDTH) -> list[str]:
    """Lines that show which touch comes when; a digit is so many touches in one place.

    Args:
        entries: the timetable.
        width: how many characters wide a line may be; what is said under the lanes may be wider.
    """
    if not entries:
        return []
    used = in_order(one for entry in entries for one in entry.channels)
    days: dict[str, list[int]] = {
        c: [e.business_day for e in entries if c in e.channels] for c in used
    }
    for end in dict.fromkeys(e.step for e in entries if not e.channels):
        days[end] = [e.business_day for e in entries if e.step == end]
    margin = max(map(len, days))
    room = max(5, width - margin - 1)
    last = max(entry.business_day for entry in entries)
    # One column a business day where that fits, fewer for longer plans.
    scale = last // room + 1
    columns = last // scale + 1
    lines = [f"{'day':{margin}} {_axis(columns, scale, room)}"]
    several = False
    for name, found in days.items():
        marks = [
            _mark(n, is_channel=name in used)
            for n in _counts([day // scale for day in found], columns)
        ]
        several = several or any(mark not in _ONE for mark in marks)
        lines.append(f"{name:{margin}} {''.join(marks)}".rstrip())
    if scale > 1:
        lines.append(f"{'':{margin}} one column is {scale} business days")
    if several:
        lines.append(f"{'':{margin}} a digit is so many touches in one place")
    return lines


def _counts(places: list[int], columns: int) -> list[int]:
    counts = [0] * columns
    for place in places:
        counts[place] += 1
    return counts


_ONE = " ●■"


def _mark(number: int, *, is_channel: bool) -> str:
    if not number:
        return " "
    if not is_channel:
        return "■"
    return "●" if number == 1 else str(number) if number < 10 else "+"


def _axis(columns: int, scale: int, room: int) -> str:
    axis = [" "] * room
    for column in range(0, columns, 10 if columns > 20 else 5):
        label = str(column * scale)
        if column + len(label) <= room:
            axis[column : column + len(label)] = label
    return "".join(axis).rstrip()
