"""The service offers what it documents, keeps events and due rows together, and no more."""

from __future__ import annotations

import ast
import inspect
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from eventsourcing.persistence import IntegrityError

import cadence.store
from cadence.domain.channels import CALL
from cadence.domain.events import ContactPoint, Event, InterestNoted, ProspectAdded
from cadence.domain.fold import fold
from cadence.errors import Conflict, InputError, StoreBusy, StoreError
from cadence.store import Cadence
from cadence.store.due_list import Prepared
from cadence.store.recorders.opening import open_recorder

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
ADDED = ProspectAdded(
    "Jo", "Europe/Berlin", contact_points=(ContactPoint(CALL, "+1 212 555 0101"),)
)

METHODS = {
    "change_settings",
    "claim",
    "claim_next",
    "claimed_for",
    "close",
    "complete",
    "compose",
    "count",
    "due",
    "events",
    "execute",
    "explain",
    "find",
    "follow",
    "follow_pages",
    "history",
    "listing",
    "load",
    "may",
    "next_review",
    "open",
    "open_source",
    "prospects",
    "release",
    "settings",
    "source",
    "tick",
    "using",
}
"""Every public method. Whatever is added here is documented, and keeps the due rows right."""

PARTS = {"addresses", "clock", "due_rows", "histories", "library", "merges"}
"""What the service hands out, each with public methods of its own."""

STORE = Path(cadence.store.__file__).parent


def test_the_service_has_these_public_methods_and_inherits_nothing() -> None:
    assert Cadence.__bases__ == (object,)
    with Cadence.open() as app:
        public = {name for name in dir(app) if not name.startswith("_")}
    assert public == METHODS | PARTS | {"address", "is_missing", "policies"}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_public_method_is_documented(name: str) -> None:
    assert len(inspect.getdoc(getattr(Cadence, name)) or "") > 20


@pytest.mark.parametrize("part", sorted(PARTS))
def test_every_public_method_of_a_part_is_documented(part: str) -> None:
    with Cadence.open() as app:
        kind = type(getattr(app, part))
        assert len(inspect.getdoc(kind) or "") > 20
        for name, method in vars(kind).items():
            if not name.startswith("_") and callable(method):
                assert len(method.__doc__ or "") > 20, name


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_every_public_way_to_write_events_writes_their_due_row(kind: str, tmp_path: Path) -> None:
    with Cadence.open(None if kind == "memory" else str(tmp_path / "c.db")) as app:
        app.execute("a", ADDED, at=NOW)
        app.histories.append([([Event("b", 1, NOW, NOW, ADDED)], 0)])
        event = Event("c", 1, NOW, NOW, ADDED)
        prospect = fold(None, [event])
        assert prospect is not None
        app.histories.append_prepared([app.histories.prepare(prospect, [event])])
        rows = app.due_rows.stored()
        assert [row.prospect for row in rows] == list(app.prospects()) == ["a", "b", "c"]
        app.due_rows.rebuild()
        assert app.due_rows.stored() == rows


def test_a_due_row_of_another_prospect_is_refused_and_nothing_is_written() -> None:
    with Cadence.open() as app:
        events = {name: Event(name, 1, NOW, NOW, ADDED) for name in "ab"}
        a, b = (
            app.histories.prepare(prospect, [event])
            for event in events.values()
            if (prospect := fold(None, [event])) is not None
        )
        with pytest.raises(InputError, match="due row"):
            app.histories.append_prepared([a, Prepared(b.events, a.row)])
        assert list(app.prospects()) == []
        assert app.due_rows.stored() == []


def test_a_service_holds_any_recorder_that_it_is_given() -> None:
    recorder = open_recorder(None)
    first, second = Cadence(recorder), Cadence(recorder)
    first.execute("jo", ADDED, at=NOW)
    assert second.load("jo").identity.name == "Jo"


def test_a_path_opens_the_same_database_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with Cadence.open(path) as app:
        assert app.address == str(path)
        app.execute("jo", ADDED, at=NOW)
    with Cadence.open(str(path), read_only=True) as app:
        assert list(app.prospects()) == ["jo"]


def test_a_path_that_is_not_there_yet_is_missing_until_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with Cadence.open(path, read_only=True) as reader:
        assert reader.is_missing
        with Cadence.open(path) as writer:
            writer.execute("jo", ADDED, at=NOW)
        assert list(reader.prospects()) == ["jo"]


def test_one_that_is_opened_to_be_read_only_writes_nothing() -> None:
    with Cadence.open(read_only=True) as app, pytest.raises(StoreError, match="opened read-only"):
        app.execute("jo", ADDED, at=NOW)


@pytest.mark.parametrize(
    ("source", "most_days", "what"), [("", 31, "source: missing"), ("dnc", 0, "most_days: inv")]
)
def test_a_list_needs_a_name_and_an_age(source: str, most_days: int, what: str) -> None:
    with Cadence.open() as app, pytest.raises(InputError, match=what):
        app.addresses.date_list(source, NOW.date(), by="ann", most_days=most_days)


def test_a_writer_that_is_always_overtaken_gives_up_and_may_try_again() -> None:
    recorder = open_recorder(None)
    app = Cadence(recorder)
    app.execute("jo", ADDED, at=NOW)

    def overtaken(*_: object, **__: object) -> None:
        raise IntegrityError

    recorder.insert_events = overtaken  # type: ignore[method-assign]  # another writer wins
    with pytest.raises(Conflict) as caught:
        app.execute("jo", InterestNoted("x"), at=NOW)
    assert caught.value.retryable


def test_a_file_that_another_program_writes_is_busy_and_a_retry_may_help(tmp_path: Path) -> None:
    path = str(tmp_path / "c.db")
    with Cadence.open(path) as app, Cadence.open(path, lock_timeout_seconds=1) as late:
        begun, done = threading.Event(), threading.Event()

        def hold() -> Iterator[tuple[list[Event], int]]:
            yield [Event("a", 1, NOW, NOW, ADDED)], 0
            begun.set()
            done.wait(10)

        holder = threading.Thread(target=lambda: app.histories.append(hold()))
        holder.start()
        begun.wait(10)
        with pytest.raises(StoreBusy) as caught:
            late.execute("b", ADDED, at=NOW)
        done.set()
        holder.join(10)
        assert caught.value.retryable
        late.execute("b", ADDED, at=NOW)
        assert list(app.prospects()) == ["a", "b"]


# Private members of libraries -------------------------------------------------------------------


def foreign_private_members(source: str) -> list[str]:
    """Private names that are taken from anything but ``self``, ``cls`` or a class of the module."""
    tree = ast.parse(source)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)} | {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }

    def is_private(name: str) -> bool:
        return name.startswith("_") and not name.endswith("__")

    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            if owner in {"self", "cls", "app", *own} and node.attr in defined:
                continue
            found.append(f"{owner}.{node.attr}")
        if isinstance(node, ast.ImportFrom):
            found += [one.name for one in node.names if is_private(one.name)]
    return found


@pytest.mark.parametrize("module", sorted(STORE.glob("*.py")), ids=lambda path: path.name)
def test_no_module_of_the_store_uses_a_private_member_of_a_library(module: Path) -> None:
    assert foreign_private_members(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "made._sqlite_conn",
        "self.pool._create_connection()",
        "super()._insert_events(x)",
        "self._database_lock",
        "from psycopg import _psycopg",
    ],
)
def test_a_private_member_of_a_library_is_noticed_wherever_it_is_used(source: str) -> None:
    assert foreign_private_members(source)
