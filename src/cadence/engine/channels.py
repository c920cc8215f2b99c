"""On what a touch reaches them: its parts, each on a contact point that may still be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cadence.domain.events import Channel
from cadence.domain.prospect import Prospect
from cadence.engine import invariants
from cadence.policy.model import PlannedTouch, Policy, StepPart
from cadence.policy.touch import TouchPart

__all__ = ["Points", "exit_parts", "left", "parts_on"]

Points = tuple[tuple[Channel, str], ...]
"""Contact points: channel and address, in the order in which they became known."""

_CHANNELS: Final = len(Channel)


def left(prospect: Prospect, policy: Policy) -> Points:
    """The contact points that may still be used, on channels that the team uses."""
    every, usable = invariants.contact_points_left(prospect), policy.usable
    if len(usable) == _CHANNELS:
        return every
    return tuple(point for point in every if point[0] in usable)


def parts_on(
    prospect: Prospect, planned: tuple[StepPart, ...], points: Sequence[tuple[Channel, str]]
) -> tuple[TouchPart, ...]:
    """The parts, each on the first of its channels for which one of ``points`` is there.

    A part is one channel's share of a touch: none gets a channel that one before it has.
    """
    if len(planned) == 1 and planned[0].along_with is None:  # most touches, at less cost
        for channel in invariants.allowed_channels(prospect, planned[0].channels):
            for left_on, known in points:
                if left_on is channel:
                    return (TouchPart(channel, known, planned[0].script),)
        return ()
    addresses = dict(reversed(points))  # of several on a channel the first
    parts: list[TouchPart] = []
    for part in planned:
        along = part.along_with
        if along is not None and along not in [one.channel for one in parts]:
            continue
        for channel in invariants.allowed_channels(prospect, part.channels):
            address = addresses.pop(channel, None)
            if address is not None:
                parts.append(TouchPart(channel, address, part.script))
                break
    return tuple(parts)


def exit_parts(
    prospect: Prospect, point: PlannedTouch, points: Sequence[tuple[Channel, str]]
) -> tuple[TouchPart, ...]:
    """The exit's parts on ``points``; on any of their channels when the planned ones are gone."""
    parts = parts_on(prospect, point.parts, points)
    if parts or not points:
        return parts
    channel, address = points[0]
    return (TouchPart(channel, address, point.parts[0].script),)
