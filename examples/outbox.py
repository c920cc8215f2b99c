"""Post every event of a store to a URL as a CloudEvent, in order and at least once.

Run it: python examples/outbox.py followups.db https://example.com/hook

It follows the store until it is stopped. How far it is, it keeps in a SQLite file beside it, or in
the PostgreSQL database that it reads. If it is killed behind a post, it posts that event again: a
receiver drops an ``id`` that it has seen.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

import httpx
import msgspec

from cadence import Cadence, CadenceError, Event
from cadence.domain import encode_event
from cadence.store import PostgresTarget, SQLiteTarget, Target

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
LONGEST_PAUSE: Final = 60.0  # seconds
# What passes by itself. Any other refusal needs a person: the receiver does not want this event.
PASSES: Final = {408, 425, 429, 500, 502, 503, 504}


class Rejected(CadenceError):
    """The receiver refuses an event for good."""


def cloud_event(event: Event, source: str) -> bytes:
    """Return the event in the structured mode of CloudEvents 1.0.

    ``source`` and ``id`` together are unique, and the same each time: nothing changes the version
    of an event.
    """
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"{event.prospect}#{event.version}",
            "source": source,
            "type": f"com.example.cadence.{type(event.data).__name__}",
            "subject": event.prospect,
            "time": event.occurred_at,
            "datacontenttype": "application/json",
            "data": msgspec.Raw(encode_event(event)),
        }
    )


class Failure(NamedTuple):
    """Why a post was not accepted, and how many seconds the receiver asks to wait."""

    what: str
    wait: float = 0


def post(client: httpx.Client, url: str, content: bytes) -> Failure | None:
    """Post once; ``None``: it was accepted.

    Raises:
        Rejected: the receiver refuses it for good.
    """
    try:
        answer = client.post(url, content=content, headers={"Content-Type": CONTENT_TYPE})
    except httpx.TransportError as error:
        return Failure(str(error) or type(error).__name__)
    if answer.is_success:
        return None
    what = f"{answer.status_code} {answer.reason_phrase}"
    if answer.status_code not in PASSES:
        raise Rejected(f"{url}: {what}", "fix the receiver, and start again")
    asked = answer.headers.get("Retry-After", "")
    return Failure(what, float(asked) if asked.isdecimal() else 0)


def post_until_accepted(
    client: httpx.Client, url: str, content: bytes, first_pause: float, stop: threading.Event
) -> bool:
    """Post again and again; return whether it was accepted before ``stop`` was set."""
    pause = first_pause
    while (failure := post(client, url, content)) is not None:
        # Shorter by chance, so that many senders do not come back all at once.
        seconds = max(pause * random.uniform(0.5, 1), failure.wait)
        print(f"{url}: {failure.what}; again in {seconds:.1f} s", file=sys.stderr)
        if stop.wait(seconds):
            return False
        pause = min(2 * pause, LONGEST_PAUSE)
    return True


def deliver(
    app: Cadence,
    target: Target[Any],
    url: str,
    *,
    source: str = "/cadence",
    first_pause: float = 0.5,
    timeout: timedelta | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Post what was not posted yet, and follow.

    No transaction is open while it posts. One would hold the feed up on PostgreSQL.

    Args:
        app: the store.
        target: the database that keeps how far it is.
        url: the receiver.
        source: the name of the store, for receivers of several.
        first_pause: seconds to wait before the second try of an event.
        timeout: return when none has come for so long; ``None``: never.
        stop: return soon after this is set.

    Raises:
        Rejected: the receiver refuses an event for good.
        InputError: a newer cadence wrote the event. Nothing after it is posted.
    """
    stop = stop or threading.Event()
    name = f"outbox {url}"
    with target.connect() as db, httpx.Client(timeout=10) as client:
        with target.begin(db):
            posted = target.hold(db, name)
        for item in app.follow(posted, timeout=timeout, stop=stop):
            content = cloud_event(item.event, source)
            if not post_until_accepted(client, url, content, first_pause, stop):
                return
            with target.begin(db):
                target.keep(db, name, item.position)


def main(arguments: Sequence[str] | None = None) -> int:
    """Post until a signal comes."""
    parser = argparse.ArgumentParser(description="Post every event of a store to a URL.")
    parser.add_argument("store", help="a path, or a postgresql:// address")
    parser.add_argument("url", help="where to post")
    parser.add_argument("--source", default="/cadence", help="the name of the store")
    parser.add_argument("--once", action="store_true", help="end when all are posted")
    given = parser.parse_args(arguments)
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    is_postgres = given.store.startswith(("postgresql://", "postgres://"))
    target: Target[Any] = (
        PostgresTarget(given.store) if is_postgres else SQLiteTarget(f"{given.store}.outbox")
    )
    timeout = timedelta(0) if given.once else None
    try:
        with Cadence.open(given.store, read_only=True) as app:
            deliver(app, target, given.url, source=given.source, timeout=timeout, stop=stop)
    except CadenceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
