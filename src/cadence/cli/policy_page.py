"""A policy as a page: one self-contained HTML file, with picture, timetable, bounds and proof."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from cadence.core.events import Channel
from cadence.policy.model import Policy
from cadence.policy.prove import Proof
from cadence.policy.timetable import Entry

__all__ = ["policy_page"]

_LEFT: Final = 90
_WIDTH: Final = 960
_LANE: Final = 28
_APART: Final = 11


def policy_page(policy: Policy, entries: Sequence[Entry], proof: Proof) -> str:
    """The page; every text of the policy is escaped."""
    page = resources.files("cadence.cli").joinpath("policy_page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(page).render(
        policy=policy, entries=entries, proof=proof, **_drawing(entries)
    )


def _drawing(entries: Sequence[Entry]) -> dict[str, Any]:
    used = [c.value for c in Channel if any(c.value in entry.channels for entry in entries)]
    names = [*used, "close"]
    last = max([1, *(entry.business_day for entry in entries)])
    scale = (_WIDTH - _LEFT - 60) / last
    lanes = [{"name": name, "y": _LANE * (n + 1)} for n, name in enumerate(names)]
    marks: list[dict[str, Any]] = []
    taken: dict[tuple[str, int], int] = {}
    for entry in entries:
        for name in entry.channels or ("close",):
            # Touches of one day stand beside each other.
            number = taken.get((name, entry.business_day), 0)
            taken[name, entry.business_day] = number + 1
            kind = "close" if name == "close" else "touch"
            marks.append(
                {
                    "x": round(_LEFT + 12 + entry.business_day * scale + number * _APART, 1),
                    "y": lanes[names.index(name)]["y"],
                    "kind": "exit" if entry.step == "polite_exit" else kind,
                    "title": f"{entry.step}, day {entry.business_day} at {entry.at}",
                }
            )
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200) if last / s <= 12)
    ticks = [
        {"day": day, "x": round(_LEFT + 12 + day * scale, 1)} for day in range(0, last + 1, step)
    ]
    height = _LANE * (len(names) + 1) + 10
    return {
        "lanes": lanes,
        "marks": marks,
        "ticks": ticks,
        "width": _WIDTH,
        "height": height,
        "left": _LEFT,
    }
