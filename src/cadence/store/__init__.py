"""Keep histories: the service, its recorders, the serializer and the due list."""

from cadence.store.service import Cadence, Outcome

__all__ = ["Cadence", "Outcome"]
