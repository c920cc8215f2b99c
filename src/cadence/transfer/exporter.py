"""Write every history of a store into a file; the format encodes one history at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from cadence.domain.events import Event
from cadence.store.service import Cadence, Progress

__all__ = ["write_histories"]


def write_histories(
    app: Cadence,
    out: IO[bytes],
    encode: Callable[[str, list[Event]], bytes],
    progress: Progress | None = None,
) -> int:
    """Write every history, prospect by prospect, in order of version.

    Args:
        app: the store to read.
        out: the file to write.
        encode: turns a prospect's id and events into bytes.
        progress: told how many prospects are written.

    Returns:
        The number of events written.
    """
    written = 0
    for number, prospect in enumerate(app.prospects(), 1):
        events = app.history(prospect)
        out.write(encode(prospect, events))
        written += len(events)
        if progress is not None:
            progress(number, None)
    return written
