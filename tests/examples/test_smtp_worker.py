"""Workers that send through a real SMTP server, and are killed anywhere, send nothing twice."""

from __future__ import annotations

import email
import os
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import children
import msgspec
import pgserver
import pytest
import smtp_worker
from aiosmtpd.controller import Controller
from nightly import NIGHTLY

from cadence.domain import (
    AttemptMade,
    Channel,
    ContactPoint,
    Disposition,
    EventCorrected,
    EventRetracted,
    ProspectAdded,
)
from cadence.domain.events import Event
from cadence.engine.commands import SetAppointment
from cadence.policy.loader import parse_text
from cadence.policy.model import Policy
from cadence.store import Cadence

# Python 3.12 and later warn of every fork beside threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

KILLS = 5000 if NIGHTLY else 12
RESTARTS = 50 if NIGHTLY else 2
LEASE = 1.0  # seconds
SECONDS = 1800 if NIGHTLY else 60  # for a worker that is not killed
EMAIL = Channel("email")
LETTERS = """
id = "letters"
version = 1
title = "One letter, whatever the day"
source = "tests"
horizon_business_days = 60
task_business_days = 2
calendar = { DAYS }

[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{ channels = ["email"], script = "on_time" }]

[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 3 }
times = 2
parts = [{ channels = ["email"], script = "spaced" }]

[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { business_days = 3 }
answer_within = { business_days = 2 }
parts = [{ channels = ["email"], script = "polite_exit" }]
"""


class Mailbox:
    """What a mail server got; it refuses some, and hangs up behind others."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self.messages: list[Message] = []
        self.chance = chance

    def touches(self) -> Counter[str]:
        return Counter(str(one["X-Touch"]) for one in self.messages)

    async def handle_RCPT(  # noqa: N802  (the library calls it so)
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address.startswith("gone"):
            return "550 no such user"
        if self.chance is not None and self.chance.random() < 0.1:
            return "451 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.messages.append(email.message_from_bytes(envelope.content))
        if self.chance is not None and self.chance.random() < 0.1:
            server.transport.abort()  # it has the message, and the worker does not hear so
        return "250 OK"


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "c.db") if request.param == "sqlite" else pgserver.new_address()


@contextmanager
def served(mailbox: Mailbox) -> Iterator[str]:
    """Serve a mailbox; give HOST:PORT."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        controller.stop()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox(random.Random(1))


@pytest.fixture
def server(mailbox: Mailbox) -> Iterator[str]:
    with served(mailbox) as address:
        yield address


def letters() -> Policy:
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    calendar = ", ".join(f'{day} = ["08:00-21:00"]' for day in days)
    return parse_text(LETTERS.replace("DAYS", calendar), "letters.toml")


def add(address: str, names: list[str]) -> None:
    """Add people whose letter is due now."""
    now = datetime.now(UTC) - timedelta(hours=1)
    # Somewhere it is noon: nothing is sent at night.
    zone = f"Etc/GMT{now.hour - 12:+}"
    with Cadence.open(address, default=letters()) as app:
        for name in names:
            point = ContactPoint(EMAIL, f"{name}@x.example")
            app.execute(name, ProspectAdded(name, zone, contact_points=(point,)), at=now)
            app.execute(name, SetAppointment(now + timedelta(minutes=1)), at=now)


def worker(address: str, server: str, name: str) -> children.Child:
    arguments = [address, server, "--from-address", "us@x.example", "--name", name, "--once"]
    arguments += ["--lease-seconds", str(LEASE), "--at-once", "3"]
    return children.fork(lambda: smtp_worker.main(arguments), seconds=SECONDS)


def wait_for(mailbox: Mailbox, messages: int) -> None:
    """Wait until it has so many messages, or none comes any more."""
    until = time.monotonic() + 2 * LEASE
    while len(mailbox.messages) < messages and time.monotonic() < until:
        time.sleep(0.005)


def attempts(address: str) -> dict[str, list[Event]]:
    """The attempts of every prospect that count, once every lease is over."""
    time.sleep(LEASE)
    with Cadence.open(address) as app:
        app.tick()
        return {name: standing(app.history(name)) for name in app.prospects()}


