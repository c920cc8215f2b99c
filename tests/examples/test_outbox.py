"""The outbox posts every event as a CloudEvent, in order, and at least once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import children
import outbox
import paths
import pgserver
import pytest
from nightly import NIGHTLY

from cadence.domain import ProspectAdded, decode_event
from cadence.domain.events import Event, InterestNoted
from cadence.errors import InputError
from cadence.store import Cadence, PostgresTarget, SQLiteTarget, Target
from cadence.store.serializer import EventMapper

# Python 3.12 and later warn of every fork beside threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
TO_THE_END = timedelta(0)
KILLS = 200 if NIGHTLY else 8
Answer = Callable[["Request", int], int | None]


class Request(NamedTuple):
    """What was posted."""

    content_type: str
    body: bytes

    @property
    def id(self) -> str:
        return str(json.loads(self.body)["id"])


class Receiver:
    """An HTTP server that keeps each request, and answers as it is told."""

    def __init__(self, answer: Answer) -> None:
        """``answer`` gets a request and its number; its status, or ``None``: it hangs up."""
        self.requests: list[Request] = []
        self.accepted: list[str] = []
        self.url = ""
        self._answer = answer
        self._port = 0

    @contextmanager
    def listening(self) -> Iterator[Receiver]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(self.headers["Content-Type"], body)
                receiver.requests.append(request)
                status = receiver._answer(request, len(receiver.requests))
                if status in (200, None):  # where it hangs up, it has seen the event all the same
                    receiver.accepted.append(request.id)
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a client that was killed

        with Server(("127.0.0.1", self._port), Handler) as server:
            self._port = server.server_port  # it listens there again
            self.url = f"http://127.0.0.1:{server.server_port}/hook"
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def seen(self) -> list[str]:
        """The ids without those that it has seen before, as a receiver keeps them."""
        return list(dict.fromkeys(self.accepted))


class Place(NamedTuple):
    """A store, and the database that keeps how far the outbox is."""

    address: str
    target: Target[Any]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        address = str(tmp_path / "c.db")
        return Place(address, SQLiteTarget(f"{address}.outbox"))
    address = pgserver.new_address()
    return Place(address, PostgresTarget(address))


@pytest.fixture
def app(place: Place) -> Iterator[Cadence]:
    with Cadence.open(place.address) as opened:
        fill(opened)
        yield opened


def fill(app: Cadence, count: int = 10) -> None:
    known = app.count()
    for number in range(count):
        prospect = f"p{(known + number) % 3}"
        is_new = not app.histories.of([prospect])[prospect]
        data = ProspectAdded("Ada", "UTC") if is_new else InterestNoted("café")
        app.execute(prospect, data, at=NOW)


def ids(app: Cadence) -> list[str]:
    return [f"{item.event.prospect}#{item.event.version}" for item in app.events()]


def accept(request: Request, number: int) -> int:
    return 200


def deliver(app: Cadence, place: Place, receiver: Receiver, **more: Any) -> None:
    outbox.deliver(app, place.target, receiver.url, first_pause=0.001, timeout=TO_THE_END, **more)


def test_each_event_is_posted_once_in_order_as_a_cloud_event(app: Cadence, place: Place) -> None:
    with Receiver(accept).listening() as receiver:
        deliver(app, place, receiver, source="/crm")
        deliver(app, place, receiver, source="/crm")
        fill(app, 2)
        deliver(app, place, receiver, source="/crm")
    assert receiver.accepted == ids(app)
    assert len(receiver.requests) == 12
    for request, item in zip(receiver.requests, app.events(), strict=True):
        envelope = json.loads(request.body)
        data = json.dumps(envelope.pop("data"))
        assert decode_event(data) == item.event
        assert envelope == {
            "specversion": "1.0",
            "id": f"{item.event.prospect}#{item.event.version}",
            "source": "/crm",
            "type": f"com.example.cadence.{type(item.event.data).__name__}",
            "subject": item.event.prospect,
            "time": "2026-03-02T15:00:00Z",
            "datacontenttype": "application/json",
        }
        assert request.content_type == "application/cloudevents+json; charset=utf-8"


def test_a_receiver_that_fails_at_times_sees_every_event_in_order(
    app: Cadence, place: Place
) -> None:
    draw = random.Random(1)

    def fail_at_times(request: Request, number: int) -> int | None:
        return draw.choice([200, 200, None, 429, 500, 503])

    with Receiver(fail_at_times).listening() as receiver:
        deliver(app, place, receiver)
    assert receiver.seen() == ids(app)
    assert len(receiver.accepted) > len(ids(app))  # some hung up behind an event
    assert len(receiver.requests) > len(receiver.accepted)


def test_a_receiver_that_is_not_there_yet_is_waited_for(
    app: Cadence, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stop(threading.Event):
        """Keeps the pauses, and is set in the twelfth."""

        pauses: list[float]

        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            self.pauses.append(timeout)
            if len(self.pauses) == 12:
                self.set()
            return self.is_set()

    with Receiver(accept).listening() as receiver:
        pass
    url = receiver.url
    stop = Stop()
    stop.pauses = []
    outbox.deliver(app, place.target, receiver.url, first_pause=1, stop=stop)
    assert [round(pause) for pause in stop.pauses] != [1] * 12
    for number, pause in enumerate(stop.pauses):
        longest = min(2**number, outbox.LONGEST_PAUSE)
        assert longest / 2 <= pause <= longest
    assert "again in" in capsys.readouterr().err
    with receiver.listening():
        assert receiver.url == url
        deliver(app, place, receiver)
    assert receiver.accepted == ids(app)


def test_a_receiver_says_how_long_to_wait() -> None:
    transport = outbox.httpx.MockTransport(
        lambda _: outbox.httpx.Response(503, headers={"Retry-After": "30"})
    )
    with outbox.httpx.Client(transport=transport) as client:
        failure = outbox.post(client, "http://hook", b"")
    assert failure == ("503 Service Unavailable", 30)


def test_an_event_that_is_refused_for_good_stops_the_outbox_before_the_next(
    app: Cadence, place: Place
) -> None:
    with Receiver(lambda _, number: 400 if number == 4 else 200).listening() as receiver:
        with pytest.raises(outbox.Rejected, match="400 Bad Request"):
            deliver(app, place, receiver)
        assert receiver.accepted == ids(app)[:3]
        deliver(app, place, receiver)  # the receiver was repaired
    assert receiver.accepted == ids(app)


def test_an_event_of_a_newer_cadence_stops_the_outbox_before_the_next(
    app: Cadence, place: Place
) -> None:
    row = EventMapper().to_stored_event(Event("new", 1, NOW, NOW, InterestNoted("x")))
    state = row.state.replace(b"InterestNoted", b"FromTomorrow")
    app._recorder.insert_events([type(row)("new", 1, "FromTomorrow", state)])
    fill(app)
    unread = pytest.raises(InputError, match="event 1 can't be read")
    with Receiver(accept).listening() as receiver, unread:
        deliver(app, place, receiver)
    assert receiver.accepted == ids(app)[:10]


def test_receivers_are_served_each_from_its_own_position(app: Cadence, place: Place) -> None:
    with Receiver(accept).listening() as one, Receiver(accept).listening() as two:
        deliver(app, place, one)
        fill(app)
        deliver(app, place, two)
        deliver(app, place, one)
    assert one.accepted == two.accepted == ids(app)


def test_an_outbox_that_is_killed_between_post_and_commit_loses_nothing(
    app: Cadence, place: Place
) -> None:
    """The receiver kills the program that posts: before it answers, or soon behind it."""
    draw = random.Random(2)
    posters: list[int] = []
    forking = threading.Lock()
    killed: set[int] = set()

    def kill_at_times(request: Request, number: int) -> int:
        with forking:
            poster = posters[-1]
        what = draw.randrange(4)
        if what < 2 and len(killed) < KILLS and poster not in killed:
            killed.add(poster)
            delay = 0 if what == 0 else draw.uniform(0, 0.003)
            killer = threading.Timer(delay, os.kill, (poster, signal.SIGKILL))
            killer.start()
            if what == 0:
                killer.join()
        return 503 if what == 3 else 200

    def work() -> None:
        outbox.deliver(app, place.target, receiver.url, first_pause=0.001)

    with Receiver(kill_at_times).listening() as receiver:
        for _ in range(KILLS):
            with forking:
                child = children.fork(work)
                posters.append(child.pid)
            while (ended := os.waitpid(child.pid, os.WNOHANG)) == (0, 0):
                fill(app, 1)
            os.close(child.heard)
            assert os.WTERMSIG(ended[1]) == signal.SIGKILL
        deliver(app, place, receiver)
    assert receiver.seen() == ids(app)
    assert len(receiver.accepted) > len(ids(app))  # some came twice


def test_two_outboxes_at_once_keep_the_order(app: Cadence, place: Place) -> None:
    fill(app, 20)
    with Receiver(accept).listening() as receiver:
        posters = [children.fork(lambda: deliver(app, place, receiver)) for _ in range(2)]
        assert [poster.result() for poster in posters] == ["None", "None"]
    assert receiver.seen() == ids(app)


def test_the_program_follows_until_it_is_told_to_stop(app: Cadence, place: Place) -> None:
    arrived = threading.Event()

    def tell(request: Request, number: int) -> int:
        if number == 13:
            arrived.set()
        return 200

    program = [sys.executable, str(paths.EXAMPLES / "outbox.py"), place.address]
    with Receiver(tell).listening() as receiver:
        process = subprocess.Popen([*program, receiver.url])
        fill(app, 3)
        assert arrived.wait(60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert outbox.main([place.address, receiver.url, "--once"]) == 0
    assert receiver.seen() == ids(app)
