"""Take calls from a dialler's CSV and record them.

What a dialler reports has happened: it is recorded as a fact, also when a rule forbade it, and the
rules that it broke are kept with it. The dialler's call id is the command id, so a line that comes
twice, or a file that is read twice, changes nothing.
Run it: python examples/from_dialler.py calls.csv followups.db
"""

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path

from cadence import Cadence
from cadence.domain import AttemptMade, Disposition, Part
from cadence.domain.channels import CALL
from cadence.errors import CadenceError

RESULTS = {
    "NO ANSWER": Disposition.NO_ANSWER,
    "BUSY": Disposition.BUSY,
    "VOICEMAIL": Disposition.VOICEMAIL_LEFT,
    "ANSWERED": Disposition.CONNECTED,
    "WRONG NUMBER": Disposition.WRONG_NUMBER,
}


def record(calls: Path, db: str) -> int:
    """Record every call of the file; returns how many lines were bad."""
    bad = 0
    with Cadence.open(db) as app, calls.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines), 2):
            try:
                at = datetime.fromisoformat(row["started"]).astimezone(UTC)
                part = Part(CALL, RESULTS[row["result"]], row["number"])
                outcome = app.execute(
                    row["prospect"],
                    AttemptMade((part,)),
                    at=at,
                    by="dialler",
                    command_id=f"dialler-{row['call_id']}",
                )
            except (KeyError, ValueError) as error:
                print(f"line {number}: {error}", file=sys.stderr)
                bad += 1
            except CadenceError as error:
                print(f"line {number}: {error.what}", file=sys.stderr)
                bad += 1
            else:
                made = outcome.events[0].data
                assert isinstance(made, AttemptMade)
                broke = f" broke {', '.join(made.broke)}" if made.broke else ""
                again = " (known already)" if outcome.repeated else ""
                print(f"{row['prospect']}: {made.step or made.stage}{broke}{again}")
    return bad


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/from_dialler.py calls.csv followups.db")
    sys.exit(1 if record(Path(sys.argv[1]), sys.argv[2]) else 0)
