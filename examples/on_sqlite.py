"""The application on SQLite: commands in, events kept, decisions out.

Run it: python examples/on_sqlite.py
"""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cadence import Cadence
from cadence.domain import ContactPoint, Disposition, Part, ProspectAdded, ReplyReceived
from cadence.domain.channels import CALL
from cadence.engine import MakeAttempt, SetAppointment, Task


def main() -> None:
    """Ann does not answer, then rings back."""
    with tempfile.TemporaryDirectory() as folder:
        with Cadence.open(Path(folder) / "followups.db") as app:
            nine = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)  # 9:00 in Berlin
            before = nine - timedelta(days=1)
            phone = ContactPoint(CALL, "+49 30 5550100")
            app.execute(
                "ann", ProspectAdded("Ann Lee", "Europe/Berlin", "DE", "BE", (phone,)), at=before
            )
            app.execute("ann", SetAppointment(nine), at=before)

            for decision in app.due(nine):
                print(f"{decision.prospect} is due: {decision.touch and decision.touch.step}")

            outcome = app.execute(
                "ann",
                MakeAttempt((Part(CALL, Disposition.NO_ANSWER),), is_strict=True),
                at=nine,
                command_id="dialler-4711",  # sent twice, it still has one effect
            )
            print(f"next: {outcome.decision.verdict} until {outcome.decision.at:%H:%M} UTC")

        # Another process, later: everything is in the file.
        with Cadence.open(Path(folder) / "followups.db") as app:
            outcome = app.execute("ann", ReplyReceived(CALL), at=nine + timedelta(hours=1))
            decision = outcome.decision
            if isinstance(decision, Task):
                print(f"{outcome.prospect.stage}: {decision.task}")


if __name__ == "__main__":
    main()
