"""Implement the port of a store on plain SQLAlchemy.

One writer writes at a time: each transaction first changes one row of ``cadence_meta``. So what was
checked stays so until the commit, and the numbers of activities come in the order of the commits.
A busy team would lock less; ``cadence.testing.StoreContract`` says whether it is still right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from eventsourcing.persistence import IntegrityError, StoredEvent
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Table,
    Update,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import IntegrityError as Taken

from cadence.errors import InputError, StoreError
from cadence.store.recorder import (
    ADDRESSES_WHOLE,
    DUE_STAMP,
    REBUILD_MARK,
    AddressChange,
    AddressesChanged,
    AddressRow,
    ClaimChange,
    ClaimChanged,
    ClaimRow,
    DueQuery,
    DueRow,
    EntryQuery,
    EntryRow,
    FeedPosition,
    FeedRow,
    Prepared,
    Recorder,
    Refreshed,
    SettingRow,
)
from sqlalchemy_store.tables import (
    ACTIVITIES,
    CLAIMS,
    DUE,
    ENTRIES,
    HOLDERS,
    META,
    METADATA,
    SETTINGS,
)

__all__ = ["SQLAlchemyRecorder"]

_SOURCE: Final = "cadence"
_LOCK: Final = "lock"
_OURS: Final = ACTIVITIES.c.source == _SOURCE
_ROW: Final = (
    ACTIVITIES.c.number,
    ACTIVITIES.c.customer,
    ACTIVITIES.c.version,
    ACTIVITIES.c.kind,
    ACTIVITIES.c.body,
)
_HOLDER: Final[list[Column[Any]]] = [HOLDERS.c[name] for name in AddressRow._fields]


class SQLAlchemyRecorder(Recorder):
    """Keeps the events of prospects among a CRM's activities."""

    def __init__(self, engine: Engine, session: Connection | None = None) -> None:
        """Args:
        engine: of the CRM's database. The tables are made where there are none.
        session: a connection of the CRM's with a transaction, in which it reads and writes.
        """
        self._engine = engine
        self._joined = session
        self._is_closed = False
        if session is None:
            METADATA.create_all(engine)
            with engine.begin() as connection:
                if connection.scalar(select(META.c.key).where(META.c.key == _LOCK)) is None:
                    connection.execute(insert(META).values(key=_LOCK, value=""))

    def close(self) -> None:
        """Refuse every call from here on; the engine is the CRM's."""
        self._is_closed = True

    def in_transaction(self, connection: object) -> SQLAlchemyRecorder:
        """Join the transaction of a ``sqlalchemy.Connection``, such as ``session.connection()``."""
        if not isinstance(connection, Connection) or connection.engine is not self._engine:
            raise InputError("invalid connection", "give a connection of the same engine")
        return SQLAlchemyRecorder(self._engine, connection)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        if self._is_closed:
            raise StoreError("the CRM's database: closed", "open it again")
        try:
            if self._joined is not None:
                yield self._joined
            else:
                with self._engine.connect() as connection:
                    yield connection
        except DBAPIError as error:
            raise StoreError(f"the CRM's database: {error.orig}", "try again") from None

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """Write everything, or nothing: in a transaction, or in a savepoint of the CRM's."""
        if self._is_closed:
            raise StoreError("the CRM's database: closed", "open it again")
        try:
            if self._joined is not None:
                self._joined.execute(_lock())
                with self._joined.begin_nested():
                    yield self._joined
            else:
                with self._engine.begin() as connection:
                    connection.execute(_lock())
                    yield connection
        except Taken as error:
            raise IntegrityError(str(error.orig)) from None
        except DBAPIError as error:
            raise StoreError(f"the CRM's database: {error.orig}", "try again") from None

    # Writing ------------------------------------------------------------------------------------

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        claims: Sequence[ClaimChange] = (),
        addresses: Sequence[AddressChange] = (),
    ) -> Sequence[int]:
        with self._write() as connection:
            for claim in claims:
                _check_claim(connection, claim)
            for change in addresses:
                _check_addresses(connection, change)
            numbers = _insert_activities(connection, stored_events)
            for claim in claims:
                _change_claim(connection, claim)
            for change in addresses:
                for base, key in change.gone:
                    _delete_holder(connection, base, key, change.prospect)
                _write_holders(connection, change.written)
            _write_due(connection, due)
        return numbers

    def insert_batches(self, batches: Iterable[Prepared]) -> int:
        done = 0
        with self._write() as connection:
            for events, row, addresses in batches:
                _insert_activities(connection, events)
                _write_due(connection, [row])
                _replace_holders(connection, row.prospect, addresses)
                done += len(events)
        return done

    def refresh_due(
        self, rows: Sequence[Refreshed], after: str | None, last: str, mark: str
    ) -> None:
        with self._write() as connection:
            _drop_orphans(connection, after, last)
            for row, version, addresses in rows:
                if _newest_version(connection, row.prospect) == version:
                    _write_due(connection, [row])
                    _replace_holders(connection, row.prospect, addresses)
            _set(connection, REBUILD_MARK, mark)

    def finish_due(self, after: str | None, stamp: str) -> None:
        with self._write() as connection:
            _drop_orphans(connection, after, None)
            connection.execute(delete(META).where(META.c.key == REBUILD_MARK))
            _set(connection, DUE_STAMP, stamp)
            _set(connection, ADDRESSES_WHOLE, "whole")

    def insert_entries(self, rows: Iterable[EntryRow]) -> int:
        new = 0
        with self._write() as connection:
            for row in rows:
                same = [getattr(ENTRIES.c, name) == getattr(row, name) for name in row._fields[:5]]
                stands = select(ENTRIES.c.number).where(*same, ~ENTRIES.c.ended)
                if connection.scalar(stands) is None:
                    _add_entry(connection, row)
                    new += 1
        return new

    def insert_copies(self, rows: Iterable[EntryRow]) -> int:
        changed = 0
        with self._write() as connection:
            for row in rows:
                same = ENTRIES.c.base == row.base, ENTRIES.c.entry == row.entry
                if row.number:
                    changed += _end_entry(connection, row)
                elif connection.scalar(select(ENTRIES.c.number).where(*same)) is None:
                    _add_entry(connection, row)
                    changed += 1
        return changed

    def end_entry(self, row: EntryRow) -> bool:
        with self._write() as connection:
            return _end_entry(connection, row)

    def insert_settings(self, rows: Sequence[SettingRow]) -> None:
        with self._write() as connection:
            for name, value, by, at in rows:
                values = {"name": name, "value": value, "changed_by": by, "changed_at": at}
                connection.execute(insert(SETTINGS).values(values))

    def set_meta(self, key: str, value: str) -> None:
        with self._write() as connection:
            _set(connection, key, value)

    # Reading ------------------------------------------------------------------------------------

    def select_states(self, prospect: str) -> Sequence[tuple[int, bytes]]:
        found = select(ACTIVITIES.c.version, ACTIVITIES.c.body).where(
            _OURS, ACTIVITIES.c.customer == prospect
        )
        with self._read() as connection:
            rows = connection.execute(found.order_by(ACTIVITIES.c.version))
            return [(version, body) for version, body in rows]

    def select_feed(self, after: FeedPosition, limit: int) -> list[FeedRow]:
        found = select(*_ROW).where(_OURS, ACTIVITIES.c.number > after.number)
        with self._read() as connection:
            rows = connection.execute(found.order_by(ACTIVITIES.c.number).limit(limit))
            return [FeedRow(0, *row) for row in rows]

    def newest(self) -> FeedRow | None:
        found = select(*_ROW).where(_OURS).order_by(ACTIVITIES.c.number.desc()).limit(1)
        with self._read() as connection:
            row = connection.execute(found).first()
        return None if row is None else FeedRow(0, *row)

    def select_prospects(self, after: str | None, limit: int) -> list[str]:
        found = select(ACTIVITIES.c.customer).where(_OURS, ACTIVITIES.c.customer > (after or ""))
        ordered = found.distinct().order_by(ACTIVITIES.c.customer).limit(limit)
        with self._read() as connection:
            return list(connection.scalars(ordered))

    def select_due(
        self, query: DueQuery, after: tuple[int, str] | None, limit: int
    ) -> list[DueRow]:
        found = select(DUE).where(DUE.c.at.is_not(None))
        if query.owner is not None:
            found = found.where(DUE.c.owner == query.owner)
        if query.review_until is not None:
            found = found.where(DUE.c.review_from <= query.review_until)
        if query.channel is not None:
            found = found.where(DUE.c.channels.contains(f",{query.channel},", autoescape=True))
        if after is not None:
            found = found.where(tuple_(DUE.c.at, DUE.c.prospect) > tuple_(*map(literal, after)))
        with self._read() as connection:
            rows = connection.execute(found.order_by(DUE.c.at, DUE.c.prospect).limit(limit))
            return [DueRow(*row) for row in rows]

    def due_rows(self, after: str | None = None, last: str | None = None) -> list[DueRow]:
        found = select(DUE).where(_between(DUE, after, last)).order_by(DUE.c.prospect)
        with self._read() as connection:
            return [DueRow(*row) for row in connection.execute(found)]

    def select_addresses(self, bases: Sequence[str]) -> list[AddressRow]:
        with self._read() as connection:
            return _said(connection, bases)

    def address_rows(self, after: str | None, last: str) -> list[AddressRow]:
        found = select(*_HOLDER).where(_between(HOLDERS, after, last))
        with self._read() as connection:
            rows = connection.execute(found.order_by(HOLDERS.c.prospect, HOLDERS.c.key))
            return [AddressRow(*row) for row in rows]

    def select_entries(
        self, query: EntryQuery, after: int = 0, limit: int = 1000
    ) -> list[EntryRow]:
        found = select(*(ENTRIES.c[name] for name in EntryRow._fields))
        found = found.where(ENTRIES.c.number > after).order_by(ENTRIES.c.number).limit(limit)
        for name, value in query._asdict().items():
            if value is not None:
                found = found.where(ENTRIES.c[name] == value)
        with self._read() as connection:
            return [EntryRow(*row) for row in connection.execute(found)]

    def open_claims(self, prospect: str | None = None) -> list[ClaimRow]:
        found = select(CLAIMS).where(CLAIMS.c.ended.is_(None)).order_by(CLAIMS.c.prospect)
        if prospect is not None:
            found = found.where(CLAIMS.c.prospect == prospect)
        with self._read() as connection:
            return [ClaimRow(*row) for row in connection.execute(found)]

    def find_claim(self, token: str) -> ClaimRow | None:
        with self._read() as connection:
            row = connection.execute(select(CLAIMS).where(CLAIMS.c.token == token)).first()
        return None if row is None else ClaimRow(*row)

    def meta(self, key: str) -> str | None:
        with self._read() as connection:
            return connection.scalar(select(META.c.value).where(META.c.key == key))

    def meta_keys(self, prefix: str) -> list[str]:
        found = select(META.c.key).where(META.c.key.startswith(prefix, autoescape=True))
        with self._read() as connection:
            return list(connection.scalars(found.order_by(META.c.key)))

    def select_settings(self, name: str | None = None) -> list[SettingRow]:
        columns = (SETTINGS.c[one] for one in ("name", "value", "changed_by", "changed_at"))
        found = select(*columns).order_by(SETTINGS.c.number)
        if name is not None:
            found = found.where(SETTINGS.c.name == name)
        with self._read() as connection:
            return [SettingRow(*row) for row in connection.execute(found)]


