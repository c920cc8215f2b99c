"""Connect to PostgreSQL: addresses, the pool, and errors in our words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final, NamedTuple, Protocol, cast
from urllib.parse import quote, unquote
from weakref import WeakSet

import psycopg
import psycopg_pool
from eventsourcing.persistence import IntegrityError, PersistenceError
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection, IsolationLevel
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL

from cadence.errors import InvalidStore, StoreBusy, StoreError
from cadence.store.recorders.lifetime import (
    abandon,
    block_is_over,
    closed,
    renew_in_children,
    started_in_parent,
)

__all__ = [
    "Address",
    "Datastore",
    "Lent",
    "check_encoding",
    "committing_alone",
    "connect",
    "explain_postgres_error",
    "first_line",
    "parse_address",
    "without_password",
]

_CONNECT_TIMEOUT: Final = 5  # seconds
_POOL_SIZE: Final = 15
_IDLE_IN_TRANSACTION: Final = 30  # seconds

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
        "locked by another program or transaction",
        "let it end, and try again; nothing was recorded",
    ),
}
_NONE_FREE: Final = (psycopg_pool.PoolTimeout, psycopg_pool.TooManyRequests)
_BUSY: Final = frozenset({"40P01", "53300", "55P03"})


# Addresses --------------------------------------------------------------------------------------


class Address(NamedTuple):
    """What an address says.

    Attributes:
        parameters: of libpq.
        schema: where the tables lie; given as ``?schema=``, which libpq does not know.
    """

    parameters: dict[str, Any]
    schema: str


def parse_address(url: str) -> Address:
    """Read an address, with our ``?schema=``.

    Raises:
        psycopg.Error: it can't be read.
    """
    base, _, query = url.partition("?")
    schema = "public"
    kept = []
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        if key == "schema":
            schema = unquote(value).strip() or schema
        else:
            kept.append(pair)
    return Address(conninfo_to_dict(f"{base}?{'&'.join(kept)}" if kept else base), schema)


def without_password(url: str) -> str:
    """Return the address as messages may show it: user, server, database and schema, no more.

    Args:
        url: a ``postgresql://`` address; one that can't be read is not shown at all.
    """
    try:
        params, schema = parse_address(url)
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


# Errors -----------------------------------------------------------------------------------------


def explain_postgres_error(error: BaseException, name: str) -> StoreError:
    """Word an error of Postgres, or of reaching it, as one of ours.

    Args:
        error: as psycopg raised it, or the ``eventsourcing`` package on its account.
        name: what to call the database, without a password.
    """
    cause = error if isinstance(error, psycopg.Error) else error.__cause__ or error
    text = first_line(cause)
    state = getattr(cause, "sqlstate", None)
    has_no_connection = isinstance(cause, _NONE_FREE)
    kind = StoreBusy if has_no_connection or state in _BUSY else StoreError
    if state in _KNOWN:
        what, hint = _KNOWN[state]
        what = what.replace("{}", text)
    elif has_no_connection:
        what = f"no connection is free, or the server can't be reached ({text})"
        hint = "try again; start the server, or open it with a pool that has more connections"
    elif state is None and isinstance(cause, psycopg.OperationalError):
        what, hint = _explain_connecting(cause, text)
    else:
        what, hint = text, "use what the log of the server says"
    return kind(f"database {name}: {what}", hint)


def _explain_connecting(error: psycopg.Error, text: str) -> tuple[str, str]:
    # Postgres gives no code while connecting, so its words are all there is.
    needs_password = error.pgconn is not None and error.pgconn.needs_password
    if needs_password or "no password supplied" in text:
        return "missing password", _PASSWORD
    if "password authentication failed" in text:
        return "the password is wrong", _PASSWORD
    if "does not exist" in text and "database" in text:
        return text, "make it with createdb, or fix the address"
    if "FATAL" in text:
        return text, "fix the user in the address, or ask the owner of the database"
    return f"can't be reached ({text})", "start the server, or fix host and port in the address"


def first_line(error: BaseException) -> str:
    """Return the first line of what Postgres says, without what every such line begins with."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line.rpartition("failed: ")[2].strip().rstrip(".") or type(error).__name__


def _is_lost(error: PersistenceError) -> bool:
    """Return whether the connection was lost, so that another may do."""
    cause = error.__cause__
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    if isinstance(cause, _NONE_FREE):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P"))


# Connections ------------------------------------------------------------------------------------


class Lent(Protocol):
    """What the caller gave in place of a pool."""

    @property
    def is_transaction(self) -> bool:
        """Whether it is one connection, for one transaction."""

    def connection(self) -> AbstractContextManager[Connection[DictRow]]:
        """Give a connection, made as ours are."""

    def check(self) -> None:
        """Replace the connections that were lost."""

    def open(self, wait: bool, timeout: float) -> None:
        """Do what the package asks of a pool before each call: nothing."""

    def close(self) -> None:
        """Leave it to the caller."""


