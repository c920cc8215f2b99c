"""The tables: the CRM's own, and those that cadence keeps beside it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

# SQLite numbers rows by itself only where the column is INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")
# Ids sort by code point, as in Python.
_Id = String().with_variant(String(collation="C"), "postgresql")

METADATA: Final = MetaData()

CUSTOMERS: Final = Table(
    "customers",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("balance", Integer, nullable=False, server_default=text("0")),
)
"""The CRM's: its customers."""

ACTIVITIES: Final = Table(
    "activities",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("customer", _Id, nullable=False),
    Column("source", String, nullable=False),  # "cadence", or a part of the CRM
    Column("version", _Number),
    Column("kind", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("customer", "version"),
)
"""The CRM's: whatever happened with a customer. Our events are among it."""

META: Final = Table(
    "cadence_meta",
    METADATA,
    Column("key", _Id, primary_key=True),
    Column("value", Text, nullable=False),
)
DUE: Final = Table(
    "cadence_due",
    METADATA,
    Column("prospect", _Id, primary_key=True),
    Column("verdict", String, nullable=False),
    Column("at", _Number),
    Column("review_from", _Number),
    Column("owner", String),
    Column("name", String, nullable=False),
    Column("channels", String, nullable=False),
    Column("stamp", _Id, nullable=False),
    Index("cadence_due_order", "at", "prospect"),
)
HOLDERS: Final = Table(
    "cadence_holders",
    METADATA,
    Column("base", _Id, primary_key=True),
    Column("prospect", _Id, primary_key=True, index=True),
    Column("key", _Id, primary_key=True),
    Column("holding", Text, nullable=False),
    Column("speaks", Boolean, nullable=False),
)
ENTRIES: Final = Table(
    "cadence_entries",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("base", _Id, nullable=False, index=True),
    Column("key", _Id, nullable=False),
    Column("kind", String, nullable=False),
    Column("source", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("entry", Text, nullable=False),
    Column("ended", Boolean, nullable=False),
)
CLAIMS: Final = Table(
    "cadence_claims",
    METADATA,
    Column("token", String, primary_key=True),
    Column("prospect", _Id, nullable=False, index=True),
    Column("claim", Text, nullable=False),
    Column("ended", String),
)
SETTINGS: Final = Table(
    "cadence_settings",
    METADATA,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False),
    Column("value", Text),
    Column("changed_by", String, nullable=False),
    Column("changed_at", _Number, nullable=False),
)
