"""Measure this commit against an older one, in turn, by processor time.

    python bench/against.py COMMIT [--rounds N] [--prospects N] [--addresses N]

Both sides do the same work through the same few public calls, each turn in a process of its own.
The older commit is checked out beside, and uses the packages of this environment. ``--addresses``
is how many addresses are imported, two a prospect; half of them have to be read as phone numbers.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from measure import say
from rich.console import Console
from rich.table import Table

_HERE: Final = Path(__file__).parents[1]
_BEGIN: Final = datetime(2026, 1, 12, 15, tzinfo=UTC)
_ATTEMPTS: Final = (0, 3, 8, 13, 20)  # days after the first
_WRITTEN: Final = 400
_CALL: Final = {"channel": "call", "disposition": "no_answer"}

# What a child does; it prints the processor time of the part that counts.
_WORK: Final = """
import sys
from inspect import signature
from datetime import datetime, timedelta, UTC
from time import process_time
what, db, file, many = sys.argv[1:]
started = process_time()
import cadence
if what == "start":
    print(process_time() - started)
    sys.exit()
from cadence.store import Cadence
from cadence.transfer import import_jsonl
from cadence.audit.runner import audit
from cadence.domain import AttemptMade, Channel, Disposition, InterestNoted, Part
now = datetime(2026, 2, 10, 15, tzinfo=UTC)
app = Cadence.open(db)
part = Part(Channel("call"), Disposition("no_answer"))
names = [name for name, _ in zip(app.prospects(), range(int(many)))]
started = process_time()
if what == "import":
    with open(file, "rb") as lines:
        import_jsonl(app, lines)
elif what == "commands":
    for number, name in enumerate(names):
        data = InterestNoted("less paper") if number % 2 else AttemptMade((part,))
        app.execute(name, data, at=now + timedelta(seconds=number))
elif what == "due":
    for one in app.due(now):
        pass
elif what == "audit":
    # Older commits start other processes, unless they are told not to.
    alone = {"jobs": 1} if "jobs" in signature(audit).parameters else {}
    for page in audit(app, **alone):
        pass
taken = process_time() - started
app.close()
print(taken)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--prospects", type=int, default=3_000)
    parser.add_argument("--addresses", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old = folder / "old"
        git = ["git", "-C", str(_HERE), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(old), given.commit], check=True)
        try:
            _measure(folder, {"old": old, "new": _HERE}, given)
        finally:
            subprocess.run([*git, "remove", "--force", str(old)], check=True)


def _measure(folder: Path, sides: dict[str, Path], given: argparse.Namespace) -> None:
    lives, people = folder / "lives.jsonl", folder / "people.jsonl"
    lives.write_bytes(b"".join(_lives(given.prospects)))
    people.write_bytes(b"".join(_people(given.addresses // 2)))
    table = Table("what", "old", "new", "old : new", "least", "most")
    for what, rounds in {
        "start": given.rounds,
        "import": given.rounds,
        "addresses": max(1, given.rounds // 2),
        "due": given.rounds,
        "audit": given.rounds,
        "commands": given.rounds,
    }.items():
        taken: dict[str, list[float]] = {side: [] for side in sides}
        for turn in range(rounds):
            for side in list(sides)[:: 1 if turn % 2 else -1]:
                taken[side].append(_turn(folder, side, sides[side], what, lives, people))
                say(f"{what} {side}: {taken[side][-1]:.2f} s")
        ratios = [a / b for a, b in zip(taken["old"], taken["new"], strict=True)]
        figures = [*(median(one) for one in taken.values()), median(ratios)]
        shown = [f"{one:.2f}" for one in (*figures, min(ratios), max(ratios))]
        table.add_row(what, *shown)
    Console().print(table)


def _turn(folder: Path, side: str, source: Path, what: str, lives: Path, people: Path) -> float:
    """Do the work once; an import fills a database that the others read, or write a copy of."""
    db, name = folder / f"{side}.db", what
    if what in ("import", "addresses"):
        db = folder / f"{side}-{what}.db"
        db.unlink(missing_ok=True)
        name = "import"
    elif what == "commands":
        db = Path(shutil.copy(db, folder / f"{side}-commands.db"))
    file = people if what == "addresses" else lives
    environment = {**os.environ, "PYTHONPATH": str(source / "src")}
    done = subprocess.run(
        [sys.executable, "-c", _WORK, name, str(db), str(file), str(_WRITTEN)],
        capture_output=True,
        check=True,
        env=environment,
        text=True,
    )
    if what == "import":
        shutil.copy(db, folder / f"{side}.db")
    return float(done.stdout)


def _line(prospect: str, kind: str, at: datetime, data: dict[str, object]) -> bytes:
    line = {"prospect": prospect, "type": kind, "occurred_at": at, "data": data}
    return msgspec.json.encode(line) + b"\n"


def _added(number: int) -> dict[str, object]:
    call = {"channel": "call", "address": f"+1 {212 + number // 10**7} {number % 10**7:07}"}
    email = {"channel": "email", "address": f"Jo{number}@Example.com"}
    where = {"timezone": "America/New_York", "country": "US"}
    return {"name": f"Jo {number}", **where, "contact_points": [call, email]}


def _people(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield _line(f"p{number}", "ProspectAdded", _BEGIN, _added(number))


def _lives(count: int) -> Iterator[bytes]:
    for number in range(count):
        name = f"p{number}"
        yield _line(name, "ProspectAdded", _BEGIN, _added(number))
        yield _line(name, "InterestNoted", _BEGIN, {"text": "less paper"})
        for days in _ATTEMPTS[: 2 + number % 4]:
            at = _BEGIN + timedelta(days=days, minutes=number % 90)
            yield _line(name, "AttemptMade", at, {"parts": [_CALL]})
        if number % 3 == 0:
            at = _BEGIN + timedelta(days=22)
            yield _line(name, "ReplyReceived", at, {"channel": "email"})


if __name__ == "__main__":
    main()
