"""The audit on whatever the application can be driven to: the machine of ``support/machine.py``.

Every fact, late and out of order, commands at any time, a clock that is set back. What a command
was allowed to do broke no rule; what was recorded as a breach is found.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from machine import Machine

from cadence.audit import Auditor, Finding, Noticed
from cadence.domain import AttemptMade, Event, FollowUpEnded
from cadence.policy import builtin


class AuditedMachine(Machine):
    """The machine, whose histories are audited in the end."""

    def teardown(self) -> None:
        try:
            for history in self.histories.values():
                check(history)
        finally:
            super().teardown()


def check(history: list[Event]) -> None:
    found: dict[int, list[Finding]] = {}
    hindsight: set[int] = set()
    for one in Auditor(builtin()).audit(history):
        if one.noticed is Noticed.HINDSIGHT:
            hindsight.add(one.version)
        else:
            found.setdefault(one.version, []).append(one)
    for event in history:
        mine = found.pop(event.version, [])
        if isinstance(event.data, AttemptMade) and event.data.broke:
            # A command that is dated back is judged by what is known by now, and says so.
            told = mine or event.version in hindsight
            assert told, f"a breach that was recorded is not found: {event}"
        elif isinstance(event.data, AttemptMade | FollowUpEnded) and event.by == "command":
            assert not mine, "\n".join(map(str, [*history[: event.version], *mine]))
    assert not found, "a finding for something that is neither an attempt nor an end"


TestAuditedMachine = AuditedMachine.TestCase
TestAuditedMachine.settings = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None
)
