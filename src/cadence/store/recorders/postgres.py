"""Keep everything in one schema of a PostgreSQL database, for teams that share it.

Events and due rows are written in one transaction. Writers to one prospect, or about one address,
take turns; others do not wait for each other (``postgres_locks``). Another program's schema is
refused before anything in it is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from itertools import chain, islice, repeat
from typing import Any, Final, NamedTuple, TypeVar

import psycopg
from eventsourcing.persistence import (
    InterfaceError,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder
from psycopg import Connection, Cursor, Pipeline
from psycopg.rows import DictRow, tuple_row
from psycopg.sql import SQL, Composed, Identifier

from cadence.domain.events import Event
from cadence.domain.stored import decode_page, decode_rows, decode_stream
from cadence.errors import InvalidStore, StoreError
from cadence.store.due_list import AddressRow, DueRow, Prepared
from cadence.store.feed import START, FeedPosition, FeedRow
from cadence.store.recorder import (
    ADDRESSES_WHOLE,
    DUE_STAMP,
    REBUILD_MARK,
    AddressChange,
    AddressesChanged,
    ClaimChange,
    ClaimChanged,
    ClaimWrite,
    EntryRow,
    Refreshed,
    SettingRow,
)
from cadence.store.recorders.lifetime import unfit_connection
from cadence.store.recorders.postgres_borrowed import join_transaction
from cadence.store.recorders.postgres_claims import ClaimBatch, claim_batches
from cadence.store.recorders.postgres_connection import (
    Datastore,
    connect,
    explain_postgres_error,
    first_line,
)
from cadence.store.recorders.postgres_feed import (
    ADD_WRITTEN_IN,
    BASE,
    CREATE_FEED_INDEX,
    FEED_INDEX,
    INSERT_IN_ORDER,
    IS_RESTORED,
    SELECT_FEED,
    SELECT_FEED_BEFORE,
    SELECT_FOLLOWING,
    SELECT_NEWEST_WRITTEN_IN,
    WAKE,
    WRITTEN_IN,
    Listener,
    start_from,
)
from cadence.store.recorders.postgres_locks import (
    LOCK_SETTINGS,
    TAKE_ALONE,
    TAKE_LOCKS,
    TAKE_TOGETHER,
    Locks,
)
from cadence.store.recorders.sql import (
    ADDED_COLUMNS,
    DELETE_ADDRESS,
    DELETE_BEHIND,
    DELETE_META,
    DELETE_ORPHANS,
    DUE_COLUMNS,
    END_CLAIM,
    END_ENTRY,
    INSERT_SETTING,
    NEWEST_VERSION,
    NEWEST_VERSIONS,
    OPEN_TOKENS,
    SELECT_ADDRESSES,
    UPDATE_DUE,
    UPSERT_ADDRESS,
    UPSERT_CLAIM,
    UPSERT_META,
    EntryStatement,
    SQLRecorder,
    check_addresses,
    check_claim,
    copying,
    inserting,
)

__all__ = ["PostgresRecorder"]

_SCHEMA: Final = 1
_FIRST_TABLES: Final = {"due", "meta", "stored_events"}
_TABLES: Final = {*_FIRST_TABLES, "settings", "claims", "holders", "entries"}
# In pipeline mode what is sent must fit the socket's buffer (some 200 kB on Linux, and psycopg
# sends state as hex); beyond that both sides may wait for each other for ever.
_PIPELINE_EVENTS: Final = 500
_PIPELINE_BYTES: Final = 32 * 1024
_CHUNK: Final = 500

_CREATE_INDEXES: Final = (
    # One owner's page reads one owner's rows.
    "CREATE INDEX IF NOT EXISTS due_owner ON {schema}.due (owner, at, prospect, wake) "
    "WHERE at IS NOT NULL",
    # Whether rows are stale is asked by every listing.
    "CREATE INDEX IF NOT EXISTS due_stamp ON {schema}.due (stamp, prospect)",
)
_CREATE: Final = (
    # As the package makes it, but ids sort by code point, as in SQLite and in Python.
    'CREATE TABLE {schema}.stored_events (originator_id text COLLATE "C" NOT NULL, '
    "originator_version bigint NOT NULL, topic text, state bytea, notification_id bigserial, "
    f"{WRITTEN_IN}, PRIMARY KEY (originator_id, originator_version)) "
    "WITH (autovacuum_enabled = true, autovacuum_vacuum_threshold = 100000000, "
    "autovacuum_vacuum_scale_factor = 0.5, autovacuum_analyze_threshold = 1000, "
    "autovacuum_analyze_scale_factor = 0.01)",
    "CREATE UNIQUE INDEX {events_index} ON {schema}.stored_events (notification_id)",
    CREATE_FEED_INDEX,
    'CREATE TABLE {schema}.due (prospect text COLLATE "C" PRIMARY KEY, verdict text NOT NULL, '
    "at bigint, wake bigint, owner text, name text, channels text, "
    "stamp text COLLATE \"C\" NOT NULL DEFAULT '')",
    # Stops, which have no time, stay out of it.
    "CREATE INDEX due_order ON {schema}.due (at, prospect, wake, verdict) WHERE at IS NOT NULL",
    *_CREATE_INDEXES,
    "CREATE TABLE {schema}.meta (key text PRIMARY KEY, value text)",
    f"INSERT INTO {{schema}}.meta (key, value) VALUES ('cadence', '{_SCHEMA}')",
)
_CREATE_SETTINGS: Final = (
    "CREATE TABLE {schema}.settings (number bigserial PRIMARY KEY, name text NOT NULL, "
    "value text, changed_by text NOT NULL, changed_at bigint NOT NULL)"
)
_CREATE_CLAIMS: Final = (
    'CREATE TABLE {schema}.claims (token text PRIMARY KEY, prospect text COLLATE "C" NOT NULL, '
    "claim text NOT NULL, ended text)",
    # At most one of a prospect is open.
    "CREATE UNIQUE INDEX claims_open ON {schema}.claims (prospect) WHERE ended IS NULL",
)
_CREATE_HOLDERS: Final = (
    'CREATE TABLE {schema}.holders (base text COLLATE "C" NOT NULL, '
    'prospect text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, holding text NOT NULL, '
    "speaks integer NOT NULL, PRIMARY KEY (base, prospect, key))",
    # A rebuild, and the audit, read the addresses of a prospect.
    "CREATE INDEX holders_prospect ON {schema}.holders (prospect, key)",
)
_CREATE_ENTRIES: Final = (
    "CREATE TABLE {schema}.entries (number bigserial PRIMARY KEY, "
    'base text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, kind text NOT NULL, '
    "source text NOT NULL, channel text NOT NULL, entry text NOT NULL, ended integer NOT NULL)",
    "CREATE INDEX entries_base ON {schema}.entries (base, ended, key)",
    # Lists that are too old, and what was taken back, are few among many.
    "CREATE INDEX entries_kind ON {schema}.entries (kind, ended, number)",
)
_ADDED_TABLES: Final = {
    "settings": (_CREATE_SETTINGS,),
    "claims": _CREATE_CLAIMS,
    "holders": _CREATE_HOLDERS,
    "entries": _CREATE_ENTRIES,
}
# Of several programs that make tables or indexes, one does so at a time.
_LOCK_MAKING: Final = "SELECT pg_advisory_xact_lock(hashtext('cadence'), hashtext(%s))"
_SELECT_TABLES: Final = (
    "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
    "WHERE nspname = %s AND relname = ANY(%s)"
)
_COUNT_META_COLUMNS: Final = (
    "SELECT count(*) AS n FROM information_schema.columns WHERE table_schema = %s "
    "AND table_name = 'meta' AND column_name IN ('key', 'value')"
)
_INSERT: Final = (
    "INSERT INTO {schema}.stored_events (originator_id, originator_version, topic, state) "
    "SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %b::bytea[]) "
    "RETURNING notification_id"
)
_ARRAYS: Final = (
    "%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], "
    "%s::text[]"
)
_INSERT_DUE: Final = f"INSERT INTO {{schema}}.due ({', '.join(DUE_COLUMNS)}) "
_UPSERT_DUE: Final = f"{_INSERT_DUE} SELECT * FROM unnest({_ARRAYS}) {UPDATE_DUE}"
_DELETE_MANY: Final = "DELETE FROM {schema}.holders WHERE prospect {many}"
_INSERT_MANY: Final = (
    "INSERT INTO {schema}.holders (base, key, prospect, holding, speaks) "
    "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::int[])"
)
# Of the rows just written: who is told by them, and who is told by what others said before.
_GIVEN: Final = "unnest(%s::text[], %s::text[], %s::int[]) AS given (base, prospect, speaks)"
_TELL_AND_ASK: Final = (
    "UPDATE {schema}.due SET verdict = 'task', at = 0, wake = 0 WHERE at > 0 AND prospect IN ("
    f"SELECT h.prospect FROM {_GIVEN} JOIN {{schema}}.holders h ON h.base = given.base "
    "WHERE given.speaks = 1 AND h.prospect <> given.prospect UNION ALL "
    f"SELECT given.prospect FROM {_GIVEN} WHERE EXISTS (SELECT 1 FROM {{schema}}.holders h "
    "WHERE h.base = given.base AND h.prospect <> given.prospect AND h.speaks = 1) OR EXISTS "
    "(SELECT 1 FROM {schema}.entries e WHERE e.base = given.base AND e.ended = 0))"
)
# Of who is told: rows are locked in the order of their ids, as every writer does.
_TELL: Final = (
    "WITH told AS (SELECT prospect FROM {schema}.due WHERE at > 0 AND prospect IN ("
    "SELECT h.prospect FROM unnest(%s::text[], %s::text[]) AS given (base, prospect) "
    "JOIN {schema}.holders h ON h.base = given.base WHERE h.prospect <> given.prospect) "
    "ORDER BY prospect FOR NO KEY UPDATE) "
    "UPDATE {schema}.due SET verdict = 'task', at = 0, wake = 0 FROM told "
    "WHERE due.prospect = told.prospect"
)
_ADD_COLUMNS: Final = "ALTER TABLE {schema}.due " + ", ".join(
    f"ADD COLUMN IF NOT EXISTS {column} "
    + ("text COLLATE \"C\" NOT NULL DEFAULT ''" if column == "stamp" else "text")
    for column in ADDED_COLUMNS
)
_SELECT_COLUMN: Final = (
    "SELECT 1 FROM information_schema.columns WHERE table_schema = ? AND table_name = ? "
    "AND column_name = ?"
)
_COUNT_ADDED_COLUMNS: Final = (
    "SELECT count(*) AS n FROM information_schema.columns WHERE table_schema = %s "
    "AND table_name = 'due' AND column_name = ANY(%s)"
)
# Postgres joins the rows itself, so Python handles one value instead of a row object an event.
_SELECT_STREAM: Final = (
    "SELECT count(*), string_agg(state, '\\x0a'::bytea ORDER BY originator_version) "
    "FROM {schema}.stored_events WHERE originator_id = ?"
)
_SELECT_STREAMS: Final = (
    "SELECT originator_id, count(*), string_agg(state, '\\x0a'::bytea ORDER BY originator_version) "
    "FROM {schema}.stored_events WHERE originator_id = ANY(?) GROUP BY originator_id"
)
_SELECT_ROWS: Final = (
    "SELECT originator_version, state FROM {schema}.stored_events WHERE originator_id = ? "
    "ORDER BY originator_version"
)
# A page of prospects at once, for readers of everything.
_SELECT_PAGE: Final = (
    "SELECT count(*), string_agg(state, '\\x0a'::bytea ORDER BY originator_id, originator_version) "
    "FROM {schema}.stored_events WHERE originator_id BETWEEN ? AND ?"
)

_SELECT_MENTIONING: Final = (
    "SELECT DISTINCT originator_id FROM {schema}.stored_events "
    "WHERE position(?::bytea in state) > 0 ORDER BY originator_id"
)

_SELECT_CLAIMED: Final = f"SELECT array({OPEN_TOKENS}), ({NEWEST_VERSION})"

_T = TypeVar("_T")


class _Write(NamedTuple):
    """What one call of :meth:`PostgresRecorder.insert_events` writes."""

    events: Sequence[StoredEvent]
    due: Sequence[DueRow]
    claims: Sequence[ClaimChange]
    addresses: Sequence[AddressChange]
    locks: Locks

    @property
    def is_small(self) -> bool:
        """Whether everything may be sent at once."""
        weight = sum(len(str(event.originator_id)) + len(event.state) for event in self.events)
        weight += sum(len(row.holding) for change in self.addresses for row in change.written)
        many = max(len(self.events), len(self.due))
        return many <= _PIPELINE_EVENTS and weight <= _PIPELINE_BYTES

    @property
    def is_alone(self) -> bool:
        """Whether no other may write meanwhile; their ids would come between those of chunks."""
        return self.locks.are_too_many or len(self.events) > _CHUNK


def _compose(statement: str, schema: str, events_index: str) -> Composed:
    """Put the name of the schema into a statement."""
    return SQL(statement.replace("?", "%s")).format(
        schema=Identifier(schema),
        events_index=Identifier(events_index),
        many=SQL("= ANY(%s::text[])"),
    )


@lru_cache(maxsize=1024)
def _as_bytes(statement: str, schema: str, events_index: str) -> bytes:
    return _compose(statement, schema, events_index).as_bytes()


class PostgresRecorder(SQLRecorder):
    """Keeps events and due list in one schema.

    A connection that turns out to be lost before the commit was sent is replaced, once. The package
    would try again after that too, and could take its own events for another's.
    """

    def __init__(
        self, datastore: Datastore, *, is_joined: bool = False, known: Iterable[str] = ()
    ) -> None:
        """Args:
        datastore: the connections.
        is_joined: whether it reads and writes in a transaction that the caller will commit.
        known: as of :class:`SQLRecorder`.
        """
        package_recorder = PostgresApplicationRecorder(datastore)
        super().__init__(package_recorder, known)
        self._datastore = datastore
        self._is_joined = is_joined
        self._events_index = package_recorder.notification_id_index_name

    @classmethod
    def open(
        cls, url: str, *, read_only: bool = False, lock_timeout_seconds: int = 5
    ) -> PostgresRecorder:
        """Connect to the database at ``url``; :meth:`create_tables` makes the tables.

        Args:
            url: ``postgresql://user:password@host:port/dbname``, with ``?schema=`` if the tables
                are not to lie in ``public`` (it is made if it does not exist), and with any
                parameter that libpq knows, such as ``host=`` for the folder of a Unix socket.
            read_only: write nothing.
            lock_timeout_seconds: how long to wait for another writer.

        Raises:
            InvalidStore: the address can't be read, or the database can't hold every text.
            StoreError: the server can't be reached or does not let us in.
        """
        return cls(connect(url, read_only=read_only, lock_timeout_seconds=lock_timeout_seconds))

    def in_transaction(self, connection: object) -> PostgresRecorder:
        if not isinstance(connection, Connection):
            name = f"database {self._datastore.name}"
            raise unfit_connection(name, connection, "a psycopg.Connection")
        joined = join_transaction(connection, self._datastore)
        return PostgresRecorder(joined, is_joined=True, known=self.known)

    def close(self) -> None:
        self._datastore.close()

    def _compose(self, statement: str) -> Composed:
        return _compose(statement, self._datastore.schema, self._events_index)

    def _sql(self, statement: str) -> bytes:
        return _as_bytes(statement, self._datastore.schema, self._events_index)

    # Tables -------------------------------------------------------------------------------------

    def create_tables(self) -> None:
        """Make schema and tables where there are none; several programs may do so at once.

        Raises:
            InvalidStore: another program's tables have these names; nothing was changed.
            StoreError: the tables can't be made.
        """
        # Looked at first without a lock, so that a user who may not create anything can open it.
        if self._twice(self._is_complete):
            return

        def create() -> None:
            with self._datastore.transaction(commit=True) as curs:
                curs.execute(_LOCK_MAKING, (self._datastore.schema,))
                tables = self._tables_of(curs)
                if tables:  # perhaps made by an older cadence
                    for name in _ADDED_TABLES.keys() - tables:
                        for statement in _ADDED_TABLES[name]:
                            curs.execute(self._compose(statement), prepare=False)
                    if not self._has_all_columns(curs):
                        for statement in (_ADD_COLUMNS, *_CREATE_INDEXES):
                            curs.execute(self._compose(statement), prepare=False)
                    self._number_transactions(curs)
                    return
                schemas = curs.execute(
                    "SELECT oid FROM pg_namespace WHERE nspname = %s", (self._datastore.schema,)
                )
                if schemas.fetchone() is None:
                    curs.execute(self._sql("CREATE SCHEMA {schema}"))
                for statement in (*_CREATE, *chain(*_ADDED_TABLES.values())):
                    curs.execute(self._compose(statement), prepare=False)

        def create_index() -> None:
            # Apart, so that readers go on while it is made for many events.
            with self._datastore.transaction(commit=True) as curs:
                curs.execute(_LOCK_MAKING, (self._datastore.schema,))
                curs.execute(self._compose(CREATE_FEED_INDEX), prepare=False)

        self._twice(create)
        self._twice(create_index)

    def _number_transactions(self, curs: Cursor[DictRow]) -> None:
        """Let each event of an older cadence's, or a restored, database keep its transaction."""
        asked = (self._datastore.schema, "stored_events", "written_in")
        if curs.execute(self._sql(_SELECT_COLUMN), asked).fetchone() is None:
            for statement in ADD_WRITTEN_IN:
                curs.execute(self._compose(statement), prepare=False)
        elif self._is_restored(curs):
            curs.execute(self._sql("LOCK TABLE {schema}.stored_events IN ACCESS EXCLUSIVE MODE"))
            row = curs.execute(self._sql(SELECT_NEWEST_WRITTEN_IN)).fetchone()
            base = 0 if row is None else int(row["newest"]) + 1
            curs.execute(self._compose(start_from(base)), prepare=False)
            curs.execute(self._sql(UPSERT_META), (BASE, str(base)))

    def _is_restored(self, curs: Cursor[DictRow]) -> bool:
        """Return whether events have numbers of transactions that are still to come here."""
        row = curs.execute(self._sql(IS_RESTORED)).fetchone()
        return row is not None and bool(row["found"])

    def has_tables(self) -> bool:
        """Return whether our tables are there.

        Raises:
            InvalidStore: another program's tables have these names, or ours are too new.
        """
        return bool(self._tables())

    def _tables(self) -> set[str]:
        def look() -> set[str]:
            with self._datastore.transaction() as curs:
                return self._tables_of(curs)

        return self._twice(look)

    def _tables_of(self, curs: Cursor[DictRow]) -> set[str]:
        """Look which of our tables are there."""
        schema = self._datastore.schema
        rows = curs.execute(_SELECT_TABLES, (schema, sorted(_TABLES))).fetchall()
        names = {str(row["relname"]) for row in rows}
        if not names:
            return names
        version = self._stored_version(curs) if names >= _FIRST_TABLES else None
        where = f"database {self._datastore.name}: schema {schema!r}"
        if version is None:
            found = ", ".join(sorted(names))
            raise InvalidStore(
                f"{where} has tables of another program ({found}); nothing was changed",
                "give it a schema of its own: add ?schema=cadence to the address",
            )
        if int(version) > _SCHEMA:
            raise InvalidStore(
                f"{where} holds version {version}; this cadence knows {_SCHEMA}",
                "use a newer cadence; nothing was changed",
            )
        return names

    def _is_complete(self) -> bool:
        with self._datastore.transaction() as curs:
            has_index = curs.execute(_SELECT_TABLES, (self._datastore.schema, [FEED_INDEX]))
            return (
                has_index.fetchone() is not None
                and self._tables_of(curs) == _TABLES
                and self._has_all_columns(curs)
                and not self._is_restored(curs)
            )

    def _has_all_columns(self, curs: Cursor[DictRow]) -> bool:
        """Return whether the due list has the columns that were added later."""
        params = (self._datastore.schema, list(ADDED_COLUMNS))
        row = curs.execute(_COUNT_ADDED_COLUMNS, params).fetchone()
        return row is not None and row["n"] == len(ADDED_COLUMNS)

    def _stored_version(self, curs: Cursor[DictRow]) -> str | None:
        """Read the version of our tables; ``None`` if they are another program's."""
        columns = curs.execute(_COUNT_META_COLUMNS, (self._datastore.schema,)).fetchone()
        if columns is None or columns["n"] != 2:
            return None
        select = self._sql("SELECT value FROM {schema}.meta WHERE key = 'cadence'")
        row = curs.execute(select).fetchone()
        return None if row is None else str(row["value"])

    # Writing ------------------------------------------------------------------------------------

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        claims: Sequence[ClaimChange] = (),
        addresses: Sequence[AddressChange] = (),
        **kwargs: Any,
    ) -> Sequence[int]:
        rows = list(due)
        write = _Write(
            stored_events,
            rows,
            claims,
            addresses,
            Locks.of_write(self._datastore.schema, stored_events, rows, claims, addresses),
        )
        is_sent_at_once = write.is_small and not self._is_joined
        insert = self._insert_pipelined if is_sent_at_once else self._insert_in_chunks
        return self._twice(lambda: insert(write))

    def _insert_pipelined(self, write: _Write) -> list[int]:
        """Send everything, then the commit: two round trips."""
        with (
            self._committing() as begin_commit,
            self._datastore.get_connection() as connection,
        ):
            with connection.pipeline() as pipeline, connection.transaction():
                ids = self._insert_all(connection, write, pipeline)
                begin_commit()
            if write.events:
                self._wake_followers(connection)
        return ids

    def _insert_in_chunks(self, write: _Write) -> list[int]:
        """Send chunks, one after the other; there is no bound on their size."""
        with (
            self._committing() as begin_commit,
            self._datastore.get_connection() as connection,
        ):
            with connection.transaction():
                ids = self._insert_all(connection, write)
                begin_commit()
            if write.events:
                self._wake_followers(connection)
        return ids

    def insert_claims(self, writes: Sequence[ClaimWrite]) -> list[bool]:
        taken: list[bool] = []
        for batch in claim_batches(self._datastore.schema, writes):
            take = self._take_alone if batch.is_alone else self._take_claims
            try:
                taken += self._twice(partial(take, batch))
            except StoreError:
                if not any(taken):
                    raise
                # What is taken is committed, so the caller has to learn of it.
                return [*taken, *repeat(False, len(writes) - len(taken))]
        return taken

    def _take_alone(self, batch: ClaimBatch) -> list[bool]:
        [(claims, addresses)] = batch.writes
        try:
            self.insert_events([], claims=claims, addresses=[addresses])
        except (ClaimChanged, AddressesChanged):
            return [False]
        return [True]

    def _take_claims(self, batch: ClaimBatch) -> list[bool]:
        with (
            self._committing() as begin_commit,
            self._datastore.get_connection() as connection,
            connection.transaction(),
            connection.cursor(row_factory=tuple_row) as curs,
        ):
            taken = batch.take(curs, self._sql)
            begin_commit()
        return taken

    def insert_batches(self, batches: Iterable[Prepared]) -> int:
        # A batch that was taken is gone, so nothing is tried twice: a connection that was lost
        # while it was not used is replaced before the first batch is taken.
        self.due_stamp()
        done = 0
        waiting = iter(batches)
        with (
            self._final(),
            self._committing() as begin_commit,
            self._datastore.get_connection() as connection,
        ):
            with connection.transaction(), connection.cursor() as curs:
                # For so many prospects the server has no room for a lock each.
                curs.execute(self._sql(TAKE_ALONE))
                while chunk := list(islice(waiting, _CHUNK)):
                    events = [event for one in chunk for event in one.events]
                    self._insert_stored(connection, events)
                    self._upsert_due(curs, [one.row for one in chunk])
                    self._replace_addresses(curs, [(one.row, one.addresses) for one in chunk])
                    done += len(events)
                begin_commit()
            if done:
                self._wake_followers(connection)
        return done

    def _insert_all(
        self, connection: Connection[DictRow], write: _Write, pipeline: Pipeline | None = None
    ) -> list[int]:
        """Write everything in the order of the locks, and check it before the commit is sent."""
        with connection.cursor() as curs:
            self._take(curs, write.locks, alone=write.is_alone)
            # Asked now, and looked at with the rest.
            asked = [(one, self._ask_claimed(connection, one)) for one in write.claims]
            said = [
                (one, self._ask_others(connection, one.bases))
                for one in write.addresses
                if one.seen is not None
            ]
            # First, so that a writer whose version is taken holds no row that others wait for.
            inserted = self._insert_stored(connection, write.events)
            for claim in write.claims:
                self._change_claim(curs, claim)
            self._change_addresses(curs, write.addresses)
            self._upsert_due(curs, write.due)
            if pipeline is not None:
                # A version that is taken must show before the commit is sent.
                pipeline.sync()
            for claim, answer in asked:
                [(tokens, version)] = answer.fetchall()
                check_claim(claim, tokens, None if claim.version is None else version)
            for change, answer in said:
                check_addresses(change, answer.fetchall())
        return [row[0] for answer in inserted for row in answer.fetchall()]

    def _take(self, curs: Cursor[DictRow], locks: Locks, *, alone: bool = False) -> None:
        """Wait for the writers that this transaction must not run beside."""
        if alone or locks.are_too_many:
            curs.execute(self._sql(TAKE_ALONE))
            return
        curs.execute(self._sql(TAKE_TOGETHER))
        curs.execute(TAKE_LOCKS, locks)

    def _ask_claimed(
        self, connection: Connection[DictRow], claim: ClaimChange
    ) -> Cursor[tuple[Any, ...]]:
        curs = connection.cursor(row_factory=tuple_row)
        return curs.execute(self._sql(_SELECT_CLAIMED), (claim.prospect, claim.prospect))

    def _ask_others(
        self, connection: Connection[DictRow], bases: Sequence[str]
    ) -> Cursor[tuple[Any, ...]]:
        curs = connection.cursor(row_factory=tuple_row)
        return curs.execute(self._sql(SELECT_ADDRESSES), (list(bases), list(bases)))

    def _change_claim(self, curs: Cursor[DictRow], claim: ClaimChange) -> None:
        if claim.ended is not None:
            curs.execute(self._sql(END_CLAIM), (claim.ended, claim.seen))
        if claim.taken is not None:
            curs.execute(self._sql(UPSERT_CLAIM), claim.taken)

    def _change_addresses(self, curs: Cursor[DictRow], changes: Sequence[AddressChange]) -> None:
        for change in changes:
            for base, key in change.gone:
                curs.execute(self._sql(DELETE_ADDRESS), (base, key, change.prospect))
            for row in change.written:
                curs.execute(self._sql(UPSERT_ADDRESS), (*row[:4], int(row.speaks)))
        speaking = [row for change in changes for row in change.written if row.speaks]
        self._tell(curs, [(row.base, row.prospect) for row in speaking])

    def _tell(self, curs: Cursor[DictRow], said: Sequence[tuple[str, str]]) -> None:
        """Let the due rows of other holders say "look now", all of them in order.

        Args:
            curs: of the transaction.
            said: the addresses that something is said of, each with the prospect that says it.
        """
        if said:
            bases, prospects = zip(*said, strict=True)
            curs.execute(self._sql(_TELL), (list(bases), list(prospects)))

    def _replace_addresses(
        self, curs: Cursor[DictRow], given: Sequence[tuple[DueRow, Sequence[AddressRow]]]
    ) -> None:
        """Write all addresses of some prospects, and ask and tell the other holders."""
        curs.execute(self._sql(_DELETE_MANY), ([row.prospect for row, _ in given],))
        rows = [one for _, addresses in given for one in addresses]
        if not rows:
            return
        columns: list[list[object]] = [
            [row.base for row in rows],
            [row.key for row in rows],
            [row.prospect for row in rows],
            [row.holding for row in rows],
            [int(row.speaks) for row in rows],
        ]
        curs.execute(self._sql(_INSERT_MANY), columns)
        curs.execute(self._sql(_TELL_AND_ASK), [columns[0], columns[2], columns[4]] * 2)

    def _insert_stored(
        self, connection: Connection[DictRow], stored_events: Sequence[StoredEvent]
    ) -> list[Cursor[tuple[Any, ...]]]:
        """Insert events; return the cursors that give their notification ids."""
        # A caller's transaction may have got its number before it read the history.
        insert = self._sql(INSERT_IN_ORDER if self._is_joined else _INSERT)
        inserted = []
        for start in range(0, len(stored_events), _CHUNK):
            chunk = stored_events[start : start + _CHUNK]
            columns: list[list[object]] = [
                [event.originator_id for event in chunk],
                [event.originator_version for event in chunk],
                [event.topic for event in chunk],
                [event.state for event in chunk],
            ]
            curs = connection.cursor(row_factory=tuple_row)
            inserted.append(curs.execute(insert, columns))
        return inserted

    def _wake_followers(self, connection: Connection[DictRow]) -> None:
        """Tell the programs that follow that there are events.

        Not in the transaction: it would commit one after the other with all that do so. And not
        surely: followers look by themselves too. Before the caller's commit they would see nothing.
        """
        if self._is_joined:
            return
        with suppress(psycopg.Error):
            connection.execute(WAKE, (self._datastore.schema,))

    def _upsert_due(self, curs: Cursor[DictRow], due: Iterable[DueRow]) -> None:
        remaining = iter(due)
        while chunk := list(islice(remaining, _CHUNK)):
            # One statement can't write the same row twice; the last one holds.
            rows = list({row.prospect: row for row in chunk}.values())
            columns = [[row[number] for row in rows] for number in range(len(DUE_COLUMNS))]
            curs.execute(self._sql(_UPSERT_DUE), columns)

    def refresh_due(
        self, rows: Sequence[Refreshed], after: str | None, last: str, mark: str
    ) -> None:
        with self._final(), self._datastore.transaction(commit=True) as curs:
            # No program writes meanwhile, so no row replaces a newer one.
            curs.execute(self._sql(TAKE_ALONE))
            curs.execute(self._sql(DELETE_ORPHANS), (after or "", last))
            ids = [one.row.prospect for one in rows]
            newest = {
                row["originator_id"]: row["version"]
                for row in curs.execute(self._sql(NEWEST_VERSIONS), (ids,)).fetchall()
            }
            held = [one for one in rows if newest.get(one.row.prospect) == one.version]
            self._upsert_due(curs, [one.row for one in held])
            self._replace_addresses(curs, [(one.row, one.addresses) for one in held])
            curs.execute(self._sql(UPSERT_META), (REBUILD_MARK, mark))

    def finish_due(self, after: str | None, stamp: str) -> None:
        with self._final(), self._datastore.transaction(commit=True) as curs:
            curs.execute(self._sql(TAKE_ALONE))
            curs.execute(self._sql(DELETE_BEHIND), (after or "",))
            curs.execute(self._sql(DELETE_META), (REBUILD_MARK,))
            curs.execute(self._sql(UPSERT_META), (DUE_STAMP, stamp))
            curs.execute(self._sql(UPSERT_META), (ADDRESSES_WHOLE, "whole"))

    def insert_entries(self, rows: Iterable[EntryRow]) -> int:
        return self._write_entries(rows, inserting)

    def insert_copies(self, rows: Iterable[EntryRow]) -> int:
        return self._write_entries(rows, copying)

    def _write_entries(self, rows: Iterable[EntryRow], statement: EntryStatement) -> int:
        new = 0
        waiting = iter(rows)
        with self._final(), self._datastore.transaction(commit=True) as curs:
            chunk = list(islice(waiting, _CHUNK))
            # What comes behind a whole chunk is not known yet.
            self._take(curs, self._locks_of_addresses(chunk), alone=len(chunk) == _CHUNK)
            while chunk:
                told = []
                for row in chunk:
                    sql, params = statement(row)
                    curs.execute(self._sql(sql), params)
                    if curs.rowcount:
                        told.append(row.base)
                new += len(told)
                self._tell(curs, [(base, "") for base in told])
                chunk = list(islice(waiting, _CHUNK))
        return new

    def end_entry(self, row: EntryRow) -> bool:
        with self._final(), self._datastore.transaction(commit=True) as curs:
            self._take(curs, self._locks_of_addresses([row]))
            return bool(curs.execute(self._sql(END_ENTRY), (row.entry, row.number)).rowcount)

    def _locks_of_addresses(self, rows: Iterable[EntryRow]) -> Locks:
        return Locks.of_addresses(self._datastore.schema, (row.base for row in rows))

    def _many(self, values: Sequence[str]) -> object:
        return list(values)

    def set_meta(self, key: str, value: str) -> None:
        with self._final(), self._datastore.transaction(commit=True) as curs:
            curs.execute(self._sql(UPSERT_META), (key, value))

    def insert_settings(self, rows: Sequence[SettingRow]) -> None:
        with self._final(), self._datastore.transaction(commit=True) as curs:
            # So that the numbers come in the order of the commits.
            self._take(curs, Locks.on(self._datastore.schema, [LOCK_SETTINGS]))
            curs.executemany(self._sql(INSERT_SETTING), rows)

    # Reading ------------------------------------------------------------------------------------

    def select_feed(self, after: FeedPosition, limit: int) -> list[FeedRow]:
        if not self._feed_has_transactions():
            rows = self._fetch(SELECT_FEED_BEFORE, (after.number, limit))
            # If the column came meanwhile, writers no longer waited for each other.
            if not self._feed_has_transactions():
                return [FeedRow(*row) for row in rows]
        return [FeedRow(*row) for row in self._fetch(SELECT_FEED, (*after, limit))]

    def feed_position(self, number: int) -> FeedPosition:
        if not self._feed_has_transactions():
            return FeedPosition(0, number)
        rows = self._fetch(SELECT_FOLLOWING, (number, number))
        if not rows:
            return START
        transaction, found = rows[0]
        return FeedPosition(transaction, number if found == number else found - 1)

    def _feed_has_transactions(self) -> bool:
        return self.is_known("feed", lambda: self._has_column("stored_events", "written_in"))

    @contextmanager
    def listen(self) -> Iterator[Callable[[float], bool]]:
        listener = Listener(self._datastore.connect, self._datastore.schema)
        try:
            yield listener.wait
        finally:
            listener.close()

    def select_stream(self, prospect: str) -> list[Event]:
        [(count, lines)] = self._fetch(_SELECT_STREAM, (prospect,))
        return self._decode(prospect, lines, count)

    def select_streams(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        streams: dict[str, list[Event]] = {prospect: [] for prospect in prospects}
        for prospect, count, lines in self._fetch(_SELECT_STREAMS, (list(prospects),)):
            streams[prospect] = self._decode(prospect, lines, count)
        return streams

    def select_page(self, first: str, last: str) -> list[list[Event]] | None:
        [(count, lines)] = self._fetch(_SELECT_PAGE, (first, last))
        return decode_page(_text(lines), count)

    def select_mentioning(self, text: str) -> list[str]:
        return [str(row[0]) for row in self._fetch(_SELECT_MENTIONING, (text.encode(),))]

    def _decode(self, prospect: str, lines: bytes | None, count: int) -> list[Event]:
        events = decode_stream(prospect, _text(lines), count)
        if events is None:
            events = decode_rows(prospect, self._fetch(_SELECT_ROWS, (prospect,)))
        return events

    def _fetch(self, statement: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        def fetch() -> list[tuple[Any, ...]]:
            with (
                self._datastore.get_connection() as connection,
                connection.cursor(binary=True, row_factory=tuple_row) as curs,
            ):
                return curs.execute(self._sql(statement), params).fetchall()

        return self._twice(fetch)

    def _has_table(self, name: str) -> bool:
        return name in self._tables()

    def _has_column(self, table: str, column: str) -> bool:
        return bool(self._fetch(_SELECT_COLUMN, (self._datastore.schema, table, column)))

    # Lost connections ---------------------------------------------------------------------------

    def _twice(self, function: Callable[[], _T]) -> _T:
        """Call ``function``, and again on another connection if that was lost (a restart, say)."""
        try:
            return function()
        except (InterfaceError, OperationalError):
            # The others that lie in the pool are most likely lost too.
            with self._final():
                self._datastore.pool.check()
                return function()

    @contextmanager
    def _final(self) -> Iterator[None]:
        """Raise ``StoreError`` for a lost connection: nothing is tried again."""
        try:
            yield
        except (InterfaceError, OperationalError, psycopg.Error) as error:
            raise explain_postgres_error(error, self._datastore.name) from None

    @contextmanager
    def _committing(self) -> Iterator[Callable[[], None]]:
        """Say so where a connection is lost after the commit was begun: it may have been recorded.

        Yields:
            What to call before the commit.
        """
        has_begun = False

        def begin_commit() -> None:
            nonlocal has_begun
            has_begun = True

        try:
            yield begin_commit
        except (InterfaceError, OperationalError) as error:
            if self._is_joined or not has_begun:  # the caller commits
                raise
            raise self._unsure(error) from None

    def _unsure(self, error: PersistenceError) -> StoreError:
        return StoreError(
            f"database {self._datastore.name}: the connection was lost while committing "
            f"({first_line(error)}); it may have been recorded or not",
            "give the same command again with its command_id, or read the history first",
        )


def _text(lines: bytes | None) -> str | None:
    """Joined states as text; ``None`` also where they are no UTF-8, which shows in their number."""
    try:
        return None if lines is None else lines.decode()
    except UnicodeDecodeError:
        return None
