"""Make the page of a policy: its picture, timetable, bounds, guards and proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cadence.domain.channels import in_order
from cadence.engine import invariants
from cadence.messages.conversation import Said
from cadence.policy.model import Policy
from cadence.prover.policy_text import guard_words
from cadence.prover.proof import Proof
from cadence.prover.timetable import Entry
from cadence.reports.html import render

__all__ = ["policy_page"]

# Pixels of the picture.
_LEFT: Final = 90  # for the names of the lanes
_INSET: Final = 12
_WIDTH: Final = 960
_LANE: Final = 28
_APART: Final = 11  # between the centres of two touches


def policy_page(
    policy: Policy, entries: Sequence[Entry], proof: Proof, said: Sequence[Said] = ()
) -> str:
    """Return the page.

    Args:
        policy: the policy.
        entries: its timetable.
        proof: its proof, also one that refutes it.
        said: what it says to a sample person, day by day.
    """
    return render(
        "policy.html",
        policy=policy,
        entries=entries,
        proof=proof,
        said=said,
        promises={row.id: row.promise for row in invariants.INVARIANTS},
        bounds_rows=[] if proof.bounds is None else proof.bounds.rows,
        guard_words=guard_words,
        **_picture(policy, entries),
    )


def _picture(policy: Policy, entries: Sequence[Entry]) -> dict[str, Any]:
    channels = in_order(one for entry in entries for one in entry.channels)
    names = [*channels, *(entry.step for entry in entries if not entry.channels)]
    last_day = max([1, *(entry.business_day for entry in entries)])
    scale = (_WIDTH - _LEFT - 60) / last_day
    lane_y = {name: _LANE * number for number, name in enumerate(names, 1)}
    marks: list[dict[str, Any]] = []
    taken: dict[str, float] = {}
    for entry in entries:
        for name in entry.channels or (entry.step,):
            x = _LEFT + _INSET + entry.business_day * scale
            # Touches too close to be told apart stand beside each other.
            taken[name] = x = max(x, taken.get(name, 0) + _APART)
            kind, title = _kind(policy, entry), _title(entry)
            marks.append({"x": round(x, 1), "y": lane_y[name], "kind": kind, "title": title})
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if last_day / s <= 12)
    days = range(0, last_day + 1, step)
    return {
        "lanes": [{"name": name, "y": y} for name, y in lane_y.items()],
        "marks": marks,
        "ticks": [{"day": day, "x": round(_LEFT + _INSET + day * scale, 1)} for day in days],
        "width": max([_WIDTH, *(round(x) + 20 for x in taken.values())]),
        "height": _LANE * (len(names) + 1) + 10,
        "left": _LEFT,
    }


def _kind(policy: Policy, entry: Entry) -> str:
    if policy.exit_step is not None and entry.step == policy.exit_step.id:
        return "exit"
    return "touch" if entry.channels else "close"


def _title(entry: Entry) -> str:
    after = f", {entry.gap} after the one before" if entry.gap else ""
    return f"{entry.step}: day {entry.business_day} at {entry.at}{after}"
