"""A client of an ASGI application in this process; the application starts and stops with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI


class Client:
    """Asks the application on its event loop, and waits for the answer."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self._portal, self._client = portal, client

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            return await self._client.request(method, path, **more)

        return self._portal.call(ask)


@contextmanager
def running(app: FastAPI, user: str = "kim") -> Iterator[Client]:
    """Start the application on an event loop of its own."""
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test", headers={"X-User": user}
    )
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
        portal.wrap_async_context_manager(client),
    ):
        yield Client(portal, client)
