"""Everything in one schema of a Postgres database, for teams that share it.

Events and due rows are written in one transaction. Every writer takes the same table lock first, so
notification ids come in the order of commits (a reader that tails them misses none) and nobody ever
waits for another's due row. A schema that isn't ours is refused before anything in it is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote

import psycopg
import psycopg_pool
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    InterfaceError,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.postgres import (
    BasePostgresFactory,
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresFactory,
)
from eventsourcing.utils import Environment
from psycopg import Connection, Cursor, Pipeline
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg.sql import SQL, Composed, Identifier

from cadence.domain.events import Event
from cadence.errors import InvalidStore, StoreBusy, StoreError
from cadence.store.due_list import DueRow, Prepared
from cadence.store.memory import MemoryRecorder
from cadence.store.serializer import decode_page, decode_rows, decode_stream

__all__ = [
    "PostgresDueFactory",
    "PostgresDueRecorder",
    "explain_postgres_error",
    "postgres_factory",
    "without_password",
]

_SCHEMA: Final = 1
_TABLES: Final = ("due", "meta", "stored_events")
_CONNECT_TIMEOUT: Final = 5
_POOL_SIZE: Final = 15
_IDLE_IN_TRANSACTION: Final = 30
# In pipeline mode what is sent must fit the socket's buffer (some 200 kB on Linux, and psycopg
# sends state as hex); beyond that both sides may wait for each other for ever.
_PIPELINE_EVENTS: Final = 500
_PIPELINE_BYTES: Final = 32 * 1024
_CHUNK: Final = 500

_CREATE: Final = (
    # As the package makes it, but ids sort by code point, as in SQLite and in Python.
    'CREATE TABLE {schema}.{events} (originator_id text COLLATE "C" NOT NULL, '
    "originator_version bigint NOT NULL, topic text, state bytea, notification_id bigserial, "
    "PRIMARY KEY (originator_id, originator_version)) WITH (autovacuum_enabled = true, "
    "autovacuum_vacuum_threshold = 100000000, autovacuum_vacuum_scale_factor = 0.5, "
    "autovacuum_analyze_threshold = 1000, autovacuum_analyze_scale_factor = 0.01)",
    "CREATE UNIQUE INDEX {events_index} ON {schema}.{events} (notification_id)",
    'CREATE TABLE {schema}.due (prospect text COLLATE "C" PRIMARY KEY, verdict text NOT NULL, '
    "at bigint, wake bigint)",
    # Covers the listing; stops, which have no time, stay out of it.
    "CREATE INDEX due_order ON {schema}.due (at, prospect, wake, verdict) WHERE at IS NOT NULL",
    "CREATE TABLE {schema}.meta (key text PRIMARY KEY, value text)",
    f"INSERT INTO {{schema}}.meta (key, value) VALUES ('cadence', '{_SCHEMA}')",
)
_INSERT: Final = (
    "INSERT INTO {schema}.{events} (originator_id, originator_version, topic, state) "
    "SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %b::bytea[]) "
    "RETURNING notification_id"
)
_UPSERT_DUE: Final = (
    "INSERT INTO {schema}.due (prospect, verdict, at, wake) "
    "SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[]) "
    "ON CONFLICT (prospect) DO UPDATE "
    "SET verdict = excluded.verdict, at = excluded.at, wake = excluded.wake"
)
# Postgres joins the rows itself, so Python handles one value instead of a row object an event.
_SELECT_STREAM: Final = (
    "SELECT count(*), string_agg(state, '\\x0a'::bytea ORDER BY originator_version) "
    "FROM {schema}.{events} WHERE originator_id = %s"
)
_SELECT_STREAMS: Final = (
    "SELECT originator_id, count(*), string_agg(state, '\\x0a'::bytea ORDER BY originator_version) "
    "FROM {schema}.{events} WHERE originator_id = ANY(%s) GROUP BY originator_id"
)

# A page of prospects at once, for readers of everything.
_SELECT_PAGE: Final = (
    "SELECT count(*), string_agg(state, '\\x0a'::bytea ORDER BY originator_id, originator_version) "
    "FROM {schema}.{events} WHERE originator_id BETWEEN %s AND %s"
)

_T = TypeVar("_T")


# Addresses and errors ---------------------------------------------------------------------------


def _parse(url: str) -> tuple[dict[str, Any], str]:
    """The connection parameters in ``url``, and the schema, which libpq does not know."""
    base, _, query = url.partition("?")
    schema = "public"
    kept = []
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        if key == "schema":
            schema = unquote(value).strip() or schema
        else:
            kept.append(pair)
    return conninfo_to_dict(f"{base}?{'&'.join(kept)}" if kept else base), schema


def without_password(url: str) -> str:
    """The address as it may be shown in messages: who, where and which database, no more.

    Args:
        url: a ``postgresql://`` address; one that can't be read is not shown at all.
    """
    try:
        params, schema = _parse(url)
    except psycopg.Error:
        return "postgresql://…"
    host, port = str(params.get("host", "")), str(params.get("port", ""))
    user = f"{quote(str(params['user']), '')}@" if "user" in params else ""
    place = "" if "/" in host else host + (f":{port}" if port else "")
    query = [f"host={host}"] if "/" in host else []
    query += [f"port={port}"] if "/" in host and port else []
    query += [] if schema == "public" else [f"schema={quote(schema, '')}"]
    database = quote(str(params.get("dbname", "")), "")
    return f"postgresql://{user}{place}/{database}" + ("?" if query else "") + "&".join(query)


def explain_postgres_error(error: BaseException, place: str) -> StoreError:
    """Word an error of Postgres, or of reaching it, as one of ours.

    Args:
        error: as psycopg raised it, or the ``eventsourcing`` package on its account.
        place: what to call the database, without a password.
    """
    cause = error if isinstance(error, psycopg.Error) else error.__cause__ or error
    text = _one_line(cause)
    state = getattr(cause, "sqlstate", None)
    kind = (
        StoreBusy if state in _BUSY or isinstance(cause, psycopg_pool.PoolTimeout) else StoreError
    )
    if state in _KNOWN:
        what, hint = _KNOWN[state]
        what = what.format(text)
    elif isinstance(cause, psycopg_pool.PoolTimeout):
        what = f"no connection within {_CONNECT_TIMEOUT} s"
        hint = f"give the server time to answer; one program uses at most {_POOL_SIZE} connections"
    elif state is None and isinstance(cause, psycopg.OperationalError):
        what, hint = _explain_connecting(cause, text)
    else:
        what, hint = text, "use what the log of the server says"
    return kind(f"database {place}: {what}", hint)


_PASSWORD: Final = "fix the password in the address, or set PGPASSWORD or ~/.pgpass"
# By Postgres's code of the error; {} stands for what Postgres says.
_KNOWN: Final = {
    "25006": ("read-only", "use the primary server, or open it for reading only"),
    "28P01": ("the password is wrong", _PASSWORD),
    "40P01": ("two writers waited for each other; nothing was recorded", "try again"),
    "42501": ("{}", "ask the owner of the database for the right, or give another user"),
    "42P01": ("missing tables of cadence ({})", "give another database or schema"),
    "53100": ("the disk is full ({})", "give it some space and try again"),
    "53300": ("no connection to spare ({})", "close other programs and try again"),
    "55P03": (
        "locked by another program",
        "give that program time to finish, and try again; nothing was recorded",
    ),
}
_BUSY: Final = frozenset({"40P01", "53300", "55P03"})


def _explain_connecting(error: psycopg.Error, text: str) -> tuple[str, str]:
    """Postgres gives no code while connecting, so look at what it says."""
    needs_password = error.pgconn is not None and error.pgconn.needs_password
    if needs_password or "no password supplied" in text:
        return "asks for a password", _PASSWORD
    if "password authentication failed" in text:
        return "the password is wrong", _PASSWORD
    if "does not exist" in text and "database" in text:
        return text, "make it with createdb, or fix the address"
    if "FATAL" in text:
        return text, "fix the user in the address, or ask the owner of the database"
    return f"can't be reached ({text})", "start the server, or fix host and port in the address"


def _one_line(error: BaseException) -> str:
    """The first line of what Postgres says, without what every such line begins with."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line.rpartition("failed: ")[2].strip().rstrip(".") or type(error).__name__


