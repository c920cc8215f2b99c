"""A call needs one PostgreSQL connection at a time, so threads that wait for one never deadlock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pgserver
import psycopg_pool
import pytest

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import (
    ContactPoint,
    Disposition,
    Event,
    InterestNoted,
    OptOutRequested,
    Part,
    ProspectAdded,
)
from cadence.engine.commands import SetAppointment, Undo
from cadence.errors import StoreBusy
from cadence.policy.loader import builtin
from cadence.store import Cadence
from cadence.store.directory import directory

NOW = datetime(2026, 12, 1, 14, 59, tzinfo=UTC)
NINE = NOW + timedelta(minutes=1)
PROSPECTS = ("ada", "bo", "cy")
NO_ANSWER = Part(CALL, Disposition.NO_ANSWER)


def person(number: int, name: str) -> ProspectAdded:
    points = (
        ContactPoint(CALL, f"+1 212 555 010{number}"),
        ContactPoint(EMAIL, f"{name}{number}@example.com"),
    )
    return ProspectAdded(name, "America/New_York", "US", contact_points=points, owner="kim")


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A pool of the caller's with one connection."""
    schema = pgserver.new_schema()
    with pgserver.connect(pgserver.server().get_uri()) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")

    def configure(connection: Any) -> None:
        connection.execute(f"SET search_path TO {schema}")
        connection.commit()

    more = getattr(request, "param", {})
    with psycopg_pool.ConnectionPool(
        pgserver.server().get_uri(),
        min_size=1,
        max_size=1,
        timeout=1,
        open=True,
        configure=configure,
        **more,
    ) as opened:
        yield opened


@pytest.fixture
def app(pool: Any) -> Iterator[Cadence]:
    with Cadence.open(pool, clock=lambda: NINE) as app:
        for number, prospect in enumerate(PROSPECTS):
            app.execute(prospect, person(number, prospect), at=NOW)
            app.execute(prospect, SetAppointment(NINE), at=NOW)
        yield app


CALLS: dict[str, Callable[[Cadence], object]] = {
    "add one with a shared address": lambda app: app.execute("twin", person(0, "ada")),
    "opt out and undo": lambda app: [
        app.execute("ada", OptOutRequested(EMAIL)),
        app.execute("ada", Undo(why="a mistake")),
    ],
    "claim": lambda app: app.complete(app.claim("ada", by="kim"), [NO_ANSWER]),
    "claim next": lambda app: [app.release(one) for one in app.claim_next(2, by="kim")],
    "a page": lambda app: (lambda page: (page.items, page.after))(app.due(limit=1)),
    "decide while listing": lambda app: [app.explain(one.prospect) for one in app.due()],
    "write while listing": lambda app: [
        app.execute(one.id, InterestNoted("x")) for one, _ in app.listing()
    ],
    "ask while listing all": lambda app: [app.may(one) for one in app.prospects()],
    "read while reading all": lambda app: [
        app.load(one[0].prospect) for one in app.histories.all()
    ],
    "the directory": lambda app: [app.load(one.prospect) for one in directory(app)],
    "write while reading the feed": lambda app: [
        app.execute(item.event.prospect, InterestNoted("x")) for item in app.events(limit=2)
    ],
    "next review": lambda app: app.next_review(),
    "tick": lambda app: app.tick(),
    "find": lambda app: app.find("+1 212 555 0100"),
    "suppress": lambda app: app.addresses.suppress(["x@example.com"], by="kim"),
    "read while reading suppressions": lambda app: [app.count() for _ in app.addresses.entries()],
    "shared addresses": lambda app: [app.count() for _ in app.addresses.shared()],
    "merge": lambda app: app.merges.merge("bo", "cy", by="kim", why="the same"),
    "settings": lambda app: app.change_settings(
        {"default_policy": builtin("polite-persistence")}, by="kim"
    ),
    "append": lambda app: app.histories.append([([Event("di", 1, NOW, NOW, person(9, "di"))], 0)]),
    "rebuild": lambda app: app.due_rows.rebuild(),
    "policies": lambda app: (app.library.in_use(), app.library.kept()),
}


def test_no_call_needs_a_second_connection(app: Cadence) -> None:
    for call in CALLS.values():
        call(app)


def test_a_call_that_gets_no_connection_may_be_repeated(pool: Any, app: Cadence) -> None:
    """It waits as long as the pool says."""
    with pool.connection(), pytest.raises(StoreBusy, match="no connection is free") as caught:
        app.execute("ada", InterestNoted("less paper"))
    assert caught.value.retryable
    before = app.load("ada").version
    assert app.execute("ada", InterestNoted("less paper")).prospect.version == before + 1


@pytest.mark.parametrize("pool", [{"max_waiting": 1}], indirect=True)
def test_a_call_that_may_not_wait_for_a_connection_may_be_repeated(pool: Any, app: Cadence) -> None:
    heard = list[int]()
    with pool.connection():
        waiter = threading.Thread(target=lambda: heard.append(app.load("ada").version))
        waiter.start()
        while not pool.get_stats().get("requests_waiting"):
            time.sleep(0.001)
        with pytest.raises(StoreBusy, match="no connection is free"):
            app.explain("ada")
    waiter.join()
    assert heard == [2]