def standing(history: list[Event]) -> list[Event]:
    """The attempts, as the workers told them late, and without those that were not made."""
    made = {event.version: event for event in history if isinstance(event.data, AttemptMade)}
    for event in history:
        if isinstance(event.data, EventRetracted):
            del made[event.data.version]
        elif isinstance(event.data, EventCorrected):
            before = made[event.data.version]
            made[before.version] = msgspec.structs.replace(before, data=event.data.data)
    return list(made.values())


def check(address: str, server: str, mailbox: Mailbox) -> dict[str, Disposition]:
    """Let the rest be sent; hold what the mailbox got against the histories.

    Returns:
        How each touch went, as its attempt says.
    """
    while True:  # what was claimed by those that are gone, and not made
        time.sleep(LEASE)
        before = len(mailbox.messages)
        assert worker(address, server, "last").result() == "0"
        if len(mailbox.messages) == before:
            break
    touches = mailbox.touches()
    assert [touch for touch, often in touches.items() if often > 1] == []
    made = attempts(address)
    assert all(len(found) == 1 for found in made.values())
    told: dict[str, Disposition] = {}
    for found in made.values():
        for event in found:
            assert isinstance(event.data, AttemptMade)
            told[str(event.data.touch)] = event.data.parts[0].disposition
    # Each message is in a history, and what is said to be sent was sent.
    assert touches.keys() <= told.keys()
    assert {touch for touch, how in told.items() if how is Disposition.SENT} <= touches.keys()
    assert {*told.values()} <= {Disposition.SENT, Disposition.UNKNOWN}
    with Cadence.open(address) as app:
        every = [(item.event.prospect, item.event.version) for item in app.events()]
        assert len(every) == len(set(every)) == sum(len(app.history(name)) for name in made)
    return told


def test_an_email_that_is_due_is_sent_and_logged(address: str, tmp_path: Path) -> None:
    mailbox = Mailbox()
    add(address, ["ada", "gone"])
    with served(mailbox) as server:
        assert worker(address, server, "one").result() == "0"
        assert worker(address, server, "two").result() == "0"
    (mail,) = mailbox.messages
    assert (mail["To"], mail["From"]) == ("ada@x.example", "us@x.example")
    assert mail["Subject"]
    assert str(mail.get_payload()).startswith("Hello Ada,")
    made = attempts(address)
    parts = {name: made[name][0].data.parts[0] for name in made}  # type: ignore[union-attr]
    assert parts["ada"].disposition is Disposition.SENT
    assert parts["gone"].disposition is Disposition.BOUNCED
    token = str(made["ada"][0].command_id).removeprefix("claim:")
    assert mail["Message-ID"] == f"<{token}@x.example>"


def test_killed_anywhere_workers_send_nothing_twice_and_name_what_is_unknown(
    address: str, server: str, mailbox: Mailbox
) -> None:
    chance = random.Random(address)
    names = [f"p{number:05}" for number in range(KILLS * (2 if NIGHTLY else 5))]
    add(address, names)
    started = [worker(address, server, f"w{number}") for number in range(3)]
    killed = 0
    for _ in range(KILLS):
        wait_for(mailbox, len(mailbox.messages) + chance.randrange(3))
        time.sleep(chance.uniform(0, 0.05))
        one = started.pop(0)
        os.kill(one.pid, signal.SIGKILL)
        killed += os.waitstatus_to_exitcode(os.waitpid(one.pid, 0)[1]) == -signal.SIGKILL
        os.close(one.heard)
        started.append(worker(address, server, f"w{chance.randrange(3)}"))
    for one in started:
        assert one.result() == "0"
    assert killed > KILLS / 2
    told = check(address, server, mailbox)
    assert 0 < sum(how is Disposition.UNKNOWN for how in told.values()) < len(names)


def test_a_server_that_restarts_loses_nothing_beside_an_idle_transaction(
    server: str, mailbox: Mailbox
) -> None:
    address = pgserver.new_address()
    names = [f"p{number:05}" for number in range(RESTARTS * 20)]
    add(address, names)
    for _ in range(RESTARTS):
        idle = pgserver.connect(address)
        idle.execute("BEGIN")
        idle.execute("SELECT pg_current_xact_id()")
        workers = [worker(address, server, f"w{number}") for number in range(2)]
        wait_for(mailbox, len(mailbox.messages) + 5)
        pgserver.restart()
        idle.close()
        for one in workers:  # some can't open a store without a server, and end
            os.waitpid(one.pid, 0)
            os.close(one.heard)
    assert check(address, server, mailbox).keys() == {f"{name}:1:1:on_time" for name in names}
