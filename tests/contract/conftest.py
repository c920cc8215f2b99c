"""The stores that every contract holds for."""

from pathlib import Path

import pgserver
import pytest


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """The address of a new store of each kind; ``None``: in memory."""
    if request.param == "memory":
        return None
    return str(tmp_path / "c.db") if request.param == "sqlite" else pgserver.new_address()
