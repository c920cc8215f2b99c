"""Decide on a merge of two records of one person, and on taking one back, before any event exists.

What the record that goes on takes over is a function of the other history
(``domain/merging.py``). Asked here is what only the owner can choose: whose end or appointment
counts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from cadence.domain.events import (
    AddressesRead,
    AttemptMade,
    Data,
    Event,
    Gap,
    PolicyAdopted,
    ProspectAdded,
    ProspectsMerged,
)
from cadence.domain.merging import appointment_of, is_begun, left_of, silence_of
from cadence.domain.prospect import Appointment, Prospect
from cadence.domain.stages import ENDED, Stage
from cadence.domain.standing import TAKING_BACK, is_end_of_merge, standing
from cadence.engine.context import calendar_for
from cadence.engine.invariants import largest_gap
from cadence.errors import InputError, Refused
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry
from cadence.policy.rules import Rule

__all__ = [
    "came_for",
    "decide_merge",
    "given_back",
    "taken_over",
]

_STAYS: Final = (*TAKING_BACK, AddressesRead, PolicyAdopted, ProspectAdded, ProspectsMerged)
"""What is not given back when a merge is taken back: it is about the survivor's own history."""


def decide_merge(
    survivor: Prospect,
    other: Prospect,
    history: Sequence[Event],
    policies: PolicyRegistry,
    *,
    why: str,
    keep: str | None = None,
) -> ProspectsMerged:
    """Return the event that merges ``other`` into ``survivor``.

    Args:
        survivor, other: the folds of the two histories.
        history: of the other.
        policies: where the policies are found that the gaps of the two are measured under.
        why: how we know that they are one person.
        keep: the id of the record whose end or appointment counts, where the two differ.

    Raises:
        InputError: ``why`` is missing, or ``keep`` names neither of the two.
        Refused: one of them is merged already, was said to be another person or can't be read, or
            the owner has to choose first.
    """
    if not why.strip():
        raise InputError("why: missing", "give how you know that they are one person")
    if keep not in (None, survivor.id, other.id):
        raise InputError(f"keep: unknown {keep!r}", f"give {survivor.id} or {other.id}")
    _check_both(survivor, other)
    keep = keep or _ended_alike(survivor, other)
    _check_appointments(survivor, other, keep)
    return taken_over(survivor, other, history, policies, why=why, keep=keep)


def taken_over(
    survivor: Prospect,
    other: Prospect,
    history: Sequence[Event],
    policies: PolicyRegistry,
    *,
    why: str,
    keep: str | None,
) -> ProspectsMerged:
    """Return what a merge takes over; written once more where something of it was taken back."""
    since = silence_of(survivor, other, survivor.version + 1).response.at
    gaps = [_largest(one, policies.of(one), since) for one in (survivor, other)]
    events = tuple([event for event in history if not is_end_of_merge(event)])
    return ProspectsMerged(other.id, events, why, keep, max(gaps))


def _largest(prospect: Prospect, policy: Policy | None, since: datetime) -> Gap:
    """The largest gap that a record has to keep from ``since`` on, as measured now."""
    silence = left_of(prospect, since)
    kept = silence.largest_gap
    if policy is None or not silence.unmeasured:
        return kept
    prospect = replace(prospect, silence=silence)
    try:
        calendar = calendar_for(prospect, policy)
    except InputError:  # its place is unknown
        return kept
    suspensions = prospect.silence.suspensions
    suspended = calendar.suspended(suspensions) if suspensions else None
    return largest_gap(prospect, calendar, suspended)


def _check_both(survivor: Prospect, other: Prospect) -> None:
    ids = f"{other.id}: merge into {survivor.id} refused"
    for one in (survivor, other):
        if one.unreadable is not None:
            raise Refused(
                f"{ids} by plan: event {one.unreadable.version} of {one.id} can't be read",
                "use a newer cadence, or a backup of the database",
                rule=Rule.FORGOTTEN,
            )
        if one.stage is Stage.MERGED:
            raise Refused(
                f"{ids} by plan: {one.id} was merged into {one.ending.into} "
                f"(event {one.ending.version})",
                f"use {one.ending.into}, or take that back: cadence unmerge {one.id} --why WHY",
                rule=Rule.PLAN,
            )
    for one, two in ((survivor, other), (other, survivor)):
        if two.id in one.reach.not_same:
            raise Refused(
                f"{ids} by suppressed: {one.id} says that {two.id} is another person",
                f"if that was wrong, undo the SamePersonDenied of {one.id} first",
                rule=Rule.SUPPRESSED,
            )


def _ended_alike(survivor: Prospect, other: Prospect) -> str | None:
    """Check that both stand alike, open or ended; an end of one needs the owner's choice."""
    ends = {one.id: one.stage for one in (survivor, other) if one.stage in ENDED}
    if not ends or Stage.OPTED_OUT in (survivor.stage, other.stage):
        return None
    if survivor.stage is other.stage:
        return survivor.id
    stands = " and ".join(f"{one.id} is {one.stage}" for one in (survivor, other))
    raise Refused(
        f"{other.id}: merge into {survivor.id} refused by plan: {stands}",
        f"say which of the two counts: keep {survivor.id} or {other.id}",
        rule=Rule.PLAN,
    )


def _check_appointments(survivor: Prospect, other: Prospect, keep: str | None) -> None:
    both = (survivor, other)
    kept = next((one for one in both if one.id == keep), None)
    if kept is not None and kept.stage in ENDED:
        return
    version = survivor.version + 1
    silence = silence_of(survivor, other, version)
    found = [(one.id, one.appointment) for one in both if one.appointment is not None]
    if not found:
        return
    times = {agreed.at for _, agreed in found}
    if len(times) > 1 and keep is None and not is_begun(silence):
        shown = " and ".join(f"{name} at {_shown(agreed)}" for name, agreed in found)
        raise Refused(
            f"{other.id}: merge into {survivor.id} refused by appointment: two appointments "
            f"stand, {shown}",
            f"say which of the two counts: keep {survivor.id} or {other.id}",
            rule=Rule.APPOINTMENT,
        )
    if appointment_of(survivor, other, silence, keep, version) is None and is_begun(silence):
        name, agreed = found[0]
        raise Refused(
            f"{other.id}: merge into {survivor.id} refused by appointment: {name} has one at "
            f"{_shown(agreed)}, and the other record tried them since they last spoke",
            f"record on {name} the reply by which they agreed to it, or cancel it",
            rule=Rule.APPOINTMENT,
        )


def _shown(appointment: Appointment) -> str:
    return f"{appointment.at:%Y-%m-%dT%H:%M:%SZ}"


# Taking a merge back ------------------------------------------------------------------------------


def came_for(history: Sequence[Event], others: Collection[str], since: int) -> list[Event]:
    """Return what came for a merged record and stands, as it stands, in order of version.

    Args:
        history: of the survivor.
        others: the id of the merged record, and those that were merged into it.
        since: the version of the merge.
    """
    return [
        event
        for event, _ in standing(history)
        if event.version > since
        and event.merged_from in others
        and not isinstance(event.data, _STAYS)
    ]


def given_back(event: Event) -> Data:
    """Return what came for a merged record as it is recorded there; its place is judged there."""
    data = event.data
    if isinstance(data, AttemptMade):
        return AttemptMade(data.parts, why=data.why, note=data.note)
    return data
