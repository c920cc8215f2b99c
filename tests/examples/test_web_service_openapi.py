"""Requests made from the FastAPI example's own OpenAPI description, over PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import nightly
import pgserver
import pytest
import schemathesis
from fastapi_service.main import create_app
from hypothesis import HealthCheck, settings
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.types import ASGIApp, Receive, Scope, Send

from cadence import Cadence
from cadence.domain import Channel, ContactPoint, ProspectAdded
from cadence.engine import SetAppointment

NOW = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)  # 10:00 in New York
EXAMPLES = 500 if nightly.NIGHTLY else 5


class _Served:
    """The service, once the tests have a store for it."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


served = _Served()
schema = schemathesis.openapi.from_dict(create_app().openapi())
schema.app = served


@pytest.fixture(scope="module", autouse=True)
def _service() -> Iterator[None]:
    """The service over a store with two prospects, one of them due."""
    address = pgserver.new_address()
    added = NOW - timedelta(days=1)
    with Cadence.open(address) as store:
        for number, name in enumerate(("ann", "ben")):
            points = (
                ContactPoint(Channel("call"), f"+1 212 555 010{number}"),
                ContactPoint(Channel("email"), f"{name}@example.com"),
            )
            person = ProspectAdded(
                name.title(), "America/New_York", "US", contact_points=points, owner="kim"
            )
            store.execute(name, person, at=added)
        store.execute("ann", SetAppointment(NOW), at=added)
    served.app = create_app(address, clock=lambda: NOW)
    yield
    asgi.shutdown_lifespans()


@schema.hook
def map_path_parameters(_: object, path_parameters: dict[str, Any] | None) -> Any:
    """Let most requests be about a prospect that there is."""
    if path_parameters and "prospect" in path_parameters:
        drawn = str(path_parameters["prospect"])
        known = {0: "ann", 1: "ben"}.get(len(drawn) % 3, drawn)
        return {**path_parameters, "prospect": known}
    return path_parameters


# The service's own threads draw waits at random while Hypothesis watches for that.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_it_is_described(case: schemathesis.Case) -> None:
    """No 500, and each status, type, header and body as described.

    What the description can't say (a telephone number, a zone) is told with 422.
    """
    case.call_and_validate(excluded_checks=[positive_data_acceptance])