# Statements ---------------------------------------------------------------------------------------


def _lock() -> Update:
    """The first statement of each write: it waits until no other writes."""
    return update(META).where(META.c.key == _LOCK).values(value="")


def _insert_activities(connection: Connection, stored_events: Sequence[StoredEvent]) -> list[int]:
    numbers = []
    for one in stored_events:
        values = {
            "customer": str(one.originator_id),
            "source": _SOURCE,
            "version": one.originator_version,
            "kind": one.topic,
            "body": one.state,
        }
        made = insert(ACTIVITIES).values(values).returning(ACTIVITIES.c.number)
        numbers.append(connection.execute(made).scalar_one())
    return numbers


def _newest_version(connection: Connection, prospect: str) -> int | None:
    newest = select(func.max(ACTIVITIES.c.version))
    row = connection.execute(newest.where(_OURS, ACTIVITIES.c.customer == prospect)).one()
    return None if row[0] is None else int(row[0])


def _set(connection: Connection, key: str, value: str) -> None:
    connection.execute(delete(META).where(META.c.key == key))
    connection.execute(insert(META).values(key=key, value=value))


def _write_due(connection: Connection, rows: Iterable[DueRow]) -> None:
    for row in rows:
        connection.execute(delete(DUE).where(DUE.c.prospect == row.prospect))
        connection.execute(insert(DUE).values(row._asdict()))


