"""Choose the parts of a touch, each on a contact point that may still be used."""

from __future__ import annotations

from collections.abc import Sequence

from cadence.domain.events import ContactPoint
from cadence.domain.prospect import Prospect
from cadence.engine.invariants import (
    MOST_PARTS_IN_TOUCH,
    allowed_channels,
    contact_points_left,
)
from cadence.policy.model import PlannedTouch, Policy, StepPart
from cadence.policy.touch import TouchPart

__all__ = ["ContactPoints", "exit_parts", "parts_on", "points_left"]

ContactPoints = tuple[ContactPoint, ...]
"""In the order in which they became known."""


def points_left(prospect: Prospect, policy: Policy) -> ContactPoints:
    """Return the contact points that may still be used, on channels that the team uses."""
    usable = policy.usable
    return tuple([point for point in contact_points_left(prospect) if point.channel in usable])


def parts_on(
    prospect: Prospect,
    planned: tuple[StepPart, ...],
    points: Sequence[ContactPoint],
    *,
    most: int = MOST_PARTS_IN_TOUCH,
) -> tuple[TouchPart, ...]:
    """Return the parts, each on the first of its channels that one of ``points`` has.

    A part is one channel's share of a touch: none gets a channel that one before it has.

    Args:
        prospect: what they opted out of and prefer counts.
        planned: the parts of the policy.
        points: the contact points that may be used.
        most: how many parts a touch has at most; those behind are left out (rule ``frequency``).
    """
    if len(planned) == 1 and planned[0].along_with is None:  # most touches, at less cost
        for channel in allowed_channels(prospect, planned[0].channels):
            for point in points:
                if point.channel == channel:
                    return (_part(point, planned[0].script),)
        return ()
    left = {point.channel: point for point in reversed(points)}  # of several the first
    parts: list[TouchPart] = []
    for part in planned:
        along = part.along_with
        if along is not None and along not in [one.channel for one in parts]:
            continue
        for channel in allowed_channels(prospect, part.channels):
            point_left = left.pop(channel, None)
            if point_left is not None:
                parts.append(_part(point_left, part.script))
                break
        if len(parts) == most:
            break
    return tuple(parts)


def exit_parts(
    prospect: Prospect, planned: PlannedTouch, points: Sequence[ContactPoint]
) -> tuple[TouchPart, ...]:
    """Return the exit's parts on ``points``; on any channel when the planned ones are gone."""
    parts = parts_on(prospect, planned.parts, points)
    if parts or not points:
        return parts
    return (_part(points[0], planned.parts[0].script),)


def _part(point: ContactPoint, script: str) -> TouchPart:
    return TouchPart(point.channel, point.address, script, key=point.same)
