"""Where is it kept? The application, its recorders, the mapper and upcasters, the due list."""

from cadence.store.service import Cadence, Outcome

__all__ = ["Cadence", "Outcome"]
