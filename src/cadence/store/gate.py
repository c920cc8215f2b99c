"""What has to hold before anything is written."""

from __future__ import annotations

from collections.abc import Callable

from cadence.errors import StoreError
from cadence.store.recorder import Recorder

__all__ = ["WriteGate"]


class WriteGate:
    """Lets writes through to a store."""

    def __init__(
        self, recorder: Recorder, *, read_only: bool, rebuild: Callable[[], object]
    ) -> None:
        """Args:
        recorder: what is written to.
        read_only: refuse every write.
        rebuild: makes due list and address index from the events.
        """
        self._recorder = recorder
        self._read_only = read_only
        self._rebuild = rebuild

    def check(self) -> None:
        """Check that the store may be written.

        Raises:
            StoreError: it was opened read-only.
        """
        if self._read_only:
            raise StoreError(
                "store: opened read-only; nothing was written", "open it without read_only=True"
            )

    def make_ready(self) -> None:
        """Check that the store may be written.

        Build the address index first if an older cadence made the database.

        Raises:
            StoreError: it can't be written.
        """
        self.check()
        if not self._recorder.addresses_are_whole():
            self._rebuild()
