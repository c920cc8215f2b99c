"""Write every history of a store into a file; the format encodes one history at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, NamedTuple

from cadence.domain.events import Event, PolicyRef, Unreadable
from cadence.domain.words import AddressEntry
from cadence.policy.registry import is_builtin, policy_named_by
from cadence.store.service import Cadence, Progress

__all__ = ["Exported", "write_histories"]


class Exported(NamedTuple):
    """What an export wrote.

    Attributes:
        events: how many events.
        left_out: of each prospect that was left out, the first event that can't be read.
        policies: outside the catalogue, that the events name.
        entries: how many entries of suppression lists and lines the store has.
    """

    events: int
    left_out: tuple[Event, ...]
    policies: tuple[PolicyRef, ...] = ()
    entries: int = 0


def write_histories(
    app: Cadence,
    out: IO[bytes],
    encode: Callable[[str, list[Event]], bytes],
    progress: Progress | None = None,
    *,
    encode_entry: Callable[[AddressEntry], bytes] | None = None,
) -> Exported:
    """Write every history, prospect by prospect, in order of version.

    A prospect with an event that can't be read is left out whole: a file with a hole in one
    history can't be imported.

    Args:
        app: the store to read.
        out: the file to write.
        encode: turns a prospect's id and events into bytes.
        progress: told how many prospects are written.
        encode_entry: turns an entry about an address into bytes; ``None``: the format has no place
            for it.
    """
    entries = 0
    for entry in app.addresses.entries(ended=None):
        entries += 1
        if encode_entry is not None:
            out.write(encode_entry(entry))
    written = 0
    left_out: list[Event] = []
    policies: dict[str, PolicyRef] = {}
    for number, prospect in enumerate(app.prospects(), 1):
        events = app.history(prospect)
        unreadable = next((one for one in events if type(one.data) is Unreadable), None)
        if unreadable is None:
            out.write(encode(prospect, events))
            written += len(events)
            for event in events:
                ref = policy_named_by(event.data)
                if ref is not None and ref.digest not in policies and not is_builtin(ref):
                    policies[ref.digest] = ref
        else:
            left_out.append(unreadable)
        if progress is not None:
            progress(number, None)
    return Exported(written, tuple(left_out), tuple(policies.values()), entries)
