"""Write streams with their due rows and addresses, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from cadence.policy.registry import is_builtin, policy_named_by
from cadence.store.gate import WriteGate
from cadence.store.policy_library import PolicyLibrary
from cadence.store.recorder import Recorder, StreamWrite
from cadence.store.serializer import EventMapper

__all__ = ["StreamWriter"]


class StreamWriter:
    """Writes the streams of a store."""

    def __init__(self, recorder: Recorder, library: PolicyLibrary, gate: WriteGate) -> None:
        """Args:
        recorder: keeps the events.
        library: keeps the policies that they name.
        gate: lets writes through.
        """
        self._recorder = recorder
        self._library = library
        self._gate = gate
        self._mapper = EventMapper()

    def write(self, writes: Sequence[StreamWrite]) -> None:
        """Write one stream or several in one transaction."""
        self._gate.make_ready()
        events = [event for one in writes for event in one.events]
        for event in events:
            ref = policy_named_by(event.data)
            if ref is not None and not is_builtin(ref):
                policy = self._library.registry.by_ref(ref)
                if policy is not None:
                    self._library.remember([policy])
        self._recorder.insert_events(
            list(map(self._mapper.to_stored_event, events)),
            due=[one.row for one in writes],
            claims=[one.claim for one in writes if one.claim is not None],
            addresses=[one.addresses for one in writes],
        )
