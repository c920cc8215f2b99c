"""Give endpoints the store that the service opened when it started."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from cadence import Cadence


async def opened(request: Request) -> Cadence:
    """Return the store; async, so that it takes no thread of the pool."""
    store: Cadence = request.app.state.store
    return store


Store = Annotated[Cadence, Depends(opened)]
