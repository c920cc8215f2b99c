"""Make the page of a whole database: its funnel, waiting times and connect rates."""

from __future__ import annotations

from typing import Any

from cadence.analysis.funnel import (
    CLAIMED,
    Overview,
    Rate,
    claim_words,
    interval_words,
    percent,
    stay_words,
)
from cadence.reports.html import render

__all__ = ["funnel_page"]


def funnel_page(found: Overview, *, seen: str = "") -> str:
    """Return the page.

    Args:
        found: the counts.
        seen: the instant that it shows, in words; empty for all that is recorded.
    """
    facts = [("prospects", f"{found.prospects:,}"), ("events", f"{found.events:,}")]
    if seen:
        facts.append(("as seen at", seen))
    return render(
        "funnel.html",
        facts=facts,
        stages=[
            {
                "stage": line.stage.value,
                "percent": round(100 * line.reached / found.prospects, 3),
                "reached": f"{line.reached:,}",
                "share": percent(line.reached / found.prospects),
                "now": f"{line.now:,}",
                "stays": f"{line.stays:,}",
                "median": stay_words(line.median),
                "nine_in_ten": stay_words(line.nine_in_ten),
            }
            for line in found.stages
            if line.reached
        ],
        attempts=[{"number": line.number, **_rate(line.rate)} for line in found.attempts],
        late=found.late,
        appointment={**_rate(found.appointment), "text": claim_words(found.appointment)},
        claimed=round(100 * CLAIMED),
        footer="Made by cadence. The same events make the same page.",
    )


def _rate(rate: Rate) -> dict[str, Any]:
    low, high = rate.interval or (0.0, 0.0)
    return {
        "made": f"{rate.of:,}",
        "connected": f"{rate.reached:,}",
        "unknown": f"{rate.unknown:,}",
        "share": percent(rate.share),
        "percent": None if rate.share is None else round(100 * rate.share, 3),
        "low": round(100 * low, 3),
        "high": round(100 * high, 3),
        "interval": interval_words(rate),
    }
