"""The example service as a test runs it: its clock is a file, and a worker says who it is."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import FastAPI
from fastapi_service.main import create_app


def create() -> FastAPI:
    """Make the service of the environment's ``CADENCE_DB`` and ``CADENCE_TEST_CLOCK``."""
    shown = Path(os.environ["CADENCE_TEST_CLOCK"])

    def clock() -> datetime:
        return datetime.fromisoformat(shown.read_text()).astimezone(UTC)

    app = create_app(clock=clock, longest_sleep=timedelta(seconds=0.3))

    @app.get("/worker")
    async def worker() -> int:
        return os.getpid()

    return app
