"""Order the events of a PostgreSQL database so that a reader misses none.

Events get their numbers in the order of the inserts, and transactions commit in any other. So each
event keeps its transaction (``written_in``), and the feed is in order of transaction and number. A
transaction gets its number from the server when it begins to write, so none below the oldest that
still runs can come any more: a reader reads up to that one.

The server numbers transactions for the whole cluster. One that writes anywhere in it, and stays
open, holds the feed up (never a writer). A database that was restored from a dump has another
cluster's numbers: it goes on above them (``BASE``), so that positions stay right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier

__all__ = [
    "ADD_WRITTEN_IN",
    "BASE",
    "CREATE_FEED_INDEX",
    "FEED_INDEX",
    "INSERT_IN_ORDER",
    "IS_RESTORED",
    "SELECT_FEED",
    "SELECT_FEED_BEFORE",
    "SELECT_FOLLOWING",
    "SELECT_NEWEST_WRITTEN_IN",
    "WAKE",
    "WRITTEN_IN",
    "Listener",
    "start_from",
]

BASE: Final = "feed base"
"""The key under which it is kept what is added to the numbers of the server."""
FEED_INDEX: Final = "stored_events_feed"
_THIS: Final = "pg_current_xact_id()::text::bigint"
_BASE: Final = (
    f"coalesce((SELECT value::bigint FROM {{schema}}.meta WHERE key = '{BASE}'), 0::bigint)"
)
# By default, so that the rows of an older cadence, and of any other program, have it too.
WRITTEN_IN: Final = f"written_in bigint NOT NULL DEFAULT {_THIS}"
ADD_WRITTEN_IN: Final = (
    # The rows that are there need not be written again.
    "ALTER TABLE {schema}.stored_events ADD COLUMN IF NOT EXISTS written_in "
    "bigint NOT NULL DEFAULT 0",
    f"ALTER TABLE {{schema}}.stored_events ALTER COLUMN written_in SET DEFAULT {_THIS}",
)
CREATE_FEED_INDEX: Final = (
    f"CREATE INDEX IF NOT EXISTS {FEED_INDEX} ON {{schema}}.stored_events "
    "(written_in, notification_id)"
)
IS_RESTORED: Final = (
    "SELECT coalesce(max(written_in), 0) >= "
    f"pg_snapshot_xmax(pg_current_snapshot())::text::bigint + {_BASE} AS found "
    "FROM {schema}.stored_events"
)
INSERT_IN_ORDER: Final = (
    "INSERT INTO {schema}.stored_events "
    "(originator_id, originator_version, topic, state, written_in) "
    f"SELECT name, version, topic, state, greatest({_THIS} + {_BASE}, "
    "(SELECT max(written_in) FROM {schema}.stored_events WHERE originator_id = name)) "
    "FROM unnest(%s::text[], %s::bigint[], %s::text[], %b::bytea[]) "
    "AS given (name, version, topic, state) RETURNING notification_id"
)
"""Inserts events behind those of the same prospect, also where these have a later transaction.

A larger number is safe: the feed ends before this transaction while it runs.
"""
SELECT_NEWEST_WRITTEN_IN: Final = "SELECT max(written_in) AS newest FROM {schema}.stored_events"
_ROW: Final = "notification_id, originator_id, originator_version, topic, state"
SELECT_FEED: Final = (
    f"SELECT written_in, {_ROW} FROM {{schema}}.stored_events "
    "WHERE (written_in, notification_id) > (?::bigint, ?::bigint) "
    f"AND written_in < pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {_BASE} "
    "ORDER BY written_in, notification_id LIMIT ?"
)
SELECT_FEED_BEFORE: Final = (
    f"SELECT 0::bigint, {_ROW} FROM {{schema}}.stored_events "
    "WHERE notification_id > ? ORDER BY notification_id LIMIT ?"
)
"""The feed of an older cadence, whose writers wait for each other."""
SELECT_FOLLOWING: Final = (
    "SELECT written_in, notification_id FROM {schema}.stored_events "
    "WHERE notification_id >= ? ORDER BY notification_id > ?, written_in, notification_id LIMIT 1"
)
"""The event with a number, or else the first in the feed of those with a larger one."""
WAKE: Final = "SELECT pg_notify('stored_events', %s)"


def start_from(base: int) -> str:
    """Return the statement after which events get numbers above ``base``."""
    return (
        "ALTER TABLE {schema}.stored_events ALTER COLUMN written_in "
        f"SET DEFAULT {_THIS} + {base}::bigint"
    )


class Listener:
    """Waits until a writer says that there are events.

    It has a connection of its own, so that those who follow take none from those who write. While
    it can't listen (the connection was lost, or the server only repeats another), it waits its
    time.
    """

    def __init__(self, connect: Callable[[], Connection[Any]], schema: str) -> None:
        """Args:
        connect: makes a connection.
        schema: whose writers are waited for.
        """
        self._connect = connect
        self._schema = schema
        self._connection: Connection[Any] | None = None
        self._open()

    def wait(self, seconds: float) -> bool:
        """Wait for so long, or less; return whether events may have come."""
        try:
            if self._connection is None or self._connection.closed:
                time.sleep(seconds)
                return self._open()
            given = self._connection.notifies(timeout=seconds, stop_after=1)
            # A writer of an older cadence does not say its schema.
            return any(one.payload in ("", self._schema) for one in given)
        except psycopg.Error:
            self.close()
            return False

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> bool:
        """Listen, if the server lets us; return whether it does."""
        try:
            self._connection = self._connect()
            self._connection.execute(SQL("LISTEN {}").format(Identifier("stored_events")))
        except psycopg.Error:
            self.close()
            return False
        return True
