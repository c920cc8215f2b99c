"""Send the emails that are due, through an SMTP server; as many of these programs as you like.

Run it: python examples/smtp_worker.py followups.db mail.example.com:25 --from-address us@x.example

Each takes some touches by email, sends them, and logs them. Stopped or killed at any point, it
sends nothing twice: a touch that it had begun, and did not log, is recorded as an attempt of
unknown outcome once the lease is over. What it had only claimed is free again then. Start it again,
and it goes on with what is due.
"""

from __future__ import annotations

import argparse
import os
import signal
import smtplib
import socket
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, NamedTuple

from cadence import Cadence, CadenceError, Refused
from cadence.domain import Channel, Disposition, Part
from cadence.engine.claims import Claim
from cadence.errors import StoreError
from cadence.policy.touch import TouchPart

EMAIL: Final = Channel("email")
LONGEST_SLEEP: Final = timedelta(minutes=5)


class Unsent(Exception):
    """The server did not take the message: it was surely not sent."""


class Worker(NamedTuple):
    """Who sends, from where, and how much at a time."""

    name: str
    server: tuple[str, int]
    sender: str
    at_once: int
    lease: timedelta


def message(claim: Claim, part: TouchPart, sender: str) -> EmailMessage:
    """Return the email of a claimed touch.

    The token of the claim is in its id, so that the message leads to the attempt.
    """
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, part.address
    mail["Subject"] = part.subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{claim.token}@{sender.partition('@')[2]}>"
    mail["X-Touch"] = claim.touch
    mail.set_content(part.text)
    return mail


def send(server: tuple[str, int], mail: EmailMessage) -> Disposition:
    """Send a message; return how that went.

    Raises:
        Unsent: the server was not reached, or refused before it had the message.
        OSError: the connection broke behind the message. It may be on its way.
        smtplib.SMTPException: the same.
    """
    try:
        client = smtplib.SMTP(*server, timeout=30)
    except (OSError, smtplib.SMTPException) as error:
        raise Unsent(str(error)) from None
    with client:
        try:
            client.ehlo_or_helo_if_needed()
            client.mail(str(mail["From"]))
            code, answer = client.rcpt(str(mail["To"]))
        except (OSError, smtplib.SMTPException) as error:
            raise Unsent(str(error)) from None
        if code in (550, 551, 553):
            return Disposition.BOUNCED
        if code >= 400:
            raise Unsent(answer.decode(errors="replace"))
        code, answer = client.data(mail.as_bytes())
        if code >= 400:
            raise Unsent(answer.decode(errors="replace"))
    return Disposition.SENT


def handle(app: Cadence, claim: Claim, worker: Worker) -> str:
    """Send what was claimed, and log it; return what was done, in a word."""
    try:  # from here on it may have been sent, also where this program dies
        claim = app.claim(
            claim.prospect, claim.touch, by=worker.name, lease=worker.lease, on_expiry="assume_made"
        )
    except Refused:  # a word came in between, or another has it since the lease was over
        return "not sent"
    decision = app.compose(claim.prospect)
    parts = () if decision.touch is None else decision.touch.parts
    if decision.touch is None or decision.touch.id != claim.touch or len(parts) != 1:
        # A word came in between; or a call is part of it: a person's.
        app.complete(claim, not_made=True)
        return "not sent"
    (part,) = parts
    try:
        how = send(worker.server, message(claim, part, worker.sender))
    except Unsent:
        app.complete(claim, not_made=True)
        return "not sent"
    app.complete(claim, [Part(EMAIL, how, part.address)])
    return str(how)


def turn(app: Cadence, worker: Worker) -> int:
    """Send what is due now; return how many touches were claimed."""
    app.tick()
    claims = app.claim_next(worker.at_once, by=worker.name, channel=EMAIL, lease=worker.lease)
    for claim in claims:
        # What fails once it was begun is of unknown outcome: its lease runs out, and says so.
        try:
            print(f"{claim.touch}: {handle(app, claim, worker)}", flush=True)
        except (OSError, smtplib.SMTPException, StoreError) as error:
            print(f"{claim.touch}: unknown ({error})", file=sys.stderr, flush=True)
    return len(claims)


def main(arguments: Sequence[str] | None = None) -> int:
    """Send until a signal says stop."""
    parser = argparse.ArgumentParser(description="Send the emails that are due.")
    parser.add_argument("database", help="a path, or a postgresql:// address")
    parser.add_argument("server", help="HOST:PORT")
    parser.add_argument("--from-address", required=True)
    own = f"{socket.gethostname()}-smtp-{os.getpid()}"
    parser.add_argument("--name", default=own, help="of this worker; no two may share one")
    parser.add_argument("--at-once", type=int, default=10, help="claim so many; send all in time")
    parser.add_argument("--lease-seconds", type=float, default=900)
    parser.add_argument("--once", action="store_true", help="end when nothing is due")
    given = parser.parse_args(arguments)
    host, _, port = given.server.rpartition(":")
    lease = timedelta(seconds=given.lease_seconds)
    worker = Worker(given.name, (host, int(port)), given.from_address, given.at_once, lease)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Cadence.open(given.database) as app:
        while not stop.is_set():
            try:
                found = turn(app, worker)
                review = app.next_review()
            except StoreError as error:
                print(error, file=sys.stderr, flush=True)
                found, review = 0, None
            if found:
                continue
            if given.once:
                break
            now = datetime.now(UTC)
            pause = LONGEST_SLEEP if review is None else min(LONGEST_SLEEP, review - now)
            stop.wait(max(1.0, pause.total_seconds()))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CadenceError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