def _lost(error: PersistenceError) -> bool:
    """Whether the connection was lost, so that another may do."""
    cause = error.__cause__
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    if isinstance(cause, psycopg_pool.PoolTimeout):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P"))


# Connections ------------------------------------------------------------------------------------


class _Datastore(PostgresDatastore):
    """The package's pool, with every parameter of the address, and with our errors.

    The package tries most things ten times where Postgres or the network fails. Here only a lost
    connection is left to that: everything else is a :class:`~cadence.errors.StoreError` at once.
    """

    def __init__(
        self, params: dict[str, Any], *, place: str, schema: str, lock_timeout_seconds: int
    ) -> None:
        super().__init__(
            # Replaced below: these five are not all that an address can say.
            dbname="",
            host="",
            port="",
            user="",
            password="",
            connect_timeout=_CONNECT_TIMEOUT,
            idle_in_transaction_session_timeout=_IDLE_IN_TRANSACTION,
            pool_size=1,
            max_overflow=_POOL_SIZE - 1,
            lock_timeout=lock_timeout_seconds,
            schema=schema,
            originator_id_type="text",
        )
        self.pool.kwargs = {**params, "row_factory": dict_row}
        self.place = place

    def register_type_adapters(self) -> None:
        # Events are sent as plain arrays, so there is no composite type.
        pass

    @contextmanager
    def get_connection(self) -> Iterator[Connection[DictRow]]:
        try:
            with super().get_connection() as connection:
                yield connection
        except IntegrityError:
            raise
        except PersistenceError as error:
            if _lost(error):
                raise
            raise explain_postgres_error(error, self.place) from None