def _drop_orphans(connection: Connection, after: str | None, last: str | None) -> None:
    has_events = exists().where(_OURS, ACTIVITIES.c.customer == DUE.c.prospect)
    connection.execute(delete(DUE).where(_between(DUE, after, last), ~has_events))


def _between(table: Table, after: str | None, last: str | None) -> ColumnElement[bool]:
    bounds = table.c.prospect > (after or "")
    return bounds if last is None else and_(bounds, table.c.prospect <= last)


# Claims


def _check_claim(connection: Connection, claim: ClaimChange) -> None:
    tokens = select(CLAIMS.c.token).where(
        CLAIMS.c.prospect == claim.prospect, CLAIMS.c.ended.is_(None)
    )
    if list(connection.scalars(tokens)) != ([] if claim.seen is None else [claim.seen]):
        raise ClaimChanged
    if claim.version not in (None, _newest_version(connection, claim.prospect)):
        raise ClaimChanged


def _change_claim(connection: Connection, claim: ClaimChange) -> None:
    if claim.ended is not None:
        ended = update(CLAIMS).where(CLAIMS.c.token == claim.seen)
        connection.execute(ended.values(ended=claim.ended))
    if claim.taken is not None:
        connection.execute(delete(CLAIMS).where(CLAIMS.c.token == claim.taken.token))
        connection.execute(insert(CLAIMS).values(claim.taken._asdict()))


