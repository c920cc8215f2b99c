"""Choose the parts of a touch, each on a contact point that may still be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cadence.domain.events import Channel
from cadence.domain.prospect import Prospect
from cadence.engine.invariants import allowed_channels, contact_points_left
from cadence.policy.model import PlannedTouch, Policy, StepPart
from cadence.policy.touch import TouchPart

__all__ = ["ContactPoints", "exit_parts", "parts_on", "points_left"]

ContactPoints = tuple[tuple[Channel, str], ...]
"""Channel and address of each, in the order in which they became known."""

_CHANNELS: Final = len(Channel)


def points_left(prospect: Prospect, policy: Policy) -> ContactPoints:
    """Return the contact points that may still be used, on channels that the team uses."""
    left, usable = contact_points_left(prospect), policy.usable
    if len(usable) == _CHANNELS:
        return left
    return tuple([point for point in left if point[0] in usable])


def parts_on(
    prospect: Prospect, planned: tuple[StepPart, ...], points: Sequence[tuple[Channel, str]]
) -> tuple[TouchPart, ...]:
    """Return the parts, each on the first of its channels that one of ``points`` has.

    A part is one channel's share of a touch: none gets a channel that one before it has.
    """
    if len(planned) == 1 and planned[0].along_with is None:  # most touches, at less cost
        for channel in allowed_channels(prospect, planned[0].channels):
            for left_on, address in points:
                if left_on is channel:
                    return (TouchPart(channel, address, planned[0].script),)
        return ()
    addresses = dict(reversed(points))  # of several on a channel the first
    parts: list[TouchPart] = []
    for part in planned:
        along = part.along_with
        if along is not None and along not in [one.channel for one in parts]:
            continue
        for channel in allowed_channels(prospect, part.channels):
            address_left = addresses.pop(channel, None)
            if address_left is not None:
                parts.append(TouchPart(channel, address_left, part.script))
                break
    return tuple(parts)


def exit_parts(
    prospect: Prospect, planned: PlannedTouch, points: Sequence[tuple[Channel, str]]
) -> tuple[TouchPart, ...]:
    """Return the exit's parts on ``points``; on any channel when the planned ones are gone."""
    parts = parts_on(prospect, planned.parts, points)
    if parts or not points:
        return parts
    channel, address = points[0]
    return (TouchPart(channel, address, planned.parts[0].script),)
