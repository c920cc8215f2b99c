"""Make the page of a comparison: attempts as recorded, and as another policy would make them."""

from __future__ import annotations

from collections.abc import Sequence

from cadence.analysis.whatif import Answered, Compared
from cadence.policy.model import Policy
from cadence.reports.html import render

__all__ = ["whatif_page"]


def whatif_page(total: Compared, policy: Policy, answered: Sequence[Answered], count: int) -> str:
    """Return the page.

    Args:
        total: what the comparison added up to.
        policy: the policy that the histories were put under.
        answered: some prospects who answered after an attempt that it had not made by then.
        count: how many of them there are.
    """
    name = f"{policy.id} version {policy.version}"
    return render(
        "whatif.html",
        policy=policy,
        name=name,
        total=total,
        counts=[
            ("as recorded", total.recorded, "recorded"),
            (f"under {name}", total.under, "under"),
            ("on the same day", total.same, "under"),
            ("sooner", total.sooner, "under"),
            ("later", total.later, "under"),
            ("dropped", total.dropped, "recorded"),
            ("added", total.added, "under"),
        ],
        most=max(total.recorded, total.under, 1),
        days=[
            {"label": bar.days("–"), "recorded": bar.recorded, "under": bar.under}
            for bar in total.bars()
        ],
        most_in_a_day=max(*total.recorded_by_day, *total.under_by_day, 1),
        answered=answered,
        count=count,
        number=lambda value: f"{value:,}",
    )