# Addresses


def _said(connection: Connection, bases: Sequence[str]) -> list[AddressRow]:
    held = select(*_HOLDER).where(HOLDERS.c.base.in_(bases))
    entered = select(ENTRIES.c.base, ENTRIES.c.key, ENTRIES.c.entry).where(
        ENTRIES.c.base.in_(bases), ~ENTRIES.c.ended
    )
    rows = [AddressRow(*row) for row in connection.execute(held)]
    rows += [
        AddressRow(base, key, "", entry, False)
        for base, key, entry in connection.execute(entered.order_by(ENTRIES.c.number))
    ]
    return sorted(rows, key=lambda row: (row.base, row.prospect, row.key))


def _check_addresses(connection: Connection, change: AddressChange) -> None:
    if change.seen is not None:
        said = _said(connection, change.bases)
        if tuple(row for row in said if row.prospect != change.prospect) != change.seen:
            raise AddressesChanged


def _delete_holder(connection: Connection, base: str, key: str, prospect: str) -> None:
    same = HOLDERS.c.base == base, HOLDERS.c.key == key, HOLDERS.c.prospect == prospect
    connection.execute(delete(HOLDERS).where(*same))


def _write_holders(connection: Connection, rows: Iterable[AddressRow]) -> None:
    for row in rows:
        _delete_holder(connection, row.base, row.key, row.prospect)
        connection.execute(insert(HOLDERS).values(row._asdict()))
        if row.speaks:
            _tell(connection, row.base, row.prospect)


def _replace_holders(connection: Connection, prospect: str, rows: Sequence[AddressRow]) -> None:
    connection.execute(delete(HOLDERS).where(HOLDERS.c.prospect == prospect))
    _write_holders(connection, rows)
    said = _said(connection, [row.base for row in rows])
    if any(row.prospect != prospect and (row.speaks or not row.prospect) for row in said):
        _look_now(connection, DUE.c.prospect == prospect)


def _add_entry(connection: Connection, row: EntryRow) -> None:
    values = dict(zip(row._fields[:7], row[:7], strict=True))
    connection.execute(insert(ENTRIES).values(values))
    _tell(connection, row.base, "")


def _end_entry(connection: Connection, row: EntryRow) -> bool:
    ended = update(ENTRIES).where(ENTRIES.c.number == row.number, ~ENTRIES.c.ended)
    done = connection.execute(ended.values(ended=True, entry=row.entry))
    return bool(done.rowcount)


def _tell(connection: Connection, base: str, prospect: str) -> None:
    """Let the due rows of the other holders of an address say "look now"."""
    others = select(HOLDERS.c.prospect).where(
        HOLDERS.c.base == base, HOLDERS.c.prospect != prospect
    )
    _look_now(connection, DUE.c.prospect.in_(others))


def _look_now(connection: Connection, which: ColumnElement[bool]) -> None:
    rows = update(DUE).where(DUE.c.at.is_not(None), which)
    connection.execute(rows.values(verdict="task", at=0, review_from=0))
