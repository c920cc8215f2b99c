"""The FastAPI example, as a team runs it: two uvicorn workers over one PostgreSQL."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nightly
import paths
import pgserver
import pytest
import web_service
from web_service import Client, Server

from cadence import Cadence
from cadence.domain import AttemptMade

ADDED = datetime(2026, 12, 1, 14, 59, tzinfo=UTC)
NOW = ADDED + timedelta(minutes=1)  # 10:00 in New York, a Tuesday
NO_ANSWER = [{"channel": "call", "disposition": "no_answer"}]
KILLS = 60 if nightly.NIGHTLY else 2
TOUCHES = 300 if nightly.NIGHTLY else 15


@pytest.fixture(scope="module")
def address() -> str:
    return pgserver.new_address()


@pytest.fixture(scope="module")
def server(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with web_service.running(address, tmp_path_factory.mktemp("service"), NOW) as running:
        yield running


@pytest.fixture
def kim(server: Server) -> Iterator[Client]:
    server.set_clock(ADDED)
    with server.client("kim") as client:
        yield client


_numbers = iter(range(1000))


def new(client: Client, prospect: str, **more: Any) -> dict[str, Any]:
    """Add a prospect with addresses of their own."""
    number = next(_numbers)
    points = [
        {"channel": "call", "address": f"+1 212 555 {number:04}"},
        {"channel": "email", "address": f"{prospect}@example.com"},
    ]
    body = {"name": prospect.title(), "timezone": "America/New_York", "country": "US", **more}
    added: dict[str, Any] = client.do(
        "PUT", f"/prospects/{prospect}", {**body, "contact_points": points}
    )
    return added


def due(server: Server, client: Client, *prospects: str, **more: Any) -> None:
    """Add prospects whose appointment is at ``NOW``, and let it be ``NOW``."""
    appointment = {"type": "set_appointment", "at": NOW.isoformat()}
    for prospect in prospects:
        new(client, prospect, **more)
        client.do("POST", f"/prospects/{prospect}/commands", appointment)
    server.set_clock(NOW)


def types(client: Client, prospect: str) -> list[str]:
    return [event["type"] for event in client.get(f"/prospects/{prospect}/history")]


def test_a_prospect_goes_from_being_added_to_the_polite_close(server: Server, kim: Client) -> None:
    due(server, kim, "jerry", owner="life")
    seen = set()
    now = NOW
    for _ in range(60):
        server.set_clock(now)
        decision = kim.get("/prospects/jerry/decision")
        if decision["decision"] in ("close", "stop"):
            break
        seen.add(decision["stage"])
        if decision["decision"] == "due":
            (line,) = kim.get("/due?owner=life")["items"]
            assert (line["name"], line["owner"], line["touch"]["id"]) == (
                "Jerry",
                "life",
                decision["touch"]["id"],
            )
            assert all("Jerry" in part["text"] for part in decision["touch"]["parts"])
            allowed = kim.get(
                f"/prospects/jerry/may?channel={decision['touch']['parts'][0]['channel']}"
            )
            assert allowed["breaks"] == []
            claim = kim.do("POST", "/prospects/jerry/claims", {"touch": decision["touch"]["id"]})
            done = [
                {**part, "disposition": "no_answer" if part["channel"] == "call" else "sent"}
                for part in claim["parts"]
            ]
            kim.do("POST", f"/claims/{claim['token']}/complete", {"parts": done})
        else:
            assert decision["decision"] == "wait", decision
            now = datetime.fromisoformat(decision["at"])
    assert seen == {"scheduled", "on_time", "ten_minutes", "half_day", "spaced", "polite_exit"}
    wait_until(lambda: types(kim, "jerry")[-1] == "FollowUpEnded")  # by a scheduler
    assert types(kim, "jerry").count("FollowUpEnded") == 1
    events = kim.get("/prospects/jerry/history")
    assert not any(event["data"].get("broke") for event in events)


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_of_two_clients_that_race_for_a_claim_one_wins(server: Server, kim: Client) -> None:
    names = [f"race{number}" for number in range(8)]
    due(server, kim, *names)
    start = threading.Barrier(2)

    def race(user: str) -> list[Any]:
        with server.client(user) as client:
            answers = []
            for name in names:
                start.wait()
                answers.append(client.call("POST", f"/prospects/{name}/claims", {}))
            return answers

    with ThreadPoolExecutor(2) as pool:
        for pair in zip(*pool.map(race, ["ann", "ben"]), strict=True):
            won, lost = sorted(pair, key=lambda answer: int(answer.status_code))
            assert (won.status_code, lost.status_code) == (200, 409)
            assert lost.json()["rule"] == "claimed"
            assert lost.headers["Retry-After"] == "900"
    released = kim.do("DELETE", f"/claims/{won.json()['token']}")
    assert released == {"released": True}


def test_a_repeated_request_has_no_second_effect(server: Server, kim: Client) -> None:
    due(server, kim, "again")
    body = {"type": "log_attempt", "parts": NO_ANSWER}
    first = kim.call("POST", "/prospects/again/commands", body, Idempotency_Key="a-1")
    second = kim.call("POST", "/prospects/again/commands", body, Idempotency_Key="a-1")
    assert first.json()["events"] == second.json()["events"]
    assert (first.json()["repeated"], second.json()["repeated"]) == (False, True)
    assert types(kim, "again").count("AttemptMade") == 1
    other = {"type": "end", "reason": "bought"}
    refused = kim.call("POST", "/prospects/again/commands", other, Idempotency_Key="a-1")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")


def test_a_command_on_an_old_version_is_refused(kim: Client) -> None:
    new(kim, "versions")
    read = kim.call("GET", "/prospects/versions/decision").headers["ETag"]
    noted = {"type": "InterestNoted", "data": {"text": "less paper"}}
    done = kim.call("POST", "/prospects/versions/facts", noted, If_Match=read)
    assert (done.status_code, read, done.headers["ETag"]) == (200, '"1"', '"2"')
    stale = kim.call("POST", "/prospects/versions/facts", noted, If_Match=read)
    assert (stale.status_code, stale.json()["code"]) == (412, "version_conflict")


def test_webhooks_may_come_twice_late_and_out_of_order(server: Server, kim: Client) -> None:
    due(server, kim, "hooks")
    points = {"address": "hooks@example.com"}
    early, late = (NOW - timedelta(minutes=minutes) for minutes in (1, 50))
    reports = [
        {"id": "m2", "kind": "replied", "at": early.isoformat(), "intent": "question", **points},
        {"id": "m1", "kind": "auto_replied", "at": late.isoformat(), **points},
        {"id": "m3", "kind": "bounced", "at": early.isoformat(), **points},
    ]
    call = {"prospect": "hooks", "disposition": "no_answer", "agent": "dialler"}
    calls = [{"id": "c1", "at": (NOW - timedelta(minutes=2)).isoformat(), **call}]
    deliveries = [("/webhooks/mailer", one) for one in reports] * 3
    deliveries += [("/webhooks/dialler", one) for one in calls] * 3
    random.Random(7).shuffle(deliveries)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: kim.call("POST", *one), deliveries))
    assert {answer.status_code for answer in answers} == {200}
    after = Counter(types(kim, "hooks")[2:])
    assert after == {
        "ReplyReceived": 1,
        "AutoReplyReceived": 1,
        "ContactPointFailed": 1,
        "AttemptMade": 1,
    }
    asked = kim.get("/prospects/hooks/may?channel=email")
    assert "contact_point" in [one["rule"] for one in asked["breaks"]]


def test_a_report_on_a_call_after_its_lease_is_the_late_truth(server: Server, kim: Client) -> None:
    """The scheduler recorded that the call may have been made; the webhook says how it went."""
    due(server, kim, "late")
    lease = {"minutes": 15, "on_expiry": "assume_made"}
    claim = kim.do("POST", "/prospects/late/claims", lease)
    server.set_clock(NOW + timedelta(hours=1))
    wait_until(lambda: types(kim, "late")[-1] == "AttemptMade")
    report = {
        "id": "late-1",
        "prospect": "late",
        "disposition": "voicemail_left",
        "at": (NOW + timedelta(minutes=2)).isoformat(),
        "agent": "dialler",
        "claim": claim["token"],
    }
    first, second = (kim.do("POST", "/webhooks/dialler", report) for _ in range(2))
    assert (first["repeated"], second["repeated"]) == (False, True)
    assert types(kim, "late")[2:] == ["AttemptMade", "EventCorrected"]
    (corrected,) = first["events"]
    assert corrected["data"]["occurred_at"] == "2026-12-01T15:02:00Z"


def test_an_opt_out_by_webhook_stops_all_holders_and_strangers(server: Server, kim: Client) -> None:
    due(server, kim, "leaves")
    report = {"id": "o1", "kind": "opted_out", "at": NOW.isoformat()}
    told = kim.do("POST", "/webhooks/mailer", {**report, "address": "Leaves@Example.com"})
    assert told == {"prospects": ["leaves"], "suppressed": False}
    asked = kim.get("/prospects/leaves/may?channel=email")
    assert "opt_out" in [one["rule"] for one in asked["breaks"]]
    told = kim.do("POST", "/webhooks/mailer", {**report, "address": "stranger@example.com"})
    assert told == {"prospects": [], "suppressed": True}
    new(kim, "stranger")
    asked = kim.get("/prospects/stranger/may?channel=email")
    assert "suppressed" in [one["rule"] for one in asked["breaks"]]


def test_the_cursor_walks_all_rows_once_while_writers_write(server: Server, kim: Client) -> None:
    stay = [f"stay{number:02}" for number in range(24)]
    leave = [f"stay{number:02}x" for number in range(6)]
    due(server, kim, *sorted([*stay, *leave]), owner="walker")
    is_over = threading.Event()

    def write() -> None:
        with server.client("ann") as client:
            for number, name in enumerate(leave * 5):
                if is_over.is_set():
                    break
                noted = {"type": "InterestNoted", "data": {"text": f"{number}"}}
                client.do("POST", f"/prospects/{name}/facts", noted)
                parts = {"type": "log_attempt", "parts": NO_ANSWER}
                client.do("POST", f"/prospects/{name}/commands", parts)
                new(client, f"new{number}", owner="walker")

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = kim.get("/due?owner=walker&limit=5" + (f"&after={after}" if after else ""))
        assert len(page["items"]) <= 5
        seen += [one["prospect"] for one in page["items"]]
        after = page["after"]
    is_over.set()
    writer.join()
    counts = Counter(seen)
    assert [name for name in stay if counts[name] != 1] == []
    assert [name for name in counts if counts[name] > 1] == []


def test_a_restarted_server_goes_on_where_it_was(server: Server, kim: Client) -> None:
    due(server, kim, "restart")
    claim = kim.do("POST", "/prospects/restart/claims", {})
    before = kim.get("/prospects/restart/history")
    server.stop()
    server.start()
    assert kim.get("/prospects/restart/history") == before
    done = kim.do("POST", f"/claims/{claim['token']}/complete", {"parts": NO_ANSWER})
    assert done["events"][0]["by"] == "kim"


def test_the_command_of_the_page_serves_sqlite_too(tmp_path: Path) -> None:
    page = (paths.EXAMPLES / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^ *\$ uvicorn (.*)$", page, re.MULTILINE)
    server = Server(str(tmp_path / "followups.db"), tmp_path, NOW)
    try:
        server.start(command.split())
        with server.client() as client, ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: new(client, f"lite{number}"), range(8)))
            assert len(client.get("/due")["items"]) == 8  # a task each
    finally:
        server.stop()


def test_no_acknowledged_command_is_lost_when_workers_are_killed(
    server: Server, kim: Client, address: str
) -> None:
    names = [f"killed{number}" for number in range(4)]
    for name in names:
        new(kim, name)
    is_over = threading.Event()
    acknowledged: list[tuple[str, str]] = []

    def write(name: str) -> int:
        with server.client(name) as client:
            number = 0
            while not is_over.is_set():
                number += 1
                key = f"{name}-{number}"
                noted = {"type": "Noted", "data": {"kind": "demo", "data": {"number": key}}}
                client.do("POST", f"/prospects/{name}/facts", noted, Idempotency_Key=key)
                acknowledged.append((name, key))
            return client.tried_again

    random_ = random.Random(11)
    with ThreadPoolExecutor(len(names)) as pool:
        writers = [pool.submit(write, name) for name in names]
        for _ in range(KILLS):
            wait_until(lambda: len(server.workers()) == 2)
            count = len(acknowledged)
            wait_until(lambda count=count: len(acknowledged) > count + random_.randrange(5, 25))
            os.kill(random_.choice(sorted(server.workers())), signal.SIGKILL)
        is_over.set()
        tried_again = sum(one.result() for one in writers)
    with Cadence.open(address, read_only=True) as app:
        recorded = Counter(
            (event.prospect, event.command_id)
            for history in app.histories.of(names).values()
            for event in history[1:]
        )
    assert recorded == Counter(acknowledged), tried_again


def test_no_touch_is_made_twice_when_workers_are_killed(
    server: Server, kim: Client, address: str
) -> None:
    """A claim whose answer was lost stays with who took it; all others are carried out once."""
    names = [f"once{number:03}" for number in range(TOUCHES)]
    due(server, kim, *names, owner="once")
    made: list[str] = []

    def work(user: str) -> None:
        with server.client(user) as client:
            while claims := client.do("POST", "/claims", {"count": 1, "owner": "once"}):
                client.do("POST", f"/claims/{claims[0]['token']}/complete", {"parts": NO_ANSWER})
                made.append(claims[0]["prospect"])

    kills, users = TOUCHES // 15, ("ann", "ben", "cy")
    with ThreadPoolExecutor(len(users)) as pool:
        workers = [pool.submit(work, user) for user in users]
        for kill in range(kills):
            wait_until(lambda kill=kill: len(made) >= 10 * kill + 5)
            wait_until(lambda: len(server.workers()) == 2)
            os.kill(min(server.workers()), signal.SIGKILL)
        for worker in workers:
            worker.result()
    with Cadence.open(address, read_only=True, clock=lambda: NOW) as app:
        attempts = Counter(
            event.prospect
            for history in app.histories.of(names).values()
            for event in history
            if isinstance(event.data, AttemptMade)
        )
        assert attempts == Counter(made)
        assert set(attempts.values()) == {1}
        left = set(names) - set(made)
        assert len(left) <= kills * len(users)
        assert all(app.claimed_for(name, None) for name in left)