class Datastore(PostgresDatastore):
    """The package's pool, with every parameter of the address, and with our errors.

    The package tries most things ten times where Postgres or the network fails. Here only a lost
    connection is left to that: everything else is a :class:`~cadence.errors.StoreError` at once.
    A forked child has a pool of its own.
    """

    def __init__(
        self,
        parameters: dict[str, Any],
        *,
        name: str,
        schema: str,
        lock_timeout_seconds: int,
        lent: Lent | None = None,
    ) -> None:
        """Args:
        parameters: of libpq.
        name: what to call the database in errors, without a password.
        schema: where the tables lie.
        lock_timeout_seconds: how long to wait for another writer.
        lent: the caller's connections. They stay as they are, and a forked child can't use them.
        """
        self._lent = lent
        self._is_elsewhere = False
        self.parameters = parameters
        self._is_closed = False
        self._made: WeakSet[Connection[Any]] = WeakSet()
        self._beside_pool: WeakSet[Connection[Any]] = WeakSet()
        self.name = name
        self._make_pool(schema, lock_timeout_seconds)
        renew_in_children(self)

    def _make_pool(self, schema: str, lock_timeout_seconds: int) -> None:
        """Make the pool; it connects when the first connection is borrowed."""
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
        self.pool.kwargs = {**self.parameters, "row_factory": dict_row}
        if self._lent is not None:
            self.pool = cast("Any", self._lent)  # it has what is called of a pool

    def renew(self) -> None:
        """Leave the connections to the parent, and let this forked child make its own.

        The sockets are one and the same on both sides. Here they become the null device, so that
        whatever is still said on them reaches nothing, and the server sees when the parent ends.
        What the caller gave the parent is not ours to make again.
        """
        if self._lent is not None:
            self._is_elsewhere = True
            return
        abandon(self.pool)
        null = os.open(os.devnull, os.O_RDWR)
        for connection in [*self._made, *self._beside_pool]:
            with suppress(psycopg.Error, OSError):
                os.dup2(null, connection.fileno(), inheritable=False)
        os.close(null)
        self._made, self._beside_pool = WeakSet(), WeakSet()
        if not self._is_closed:
            self._make_pool(self.schema, self.lock_timeout)

    def close(self) -> None:
        """Close all connections; one that is in use, as soon as its call has ended."""
        # The package calls this also where __init__ failed.
        self._is_closed = True
        super().close()
        for connection in list(getattr(self, "_beside_pool", ())):
            connection.close()

    def connect(self) -> Connection[DictRow]:
        """Make a connection beside the pool.

        Raises:
            StoreError: the store is closed.
            psycopg.Error: the server can't be reached, or does not let us in.
        """
        if self._is_closed:
            raise self._closed()
        connection = psycopg.connect(**self.parameters, autocommit=True, row_factory=dict_row)
        self._beside_pool.add(connection)
        return connection

    def _closed(self) -> StoreError:
        is_over = self._lent is not None and self._lent.is_transaction
        return (block_is_over if is_over else closed)(f"database {self.name}")

    def after_connect_func(self) -> Callable[[Connection[Any]], None]:
        """Return what makes a new connection of the pool ready."""
        package_func = super().after_connect_func()
        set_lock_timeout = SQL("SET lock_timeout = '{0}s'").format(self.lock_timeout)
        made = self._made

        def after_connect(connection: Connection[Any]) -> None:
            made.add(connection)
            package_func(connection)
            # What is read behind a lock must be newer than the lock, whatever the database's
            # default is.
            connection.isolation_level = IsolationLevel.READ_COMMITTED
            connection.execute(set_lock_timeout)

        return after_connect

    def register_type_adapters(self) -> None:
        """Register none: events are sent as plain arrays, so there is no composite type."""

    @contextmanager
    def get_connection(self) -> Iterator[Connection[DictRow]]:
        """Borrow a connection from the pool.

        Raises:
            PersistenceError: the connection was lost; another may do.
            IntegrityError: a row is there already.
            StoreError: everything else; also where the store is closed.
        """
        if self._is_elsewhere:
            raise started_in_parent(f"database {self.name}")
        if self._is_closed:
            raise self._closed()
        is_borrowed = False
        try:
            with super().get_connection() as connection:
                is_borrowed = True
                yield connection
        except IntegrityError:
            raise
        except PersistenceError as error:
            if self._is_closed and not is_borrowed:
                raise self._closed() from None
            if _is_lost(error):
                raise
            raise explain_postgres_error(error, self.name) from None


def connect(url: str, *, read_only: bool, lock_timeout_seconds: int) -> Datastore:
    """Connect to the database at ``url``.

    Raises:
        InvalidStore: the address can't be read, or the database can't hold every text.
        StoreError: the server can't be reached or does not let us in.
    """
    name = without_password(url)
    try:
        params, schema = parse_address(url)
    except psycopg.Error:
        raise InvalidStore(
            "database: invalid postgresql:// address",
            "give one like postgresql://user:password@host:5432/dbname, with @ : / ? in a password "
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
            check_encoding(connection, name)
    except psycopg.Error as error:
        raise explain_postgres_error(error, name) from None
    return Datastore(params, name=name, schema=schema, lock_timeout_seconds=lock_timeout_seconds)


@contextmanager
def committing_alone(connection: Connection[Any]) -> Iterator[None]:
    """Let a caller's connection commit each statement by itself, and be as it was at the end.

    What is read behind a lock must be newer than the lock, so it is ``READ COMMITTED``.
    """
    kept = connection.autocommit, connection.isolation_level
    connection.autocommit = True
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    try:
        yield
    finally:
        if not connection.closed:
            connection.autocommit, connection.isolation_level = kept


def check_encoding(connection: Connection[Any], name: str) -> None:
    """Check that a database can hold every text.

    Raises:
        InvalidStore: it can't.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise InvalidStore(
            f"database {name}: invalid encoding {encoding}, which can't hold every text",
            "give one that was made with: createdb --encoding UTF8",
        )
