"""Count the attempts of a silence, and remember those that are of none.

Shared by the fold, where events come one by one, and by the merge of two records.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from cadence.domain.events import AttemptStage, Gap
from cadence.domain.prospect import NO_GAP, RECENT_DAYS, Attempt, Response, Silence, Suspension

__all__ = ["counted", "remembered"]

# Looked up once: every attempt of a history that is counted afresh passes here.
_ON_TIME: Final = AttemptStage.ON_TIME
_RECENT: Final = timedelta(days=RECENT_DAYS)


def counted(
    response: Response,
    attempts: tuple[Attempt, ...],
    suspensions: tuple[Suspension, ...],
    merged: int = 0,
    merged_gap: Gap = NO_GAP,
) -> Silence:
    """Count a silence afresh.

    Args:
        response: what began it.
        attempts: in the order in which they occurred.
        suspensions: in the order in which they began.
        merged, merged_gap: as of :class:`~cadence.domain.prospect.Silence`.
    """
    # The ratchet starts again at the on-time attempt, and the first attempt of a silence has no
    # gap within it (its recorded one, if any, reaches back into the silence before). Those made
    # before we knew of the response have none to keep either. Of two records that were merged each
    # kept its own gaps, and the attempts of the one say nothing of the gaps of the other.
    largest, spaced_calls = merged_gap, 0
    unmeasured: list[int] = []
    before = 0
    for position, attempt in enumerate(attempts):
        spaced_calls += attempt.is_spaced_call
        gap = attempt.gap
        if attempt.version > merged:
            if attempt.version < response.version:
                continue
            if attempt.stage is _ON_TIME:
                largest = NO_GAP
                unmeasured.clear()
            elif before and (gap is None or attempt.gap_from != before):
                unmeasured.append(position)
            elif before and gap is not None and gap > largest:
                largest = gap
        before = attempt.version
    return Silence(
        response,
        attempts,
        suspensions,
        spaced_calls,
        largest,
        tuple(unmeasured),
        is_joined=bool(merged),
        merged=merged,
        merged_gap=merged_gap,
    )


def remembered(recent: tuple[Attempt, ...], attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    """Keep attempts that are not of the running silence, while a cap may still count them."""
    kept = sorted((*recent, *attempts), key=_when)
    if not kept:
        return ()
    oldest = kept[-1].at - _RECENT
    return tuple([attempt for attempt in kept if attempt.at >= oldest])


def _when(attempt: Attempt) -> datetime:
    return attempt.at
