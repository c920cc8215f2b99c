"""Give endpoints the store that the service opened when it started, and its clock."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from cadence import Cadence


async def opened(request: Request) -> Cadence:
    """Return the store; async, so that it takes no thread of the pool."""
    store: Cadence = request.app.state.store
    return store


async def shown(request: Request) -> datetime:
    """Return what the clock shows."""
    now: datetime = request.app.state.clock()
    return now


Store = Annotated[Cadence, Depends(opened)]
Now = Annotated[datetime, Depends(shown)]
