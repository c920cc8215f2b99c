"""Close what is over when its time comes: a thread that sleeps until then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from cadence import Cadence, CadenceError

log = logging.getLogger(__name__)


def turn(app: Cadence, clock: Callable[[], datetime], longest: timedelta) -> timedelta:
    """Close what is over now; return how long to sleep.

    With several workers each has such a thread. What two of them close at once is closed once.
    """
    closed = app.tick()
    if closed:
        log.info("closed %s", ", ".join(outcome.prospect.id for outcome in closed))
    review = app.next_review()
    return longest if review is None else min(longest, max(review - clock(), timedelta(0)))


@contextmanager
def running(
    app: Cadence, clock: Callable[[], datetime], longest: timedelta
) -> Iterator[threading.Thread]:
    """Let a thread take turns until the block ends.

    Args:
        app: the store.
        clock: what shows now.
        longest: how long it sleeps at most, because a worker may record something meanwhile.
    """
    stop = threading.Event()

    def work() -> None:
        pause = timedelta(0)
        while not stop.wait(pause.total_seconds()):
            try:
                pause = turn(app, clock, longest)
            except CadenceError as error:  # the database may be back at the next turn
                log.warning("%s; %s", error.what, error.hint)
                pause = longest

    thread = threading.Thread(target=work, name="cadence-scheduler", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()
