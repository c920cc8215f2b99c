"""Make pages of HTML: a replay, a funnel, a comparison and a policy."""

from cadence.reports.funnel_page import funnel_page
from cadence.reports.policy_page import policy_page
from cadence.reports.replay_page import replay_page
from cadence.reports.whatif_page import whatif_page

__all__ = ["funnel_page", "policy_page", "replay_page", "whatif_page"]
