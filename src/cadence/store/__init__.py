"""Keep histories: the service, its recorders, the mapper and the due list."""

from cadence.domain.team import Owner, Team
from cadence.store.feed import FeedItem
from cadence.store.service import Cadence, Outcome
from cadence.store.settings import Origin, Setting, SettingChange, Settings

__all__ = [
    "Cadence",
    "FeedItem",
    "Origin",
    "Outcome",
    "Owner",
    "Setting",
    "SettingChange",
    "Settings",
    "Team",
]