# The recorder -----------------------------------------------------------------------------------


class PostgresDueRecorder(PostgresApplicationRecorder):
    """The package's Postgres recorder, with a due list in the same transactions."""

    datastore: _Datastore

    def __init__(self, datastore: _Datastore, *, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self._statements: dict[str, bytes] = {}
        # The package's own would make a type and a function that we don't use.
        self.sql_create_statements = [self._compose(statement) for statement in _CREATE]

    def _compose(self, statement: str) -> Composed:
        return SQL(statement).format(
            schema=Identifier(self.datastore.schema),
            events=Identifier(self.events_table_name),
            events_index=Identifier(self.notification_id_index_name),
        )

    def _sql(self, statement: str) -> bytes:
        """The statement with the names of this schema; they are put in once."""
        found = self._statements.get(statement)
        if found is None:
            found = self._statements[statement] = self._compose(statement).as_bytes()
        return found

    def create_table(self) -> None:
        """Make schema and tables where there are none yet; several programs may do so at once.

        Raises:
            StoreError: tables of these names are there that aren't ours; nothing was changed.
        """
        # Looked at first without a lock, so that one who may not create anything can open it.
        if self.exists():
            return

        def make() -> None:
            with self.datastore.transaction(commit=True) as curs:
                curs.execute(self.lock_table_statements[0])
                curs.execute(
                    "SELECT pg_advisory_xact_lock(hashtext('cadence'), hashtext(%s))",
                    (self.datastore.schema,),
                )
                if self._exists(curs):
                    return
                found = curs.execute(
                    "SELECT oid FROM pg_namespace WHERE nspname = %s", (self.datastore.schema,)
                )
                if found.fetchone() is None:
                    curs.execute(self._sql("CREATE SCHEMA {schema}"))
                for statement in self.sql_create_statements:
                    curs.execute(statement, prepare=False)

        self._twice(make)

    def exists(self) -> bool:
        """Whether our tables are there.

        Raises:
            StoreError: tables of these names are there that aren't ours, or are too new.
        """

        def look() -> bool:
            with self.datastore.transaction() as curs:
                return self._exists(curs)

        return self._twice(look)

    def _exists(self, curs: Cursor[DictRow]) -> bool:
        found = curs.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relname = ANY(%s)",
            (self.datastore.schema, [*_TABLES, self.events_table_name]),
        ).fetchall()
        if not found:
            return False
        where = f"database {self.datastore.place}: schema {self.datastore.schema!r}"
        made = None
        if {row["relname"] for row in found} >= {"due", "meta", self.events_table_name}:
            columns = curs.execute(
                "SELECT count(*) AS n FROM information_schema.columns WHERE table_schema = %s "
                "AND table_name = 'meta' AND column_name IN ('key', 'value')",
                (self.datastore.schema,),
            ).fetchone()
            if columns is not None and columns["n"] == 2:
                made = curs.execute(
                    self._sql("SELECT value FROM {schema}.meta WHERE key = 'cadence'")
                ).fetchone()
        if made is None:
            names = ", ".join(sorted(row["relname"] for row in found))
            raise InvalidStore(
                f"{where} has tables of another program ({names}); nothing was changed",
                "give it a schema of its own: add ?schema=cadence to the address",
            )
        if int(made["value"]) > _SCHEMA:
            raise InvalidStore(
                f"{where} holds version {made['value']}; this cadence knows {_SCHEMA}",
                "use a newer cadence; nothing was changed",
            )
        return True

    # Writing ------------------------------------------------------------------------------------

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Write events, and with ``due=`` due rows, in one transaction.

        A connection that turns out to be lost before the commit was sent is replaced, once. (The
        package would try again after that too, and could so take its own events for another's.)

        Raises:
            IntegrityError: one of the versions is taken; nothing was written.
            StoreError: the database can't be written.
        """
        kwargs["due"] = due = list(kwargs.get("due", ()))
        weight = sum(len(str(event.originator_id)) + len(event.state) for event in stored_events)
        small = (
            len(stored_events) <= _PIPELINE_EVENTS
            and len(due) <= _PIPELINE_EVENTS
            and weight <= _PIPELINE_BYTES
        )
        insert = self._insert_pipelined if small else self._insert_plainly
        return self._twice(lambda: insert(stored_events, **kwargs))

    def _insert_pipelined(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> list[int]:
        """In two round trips: everything, and the commit."""
        committing = False
        try:
            with (
                self.datastore.get_connection() as connection,
                connection.pipeline() as pipeline,
                connection.transaction(),
            ):
                ids = self._insert_all(connection, pipeline, stored_events, **kwargs)
                committing = True
        except (InterfaceError, OperationalError) as error:
            raise self._unsure(error) if committing else error from None
        return ids

    def _insert_plainly(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> list[int]:
        """In chunks, one after the other; there is no bound on their size."""
        committing = False
        try:
            with self.datastore.get_connection() as connection, connection.transaction():
                ids = self._insert_all(connection, None, stored_events, **kwargs)
                committing = True
        except (InterfaceError, OperationalError) as error:
            raise self._unsure(error) if committing else error from None
        return ids

    def insert_batches(self, batches: Iterable[Prepared]) -> int:
        """In one transaction, a chunk after the other.

        What ``batches`` gave is gone, so nothing is tried twice: a connection that was lost while
        nobody used it is replaced before the first of them.

        Raises:
            IntegrityError: one of the versions is taken; nothing was written.
            StoreError: the database can't be written.
        """
        self.due_stamp()
        done, committing = 0, False
        waiting = iter(batches)
        try:
            with self.datastore.get_connection() as connection, connection.transaction():
                while chunk := list(islice(waiting, _CHUNK)):
                    events = [event for one in chunk for event in one.events]
                    self._insert_all(connection, None, events, due=[one.row for one in chunk])
                    done += len(events)
                committing = True
        except (InterfaceError, OperationalError) as error:
            if committing:
                raise self._unsure(error) from None
            raise explain_postgres_error(error, self.datastore.place) from None
        return done

    def _insert_all(
        self,
        connection: Connection[DictRow],
        pipeline: Pipeline | None,
        stored_events: Sequence[StoredEvent],
        **kwargs: Any,
    ) -> list[int]:
        ids: list[int] = []
        with connection.cursor() as curs, connection.cursor() as inserting:
            # The lock comes before any row of the due list, so that writers wait in one place only.
            self._lock_table(curs)
            self._notify_channel(curs)
            self._insert_events(curs, stored_events, **kwargs)
            for start in range(0, len(stored_events), _CHUNK):
                self._insert_stored_events(inserting, stored_events[start : start + _CHUNK])
                if pipeline is not None:
                    # A version that is taken must show before the commit is sent.
                    pipeline.sync()
                ids += [row["notification_id"] for row in inserting.fetchall()]
            if pipeline is not None:
                pipeline.sync()
        return ids

    def _insert_events(
        self,
        curs: Cursor[DictRow],
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        **kwargs: Any,
    ) -> None:
        super()._insert_events(curs, stored_events, **kwargs)
        remaining = iter(due)
        while chunk := list(islice(remaining, _CHUNK)):
            # One statement can't write the same row twice; the last one holds.
            rows = list({row.prospect: row for row in chunk}.values())
            columns = [[row[number] for row in rows] for number in range(4)]
            curs.execute(self._sql(_UPSERT_DUE), columns)

    def _insert_stored_events(
        self, curs: Cursor[DictRow], stored_events: Sequence[StoredEvent], **_: Any
    ) -> None:
        columns: list[list[object]] = [
            [event.originator_id for event in stored_events],
            [event.originator_version for event in stored_events],
            [event.topic for event in stored_events],
            [event.state for event in stored_events],
        ]
        curs.execute(self._sql(_INSERT), columns)

    def _unsure(self, error: PersistenceError) -> StoreError:
        return StoreError(
            f"database {self.datastore.place}: the connection was lost while committing "
            f"({_one_line(error)}); it may have been recorded or not",
            "look with: cadence replay, or repeat it with the same command_id",
        )

    def replace_due(self, rows: Iterable[DueRow], stamp: str) -> None:
        with self._final(), self.datastore.transaction(commit=True) as curs:
            # Nobody appends meanwhile, so no row is replaced by one that is older.
            self._lock_table(curs)
            curs.execute(self._sql("DELETE FROM {schema}.due"))
            self._insert_events(curs, (), due=rows)
            curs.execute(
                self._sql(
                    "INSERT INTO {schema}.meta (key, value) VALUES ('due', %s) "
                    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
                ),
                (stamp,),
            )

    def save_policy(self, digest: str, text: str) -> None:
        with self._final(), self.datastore.transaction(commit=True) as curs:
            curs.execute(
                self._sql(
                    "INSERT INTO {schema}.meta (key, value) VALUES (%s, %s) "
                    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
                ),
                (f"policy {digest}", text),
            )

    # Reading ------------------------------------------------------------------------------------

    def policy_text(self, digest: str) -> str | None:
        rows = self._fetch("SELECT value FROM {schema}.meta WHERE key = %s", (f"policy {digest}",))
        return str(rows[0][0]) if rows else None

    def policy_digests(self) -> list[str]:
        rows = self._fetch("SELECT key FROM {schema}.meta WHERE starts_with(key, 'policy ')")
        return sorted(str(row[0]).removeprefix("policy ") for row in rows)

    def select_stream(self, prospect: str) -> list[Event]:
        [(count, lines)] = self._fetch(_SELECT_STREAM, (prospect,))
        return _decode(prospect, lines, count)

    def select_streams(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {prospect: [] for prospect in prospects}
        for prospect, count, lines in self._fetch(_SELECT_STREAMS, (list(prospects),)):
            found[prospect] = _decode(prospect, lines, count)
        return found

    def select_page(self, first: str, last: str) -> list[list[Event]] | None:
        [(count, lines)] = self._fetch(_SELECT_PAGE, (first, last))
        try:
            return decode_page(None if lines is None else lines.decode(), count)
        except UnicodeDecodeError:
            return None

    def select_due(
        self, wake: int | None, after: tuple[int, str] | None, limit: int
    ) -> list[DueRow]:
        statement = "SELECT prospect, verdict, at, wake FROM {schema}.due WHERE at IS NOT NULL"
        params: list[object] = []
        if wake is not None:
            statement += " AND wake <= %s"
            params.append(wake)
        if after is not None:
            statement += " AND (at, prospect) > (%s, %s)"
            params.extend(after)
        statement += " ORDER BY at, prospect LIMIT %s"
        return [DueRow(*row) for row in self._fetch(statement, (*params, limit))]

    def select_prospects(self, after: str | None, limit: int) -> list[str]:
        rows = self._fetch(
            "SELECT DISTINCT originator_id FROM {schema}.{events} "
            "WHERE originator_id > %s ORDER BY originator_id LIMIT %s",
            (after or "", limit),
        )
        return [row[0] for row in rows]

    def due_stamp(self) -> str | None:
        rows = self._fetch("SELECT value FROM {schema}.meta WHERE key = 'due'")
        return None if not rows else str(rows[0][0])

    def count_due(self) -> int:
        return int(self._fetch("SELECT count(*) FROM {schema}.due")[0][0])

    def due_rows(self) -> Iterator[DueRow]:
        # At once: a cursor left open would keep a connection from the others.
        rows = self._fetch("SELECT prospect, verdict, at, wake FROM {schema}.due ORDER BY prospect")
        return iter([DueRow(*row) for row in rows])

    def _fetch(self, statement: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        def fetch() -> list[tuple[Any, ...]]:
            with (
                self.datastore.get_connection() as connection,
                connection.cursor(binary=True, row_factory=tuple_row) as curs,
            ):
                return curs.execute(self._sql(statement), params).fetchall()

        return self._twice(fetch)

    # Lost connections ---------------------------------------------------------------------------

    def _twice(self, function: Callable[[], _T]) -> _T:
        """Call ``function``, and again on another connection if that was lost (a restart, say)."""
        try:
            return function()
        except (InterfaceError, OperationalError):
            # The others that lie in the pool are most likely lost too.
            with self._final():
                self.datastore.pool.check()
                return function()

    @contextmanager
    def _final(self) -> Iterator[None]:
        try:
            yield
        except (InterfaceError, OperationalError, psycopg.Error) as error:
            raise explain_postgres_error(error, self.datastore.place) from None


def _decode(prospect: str, lines: bytes | None, count: int) -> list[Event]:
    try:
        return decode_stream(prospect, None if lines is None else lines.decode(), count)
    except UnicodeDecodeError:
        assert lines is not None
        return decode_rows(prospect, lines.split(b"\n"))


# The factory ------------------------------------------------------------------------------------


class PostgresDueFactory(PostgresFactory):
    """Makes :class:`PostgresDueRecorder` for one schema; :func:`postgres_factory` makes it."""

    def __init__(self, datastore: _Datastore, *, read_only: bool = False) -> None:
        """Args:
        datastore: the connections.
        read_only: make no tables; where there are none, the store is empty.
        """
        # The grandparent's: the parent's would make a datastore of its own from environment names.
        super(BasePostgresFactory, self).__init__(Environment("cadence", {}))
        self._read_only = read_only
        self.datastore = datastore

    def application_recorder(self) -> ApplicationRecorder:
        assert isinstance(self.datastore, _Datastore)
        recorder = PostgresDueRecorder(self.datastore)
        if not self._read_only:
            recorder.create_table()
        elif not recorder.exists():
            return MemoryRecorder()
        return recorder


def postgres_factory(
    url: str, *, read_only: bool = False, lock_timeout_seconds: int = 5
) -> PostgresDueFactory:
    """What makes a recorder for the database at ``url``.

    Args:
        url: ``postgresql://user:password@host:port/dbname``, with ``?schema=`` if the tables are
            not to lie in ``public`` (it is made if it does not exist), and with any parameter that
            libpq knows, e.g. ``host=`` for the folder of a Unix socket, or ``sslmode=``.
        read_only: write nothing; a schema without our tables is an empty store.
        lock_timeout_seconds: how long to wait for another writer.

    Raises:
        StoreError: the address is wrong, or the server can't be reached or does not let us in.
    """
    place = without_password(url)
    try:
        params, schema = _parse(url)
    except psycopg.Error:
        raise InvalidStore(
            "database: the postgresql:// address can't be read",
            "write it like postgresql://user:password@host:5432/dbname, and @ : / ? in a password "
            "as %40 %3A %2F %3F",
        ) from None
    params.setdefault("connect_timeout", _CONNECT_TIMEOUT)
    params.setdefault("application_name", "cadence")
    if read_only:
        options = params.get("options", "")
        params["options"] = f"{options} -c default_transaction_read_only=on".strip()
    # One plain connection first: a pool would go on trying in the background and say little.
    try:
        with psycopg.connect(**params) as connection:
            encoding = connection.info.parameter_status("server_encoding")
    except psycopg.Error as error:
        raise explain_postgres_error(error, place) from None
    if encoding != "UTF8":
        raise InvalidStore(
            f"database {place}: its encoding is {encoding}, which can't hold every text",
            "make one with: createdb --encoding UTF8",
        )
    datastore = _Datastore(
        params, place=place, schema=schema, lock_timeout_seconds=lock_timeout_seconds
    )
    return PostgresDueFactory(datastore, read_only=read_only)
