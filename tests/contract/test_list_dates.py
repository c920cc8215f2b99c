"""The day of a suppression list, on every store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from cadence import Cadence

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)


@pytest.fixture
def app(address: str | None) -> Iterator[Cadence]:
    with Cadence.open(address, clock=lambda: NOW) as opened:
        yield opened


def dates(app: Cadence, *, ended: bool = False) -> list[date | None]:
    return [one.dated for one in app.addresses.entries(source="dnc", ended=ended)]


def test_a_list_that_is_dated_again_has_a_date_after_every_write(
    app: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = date(2026, 1, 1), date(2026, 2, 1)
    app.addresses.date_list("dnc", old, by="ann", most_days=31)
    seen, writing = list[list[date | None]](), list[str]()

    def watch(name: str) -> None:
        kind: Any = type(app._recorder)
        write = getattr(kind, name)

        def watched(*given: object) -> object:
            writing.append(name)
            done = write(*given)
            writing.pop()
            if not writing:  # in memory one of them calls another
                seen.append(dates(app))
            return done

        monkeypatch.setattr(kind, name, watched)

    for name in ("insert_entries", "insert_copies", "end_entry"):
        watch(name)
    app.addresses.date_list("dnc", new, by="ben", most_days=31)
    assert seen
    assert all(len(one) == 1 for one in seen)
    assert (dates(app), dates(app, ended=True)) == ([new], [old])
    (ended,) = app.addresses.entries(source="dnc", ended=True)
    assert (ended.ended_by, ended.ended_why) == ("ben", "a newer one came")


def test_a_list_that_is_dated_twice_at_one_time_stands_once(app: Cadence) -> None:
    for _ in range(2):
        app.addresses.date_list("dnc", date(2026, 2, 1), by="ann", most_days=31)
    assert (len(dates(app)), len(dates(app, ended=True))) == (1, 1)
