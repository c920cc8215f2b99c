"""Pages (HTML) of a replay, a funnel, a comparison and a policy."""

from cadence.reports.funnel_page import overview_page
from cadence.reports.replay_page import replay_page

__all__ = [
    "overview_page",
    "replay_page",
]
