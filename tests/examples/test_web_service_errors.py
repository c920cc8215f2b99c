"""What the FastAPI example answers where something is wrong, and that its scheduler goes on."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import in_process
import paths
import pytest
from fastapi import FastAPI
from fastapi_service import scheduler
from fastapi_service.main import create_app
from fastapi_service.problems import PROBLEMS
from in_process import Client

from cadence import Cadence, CadenceError, Refused, errors
from cadence.domain import InterestNoted, ProspectAdded
from cadence.errors import StoreBusy, UnknownProspect, VersionConflict

NOW = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


def make(folder: Path) -> FastAPI:
    return create_app(str(folder / "c.db"), clock=lambda: NOW)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with in_process.running(make(tmp_path)) as client:
        yield client


def every_error() -> list[CadenceError]:
    made: list[CadenceError] = []
    for name in errors.__all__:
        kind = getattr(errors, name)
        if not isinstance(kind, type):
            continue
        if kind is Refused:
            made += [Refused("no", "wait", rule="gap", until=NOW + timedelta(seconds=90.2))]
            made += [Refused("no", "stop", rule="opt_out")]
        elif kind is UnknownProspect:
            made.append(UnknownProspect("jo"))
        elif kind is VersionConflict:
            made.append(VersionConflict("jo", 3, 2))
        else:
            made.append(kind("it is wrong", "fix it"))
    return made


@pytest.mark.parametrize("error", every_error(), ids=lambda error: str(error.code))
def test_an_error_is_answered_by_the_one_table(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: CadenceError
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Cadence, "history", fail)
    answer = client.call("GET", "/prospects/jo/history")
    told = answer.json()
    assert answer.status_code == told["status"] == error.http_status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (told["title"], told["detail"]) == (error.what, error.hint)
    assert (told["code"], told["retryable"]) == (error.code, error.retryable)
    until = getattr(error, "until", None)
    wanted = "1" if error.retryable else None
    if until is not None:
        wanted = str(math.ceil((until - NOW).total_seconds()))
    assert answer.headers.get("Retry-After") == wanted
    assert error.http_status in (*PROBLEMS, 500)


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "title"),
    [
        ("/prospects/jo", "{", 400, "invalid_json", "body: invalid JSON"),
        ("/prospects/jo", "{}", 422, "invalid_input", "body.name: invalid, Field required"),
        ("/prospects/jo", '{"name": "Jo", "timezone": "Mars/X"}', 422, "invalid_input", "Mars"),
        ("/prospects/jo", '{"name": "Jo", "timezone": "UTC", "x": 1}', 422, "invalid_input", ".x"),
        ("/prospects/jo", '{"name": "\\ud800", "timezone": "UTC"}', 422, "invalid_input", "name"),
        ("/prospects/jo", '{"name": 1, "timezone": "UTC"}', 422, "invalid_input", "body.name"),
        ("/nowhere", "{}", 404, "http_error", "Not Found"),
        ("/due", "{}", 405, "http_error", "Method Not Allowed"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    client: Client, path: str, body: str, status: int, code: str, title: str
) -> None:
    answer = client.call("PUT", path, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert title in answer.json()["title"]
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("at", ["0", 0, "2026-12-01", "2026-12-01T14:00:00", "tomorrow", None])
def test_an_instant_is_written_out_with_its_zone(client: Client, at: object) -> None:
    report = {"id": "1", "kind": "replied", "address": "jo@example.com", "at": at}
    answer = client.call("POST", "/webhooks/mailer", json=report)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert answer.json()["title"].startswith("body.at: invalid")


@pytest.mark.parametrize("tag", ['W/"1"', "*", '"1", "2"', '"-1"', '"²"', "9" * 30])
def test_only_the_etag_of_a_prospect_may_be_matched(client: Client, tag: str) -> None:
    headers = {"If-Match": tag.encode("latin-1")}
    body = {"type": "InterestNoted", "data": {"text": "less paper"}}
    answer = client.call("POST", "/prospects/jo/facts", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


def test_the_scheduler_goes_on_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns: list[str] = []
    done = threading.Event()

    def tick(*_: object) -> list[object]:
        turns.append("turn")
        if len(turns) == 1:
            raise StoreBusy("the database is locked", "try again")
        done.set()
        return []

    monkeypatch.setattr(Cadence, "tick", tick)
    with (
        Cadence.open(tmp_path / "c.db") as app,
        scheduler.running(app, lambda: NOW, timedelta(milliseconds=1)) as thread,
    ):
        assert done.wait(30)
    assert not thread.is_alive()
    assert "the database is locked; try again" in caplog.text


def test_the_scheduler_sleeps_until_the_next_review() -> None:
    with Cadence.open(clock=lambda: NOW) as app:
        app.execute("jo", ProspectAdded("Jo", "Europe/Berlin", "DE"))
        app.execute("jo", InterestNoted("less paper"))
        review = app.next_review()
        assert review is not None
        assert scheduler.turn(app, lambda: NOW, timedelta(days=99)) == review - NOW
        assert scheduler.turn(app, lambda: NOW, timedelta(minutes=1)) == timedelta(minutes=1)


def test_the_examples_page_lists_every_endpoint(tmp_path: Path) -> None:
    text = (paths.EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(GET|POST|PUT|DELETE) ([^`? ]+)", text))
    paths_ = make(tmp_path).openapi()["paths"]
    served = {(method.upper(), path) for path, of in paths_.items() for method in of}
    assert listed == served
