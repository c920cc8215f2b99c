"""Keep histories: the service, its recorders, the due list, the feed and projections of it."""

from cadence.domain.team import Owner, Team
from cadence.store.due_page import DuePage
from cadence.store.feed import FeedItem
from cadence.store.handler import Outcome
from cadence.store.projections import Projection
from cadence.store.service import Cadence
from cadence.store.settings import Origin, Setting, SettingChange, Settings
from cadence.store.targets import PostgresTarget, SQLiteTarget, Target

__all__ = [
    "Cadence",
    "DuePage",
    "FeedItem",
    "Origin",
    "Outcome",
    "Owner",
    "PostgresTarget",
    "Projection",
    "SQLiteTarget",
    "Setting",
    "SettingChange",
    "Settings",
    "Target",
    "Team",
]
