"""Keep histories: the service, its recorders, the serializer and the due list."""

from cadence.store.service import Cadence, Outcome
from cadence.store.settings import Origin, Owner, Setting, SettingChange, Settings, Team

__all__ = [
    "Cadence",
    "Origin",
    "Outcome",
    "Owner",
    "Setting",
    "SettingChange",
    "Settings",
    "Team",
]
