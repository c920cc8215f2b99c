"""A policy as a page: one self-contained HTML file, with picture, timetable, bounds and proof."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from cadence.domain.events import Channel
from cadence.engine import invariants
from cadence.policy.model import Policy
from cadence.prover.differences import guard_words
from cadence.prover.proof import Proof
from cadence.prover.timetable import Entry

__all__ = ["policy_page"]

_LEFT: Final = 90
_WIDTH: Final = 960
_LANE: Final = 28
_APART: Final = 11


def policy_page(policy: Policy, entries: Sequence[Entry], proof: Proof) -> str:
    """The page; every text of the policy is escaped."""
    page = (
        resources.files("cadence.reports")
        .joinpath("templates", "policy.html")
        .read_text(encoding="utf-8")
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(page).render(
        policy=policy,
        entries=entries,
        proof=proof,
        promises={row.id: row.promise for row in invariants.INVARIANTS},
        guard_words=guard_words,
        **_drawing(policy, entries),
    )


def _drawing(policy: Policy, entries: Sequence[Entry]) -> dict[str, Any]:
    used = [c.value for c in Channel if any(c.value in entry.channels for entry in entries)]
    ends = [entry.step for entry in entries if not entry.channels]
    names = [*used, *ends]
    last = max([1, *(entry.business_day for entry in entries)])
    scale = (_WIDTH - _LEFT - 60) / last
    lanes = [{"name": name, "y": _LANE * (n + 1)} for n, name in enumerate(names)]
    marks: list[dict[str, Any]] = []
    ends_at: dict[str, float] = {}
    exit_id = None if policy.exit_step is None else policy.exit_step.id
    for entry in entries:
        for name in entry.channels or (entry.step,):
            x = _LEFT + 12 + entry.business_day * scale
            # Touches too close to be told apart stand beside each other.
            x = max(x, ends_at.get(name, 0) + _APART)
            ends_at[name] = x
            kind = "touch" if entry.channels else "close"
            said = f", {entry.gap} after the one before" if entry.gap else ""
            marks.append(
                {
                    "x": round(x, 1),
                    "y": lanes[names.index(name)]["y"],
                    "kind": "exit" if entry.step == exit_id else kind,
                    "title": f"{entry.step}: day {entry.business_day} at {entry.at}{said}",
                }
            )
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if last / s <= 12)
    ticks = [
        {"day": day, "x": round(_LEFT + 12 + day * scale, 1)} for day in range(0, last + 1, step)
    ]
    height = _LANE * (len(names) + 1) + 10
    width = max([_WIDTH, *(round(x) + 20 for x in ends_at.values())])
    return {
        "lanes": lanes,
        "marks": marks,
        "ticks": ticks,
        "width": width,
        "height": height,
        "left": _LEFT,
    }
