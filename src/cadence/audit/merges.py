"""Hold each merge against the two streams that it was written to.

A merged record has nothing next: another goes on for it. Where that one does not know of it, or
counts another history than the merged record has, a person is forgotten, or a word of theirs is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cadence.audit.findings import Finding, Noticed
from cadence.domain.events import Event, FollowUpEnded, ProspectsMerged
from cadence.domain.standing import end_of_merge, is_end_of_merge, standing_events
from cadence.policy.rules import Rule
from cadence.store.service import Cadence

__all__ = ["check_merges"]


def check_merges(store: Cadence, histories: Sequence[Sequence[Event]]) -> Iterator[Finding]:
    """Find the merged records whose survivor does not go on for them as they are.

    Args:
        store: where the survivors are.
        histories: those to check.
    """
    ends = [(history, end) for history in histories if (end := end_of_merge(history)) is not None]
    into = {end.data.into for _, end in ends if isinstance(end.data, FollowUpEnded)}
    survivors = store.histories.of(sorted(one for one in into if one is not None)) if ends else {}
    for history, end in ends:
        name = end.data.into if isinstance(end.data, FollowUpEnded) else None
        because = _what_is_wrong(history, name, survivors.get(name or "", []))
        if because:
            said = f"merged into {name}, {because}: take the merge back and merge again"
            yield Finding(end.prospect, end.version, Rule.FORGOTTEN, said, Noticed.UNDECLARED)


def _what_is_wrong(history: Sequence[Event], name: str | None, survivor: Sequence[Event]) -> str:
    """What is wrong with how a survivor goes on for a record; empty if nothing is."""
    if not survivor:
        return "which has no events here"
    merges = [
        event.data
        for event in standing_events(survivor)
        if isinstance(event.data, ProspectsMerged) and event.data.prospect == history[0].prospect
    ]
    if not merges:
        return "which does not go on for it"
    if merges[-1].history != tuple([event for event in history if not is_end_of_merge(event)]):
        return "which counts another history of it than it has"
    return ""
