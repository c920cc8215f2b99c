"""The pure core alone, in a program of your own, with a list as its store.

No database, no clock of ours, no framework: this program keeps events in a list, says what time it
is, and asks what comes next. Run it: python examples/pure_core.py
"""

from datetime import UTC, datetime

from cadence.domain import (
    ContactPoint,
    Data,
    Disposition,
    Event,
    Part,
    ProspectAdded,
    fold,
)
from cadence.domain.channels import CALL
from cadence.engine import (
    Command,
    MakeAttempt,
    SetAppointment,
    decide,
    next_touch,
)
from cadence.errors import Refused
from cadence.policy import builtin

POLICY = builtin("tip8")
STORE: list[Event] = []


def handle(command: Command, now: datetime) -> None:
    """Decide, and keep what happened."""
    prospect = fold(None, STORE)
    data: Data
    for data in decide(prospect, command, POLICY, now):
        STORE.append(Event("jerry", len(STORE) + 1, now, now, data))


def main() -> None:
    """Jerry agreed to nine o'clock, and does not answer."""
    no_answer = (Part(CALL, Disposition.NO_ANSWER),)
    phone = ContactPoint(CALL, "+1 212 555 0100")
    nine = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)  # 9:00 in New York
    friday = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)

    handle(ProspectAdded("Jerry Doe", "America/New_York", "US", None, (phone,)), friday)
    handle(SetAppointment(nine), friday)
    handle(MakeAttempt(no_answer, is_strict=True), nine)

    try:  # four minutes later is too soon: we said ten
        handle(MakeAttempt(no_answer, is_strict=True), nine.replace(minute=4))
    except Refused as refused:
        print(f"refused by {refused.rule} until {refused.until:%H:%M}")

    prospect = fold(None, STORE)
    assert prospect is not None
    decision = next_touch(prospect, POLICY, nine.replace(minute=10))
    print(f"{decision.stage}: {decision.verdict} {decision.touch.step if decision.touch else ''}")
    for reason in decision.reasons:
        print(f"  {reason.rule}: {reason.because}")


if __name__ == "__main__":
    main()
