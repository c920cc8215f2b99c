"""The audit holds the due list against the events: no prospect is listed too late."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cadence.audit import Finding
from cadence.audit.runner import audit
from cadence.domain.channels import CALL
from cadence.domain.events import AttemptMade, ContactPoint, Disposition, Part, ProspectAdded
from cadence.engine.commands import SetAppointment
from cadence.store import Cadence

NOW = datetime(2026, 11, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)
ZONE = "America/New_York"
POINTS = (ContactPoint(CALL, "+1 212 555 0101"),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    with Cadence.open(str(path)) as app:
        for name in ("ann", "bob", "cleo"):
            added = ProspectAdded(
                name, "America/New_York", "US", contact_points=POINTS, owner="kim"
            )
            app.execute(name, added, at=NOW)
            app.execute(name, SetAppointment(NOW + DAY), at=NOW)
        missed = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))
        app.execute("bob", missed, at=NOW + DAY)
    return path


def findings(path: Path) -> list[Finding]:
    with Cadence.open(str(path), read_only=True) as app:
        return [one for page in audit(app) for one in page.findings]


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as rows:
        rows.execute(statement)
    rows.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM due WHERE prospect = 'bob'",
        "UPDATE due SET wake = wake + 172800000000 WHERE prospect = 'bob'",
        "UPDATE due SET at = at + 172800000000 WHERE prospect = 'bob'",
        "UPDATE due SET wake = NULL WHERE prospect = 'bob'",
        "UPDATE due SET at = NULL WHERE prospect = 'bob'",
        "UPDATE due SET owner = 'lee' WHERE prospect = 'bob'",
        "UPDATE due SET channels = ',email,' WHERE prospect = 'bob'",
    ],
)
def test_a_row_that_lists_somebody_too_late_is_a_finding_until_it_is_made_anew(
    path: Path, statement: str
) -> None:
    assert findings(path) == []
    change(path, statement)
    [found] = findings(path)
    assert (found.prospect, found.version, found.rule) == ("bob", 3, "due_list")
    assert "rebuild the list" in found.because
    with Cadence.open(str(path)) as app:
        app.due_rows.rebuild()
    assert findings(path) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE due SET wake = 0, at = 0 WHERE prospect = 'bob'",
        "UPDATE due SET stamp = '999', wake = NULL WHERE prospect = 'bob'",
        "DELETE FROM meta WHERE key = 'due'",
    ],
)
def test_a_row_that_is_reviewed_too_often_is_none(path: Path, statement: str) -> None:
    """Also the row of another engine: every reader decides that prospect anew."""
    change(path, statement)
    assert findings(path) == []


@pytest.mark.parametrize("name", ["aaa", "bobby", "zoe"])
def test_a_row_without_events_is_a_finding(path: Path, name: str) -> None:
    change(path, f"INSERT INTO due (prospect, verdict, at, wake) VALUES ('{name}', 'task', 0, 0)")
    [found] = findings(path)
    assert (found.prospect, found.version, found.rule) == (name, 0, "due_list")
    with Cadence.open(str(path)) as app:
        app.due_rows.rebuild()
    assert findings(path) == []
